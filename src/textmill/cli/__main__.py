"""``python -m textmill.cli``."""

from textmill.cli import main

raise SystemExit(main())
