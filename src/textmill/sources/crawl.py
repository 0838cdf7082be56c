"""The source ``crawl``: web sites, crawled when the recipe is run."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from textmill.crawl.settings import CrawlSettings
from textmill.errors import UserError
from textmill.steps.context import StepContext
from textmill.steps.progress import Progress
from textmill.steps.settings import ByteSize, InputPath
from textmill.steps.source import SourceReader, SourceSettings, Split


class Crawl(CrawlSettings, SourceSettings):
    """Web sites: crawled into the run folder, then read like any archive.

    The crawl comes before everything else of a run, into ``crawl/<label>/`` of the run folder, and is sealed when it is
    finished; from the seal on the run is deterministic. It is polite (robots.txt by RFC 9309, one connection per host,
    a second's rest), respects nofollow, noindex and opt-outs from mining and AI, and refuses to speak to private
    addresses unless ``allow_addresses`` names them. A run that is stopped goes on where it was; a sealed crawl is not
    done again, and one that stopped at a budget goes on when the budget is raised.

    Every page is a document: its decoded HTML, with the address, for the step ``extract`` to find the main text in.
    Every other address that was tried is in the ledger too: dropped by the rule that refused it (``robots``,
    ``noindex``, ``tdm``, ``redirect``, ...) or failed with its reason (``http``, ``timeout``, ``tls``, ...), and
    ``textmill why URL`` tells it. Locators: address and digest of the payload; for the others, the address.
    """

    name: ClassVar[str] = "crawl"
    shorthand: ClassVar[str | None] = "seeds"
    gathers: ClassVar[bool] = True

    folder: InputPath | None = Field(
        default=None,
        description="Local folder to crawl into instead of the run's, or one that ``textmill crawl`` has made, which "
        "is read as it is where no seeds are given.",
    )
    max_document_bytes: ByteSize = Field(
        default=32 * 2**20, gt=0, description="A longer page is a failure instead of a document (bytes)."
    )

    @classmethod
    def cosmetic_fields(cls) -> tuple[str, ...]:
        """Everything but what decides how pages are read: what was crawled has its own identity in the seal."""
        return tuple(name for name in cls.model_fields if name not in ("label", "max_document_bytes"))

    def gather(self, folder: Path | None, progress: Progress) -> Crawl:
        """Crawl, or go on crawling, until the crawl is sealed."""
        from textmill.crawl.crawling import crawl
        from textmill.crawl.sealing import read_seal

        target = Path(self.folder) if self.folder else folder
        if target is None:
            raise UserError(
                "a crawl needs a local disk",
                expected="a local run folder, or a folder for the crawl",
                where=f"source {self.source_name}",
                hint=f"name one: --set {self.source_name}.folder=/local/disk/crawl",
            )
        if not self.seeds:
            if read_seal(target) is None:
                raise UserError(
                    "the crawl has no seeds, and there is no finished one to read",
                    expected="seeds, or a folder that textmill crawl has made and sealed",
                    where=str(target),
                )
        else:
            crawl(self, target, progress)
        return self.model_copy(update={"folder": str(target.absolute())})

    def plan(self, split_bytes: int) -> list[Split]:
        """Cut what was crawled into splits; nothing as long as nothing is.

        Raises:
            UserError: seeds or domains cannot be read.
        """
        from textmill.crawl.scope import allowed_domains, seed_addresses
        from textmill.crawl.sealing import read_seal
        from textmill.sources.crawled_pages import plan_crawled

        if self.seeds:
            seed_addresses(self)
            allowed_domains(self)
        sealed = read_seal(Path(self.folder)) if self.folder else None
        return plan_crawled(sealed, split_bytes) if sealed else []

    def open(self, context: StepContext) -> SourceReader:
        """Return the reader."""
        from textmill.sources.crawled_pages import CrawledReader

        return CrawledReader(self)

    def candidate_locators(self, query: str) -> list[str]:
        """The address as it is written and in its canonical form."""
        from textmill.web.urls import canonical_url

        return list(dict.fromkeys([query, canonical_url(query) or query]))
