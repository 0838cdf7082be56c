"""Files with one entry per line: keywords, domains, words."""

from __future__ import annotations

from pathlib import Path

from textmill.errors import UserError


def read_list(path: str, setting: str, comments: bool = False) -> list[str]:
    """The entries of a file, without the white space at their ends; blank lines are none.

    Args:
        path: a text file in UTF-8, with or without a byte-order mark.
        setting: which setting names it, for the error: ``keywords.file``.
        comments: whether lines that begin with ``#`` are left out.

    Raises:
        UserError: there is no such file, or it is no UTF-8.
    """
    try:
        lines = existing_file(path, setting).read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"the file of {setting} cannot be read",
            expected="a text file in UTF-8, one entry per line",
            found=str(error),
            where=path,
            hint="iconv -f LATIN1 -t UTF-8 turns a file in Latin-1 into one in UTF-8",
        ) from error
    entries = filter(None, map(str.strip, lines))
    return [entry for entry in entries if not (comments and entry.startswith("#"))]


def existing_file(path: str, setting: str) -> Path:
    """The file that a setting names.

    Raises:
        UserError: there is no such file.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(
            f"the file of {setting} does not exist",
            expected="a file; relative paths start at the recipe's folder",
            where=path,
            hint=f"check {setting} in the recipe",
        )
    return file
