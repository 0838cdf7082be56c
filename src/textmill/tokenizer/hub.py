"""A tokenizer by its name on the Hugging Face Hub: ``hf://owner/name``, the one thing here that may use a network.

What the machine's cache holds is used as it is; only a name that is not in there is fetched (with ``HF_TOKEN``,
if the environment has it, and never with ``HF_HUB_OFFLINE``).
"""

from __future__ import annotations

from pathlib import Path

from textmill.errors import UserError

_FILES = (
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja",
    "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "*.tiktoken",
)  # fmt: skip


def from_hub(name: str, revision: str | None = None) -> Path:
    """The local folder with the tokenizer files of a repository.

    Args:
        name: ``owner/name``.
        revision: branch, tag or commit.

    Raises:
        UserError: it is not in the cache and cannot be fetched.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(
            snapshot_download(name, revision=revision, allow_patterns=list(_FILES), local_files_only=True)
        )
        if any(folder.glob("*token*")) or any(folder.glob("*.model")) or (folder / "vocab.json").is_file():
            return folder
    except (LocalEntryNotFoundError, OSError):
        pass
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(_FILES)))
    except Exception as error:
        # The library raises errors of its own, of its HTTP client and of the system; all mean the same here.
        reason = str(error).strip().splitlines()
        raise UserError(
            "the tokenizer cannot be fetched from the Hugging Face Hub",
            expected="a repository that exists and may be read, in the cache of this machine or over the network",
            found=f"{type(error).__name__}: {reason[0] if reason else ''}",
            where=f"hf://{name}" + (f"@{revision}" if revision else ""),
            hint="check the name; for a gated one set HF_TOKEN; or give a folder on this machine",
        ) from None
