"""Mistakes a user can mend, told in one screen instead of a traceback."""

from __future__ import annotations


class UserError(Exception):
    """Something in the recipe, the input or the command line that the user can put right.

    The command line prints it without a traceback and exits with code 2.

    Args:
        message: what is wrong, in one sentence.
        expected: what would have been right.
        found: what stood there instead.
        where: the place: ``recipe.yaml:12:5``, a path, a command-line option.
        hint: what to do next.
    """

    def __init__(
        self,
        message: str,
        *,
        expected: str | None = None,
        found: str | None = None,
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected
        self.found = found
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.message]
        for label, value in (
            ("where", self.where),
            ("expected", self.expected),
            ("found", self.found),
            ("do", self.hint),
        ):
            if value:
                lines.append(f"  {label + ':':<10}{value}")
        return "\n".join(lines)


class ConservationError(Exception):
    """in = kept + dropped + failed does not hold for a step: a defect of the program, never of the data.

    The run stops with the numbers rather than go on with documents that nobody can account for.
    """
