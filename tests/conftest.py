"""What all tests share."""

from __future__ import annotations

import os

from hypothesis import settings

# Continuous integration judges a change, not its luck: the same examples every time. Elsewhere, new ones.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("dev", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")
