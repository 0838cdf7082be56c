"""The source ``crawl`` in a recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crawl.server import Site, page
from textmill.api import Run
from textmill.errors import UserError
from textmill.pipeline import run_recipe
from textmill.pipeline.items import split_items
from textmill.recipe import load_recipe

RECIPE = """
name: site
sources:
  - crawl: {{seeds: ["{seed}"], delay: 0, retry_wait: 0.01, allow_addresses: [127.0.0.0/8], label: web}}
run: {{engine: inline}}
"""


def recipe_file(folder: Path, seed: str) -> Path:
    path = folder / "site.yaml"
    path.write_text(RECIPE.format(seed=seed))
    return path


def test_a_recipe_crawls_reads_and_answers_for_every_address(tmp_path: Path) -> None:
    pages = {
        "/": page("a", "gone", "private/x", "b", text="Anfang"),
        "/a": (200, {"Content-Type": "text/html; charset=iso-8859-1"}, "<p>caf\xe9".encode("latin-1")),
        "/b": page(head='<meta name="robots" content="noindex">'),
        "/robots.txt": (200, {"Content-Type": "text/plain"}, b"User-agent: *\nDisallow: /private/\n"),
    }
    folder = str(tmp_path / "run")
    with Site(pages) as site:
        recipe = load_recipe(recipe_file(tmp_path, site.url()))
        assert split_items(recipe) == []
        assert not site.requests, "a plan fetches nothing"
        run = Run(run_recipe(recipe, folder).url)
        asked = len(site.requests)
        texts = {row[0]: row[1] for row in run.documents.select("url, text").fetchall()}
        assert set(texts) == {site.url(), site.url("/a")}
        assert texts[site.url("/a")] == "<p>café"
        for path, outcome, rule in (
            ("/gone", "failed", "http"),
            ("/private/x", "dropped", "robots"),
            ("/b", "dropped", "noindex"),
        ):
            (story,) = run.why(site.url(path))
            assert (story["outcome"], story["rule"]) == (outcome, rule)
        ledger = run.status()["steps"][0]
        assert [ledger[name] for name in ("in", "kept", "dropped", "failed")] == [5, 2, 2, 1]
        run_recipe(recipe, folder)
        assert len(site.requests) == asked, "a sealed crawl is not done again"


def test_a_run_folder_that_is_not_local_needs_a_folder_for_the_crawl(tmp_path: Path) -> None:
    recipe = load_recipe(recipe_file(tmp_path, "http://127.0.0.1:9/"))
    with pytest.raises(UserError, match="local disk"):
        run_recipe(recipe, "memory://crawl-needs-a-disk")


def test_what_the_command_has_crawled_can_be_read(tmp_path: Path) -> None:
    from tests.crawl.crawls import crawled

    with Site({"/": page("a"), "/a": page()}) as site:
        crawled(tmp_path / "out", site.url())
    path = tmp_path / "read.yaml"
    path.write_text("name: read\nsources:\n  - crawl: {folder: out}\nrun: {engine: inline}\n")
    run = Run(run_recipe(load_recipe(path), str(tmp_path / "run")).url)
    assert run.documents.aggregate("count(*)").fetchall() == [(2,)]


def test_stretches_of_files_hold_every_page_once(tmp_path: Path) -> None:
    import random

    from tests.crawl.crawls import crawled
    from textmill.sources.crawl import Crawl
    from textmill.steps import StepContext

    rng = random.Random(3)
    pages = {f"/{n}": page(f"/{n + 1}", text=rng.randbytes(20_000).hex()) for n in range(12)}
    with Site(pages) as site:
        sealed = crawled(tmp_path / "out", site.url("/0"), warc_bytes=2**16)
    assert len(sealed.pages()) > 2
    source = Crawl(folder=str(tmp_path / "out"))
    splits = source.plan(2**18)
    assert len(splits) > 4
    found = [record.url for split in splits for record in source.open(StepContext()).read(split)]
    assert sorted(map(str, found)) == sorted([*(site.url(f"/{n}") for n in range(12)), site.url("/12")])


def test_the_recipe_of_the_package(tmp_path: Path) -> None:
    from importlib.resources import files

    path = tmp_path / "web_site.yaml"
    path.write_bytes(files("textmill").joinpath("recipes", "web_site.yaml").read_bytes())
    recipe = load_recipe(path)
    with pytest.raises(UserError, match="seeds"):
        split_items(recipe)
    (tmp_path / "seeds.txt").write_text("https://example.com/\n")
    (tmp_path / "domains.txt").write_text("example.com\n")
    assert split_items(recipe) == []
