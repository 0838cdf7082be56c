"""A cache of what was used lately, of a fixed size."""

from __future__ import annotations

from typing import Generic, TypeVar

_GENERATION = 65_536

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """What was used lately: two generations of at most 65,536 entries each."""

    def __init__(self) -> None:
        self._young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def get(self, key: Key) -> Value | None:
        """The value of ``key``, if it was used lately."""
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: Key, value: Value) -> None:
        """Keep a value."""
        if len(self._young) >= _GENERATION:
            self._old, self._young = self._young, {}
        self._young[key] = value
