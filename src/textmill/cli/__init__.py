"""The command line: parsing and printing, nothing else.

::

    argv ─► arguments (dashes and underscores are equal) ─► one file per group of commands ─► screen
                                         UserError: one screen on stderr, exit code 2

>>> from textmill.cli import main
>>> main(["--version"])
textmill ...
0

Exit codes: 0 done, 1 something was found wrong (``verify``) or a defect of the mill, 2 something the user can
mend, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textmill.errors import UserError

_NO_ROOM = {
    errno.ENOSPC: "The disk is full.",
    errno.EDQUOT: "The disk quota is used up.",
    errno.EROFS: "The file system is read-only.",
    errno.EACCES: "This may not be read or written by you.",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    from textmill.errors import UserError

    try:
        code = _dispatch(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return code
    except UserError as error:
        _tell(error)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command continues", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough. The interpreter flushes once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in _NO_ROOM:
            return _defect()
        _tell(
            UserError(
                _NO_ROOM[error.errno],
                where=str(error.filename) if error.filename else None,
                found=error.strerror,
                hint="make room, or name another folder; then the same command continues",
            )
        )
        return 2
    except Exception:
        return _defect()


def _dispatch(argv: list[str]) -> int:
    from textmill.cli.arguments import parse

    if os.environ.get("RANK", "0") != "0" and "WORLD_SIZE" in os.environ:
        # Under torchrun the first process carries the command out; the others train along.
        from textmill.train.parallel.follow import follow

        return follow()
    code = parse(argv)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        from textmill.train.parallel.job import dismiss

        dismiss()
    return code


def _tell(error: UserError) -> None:
    from textmill.cli.screen import print_error

    print_error(str(error))


def _defect() -> int:
    import traceback

    traceback.print_exc()
    print(
        "\nThis is a defect of textmill, not of your data. Please report it with the lines above and the\n"
        "output of: textmill doctor",
        file=sys.stderr,
    )
    return 1
