"""Benchmarks: always a ratio against a peer, measured in the same call on the same input.

::

    corpus ──► a slice of text ─┬─► textmill, this interpreter ────────────┐
                                └─► a peer, an environment of its own ─────┴─► CPU seconds, ratio, verdicts

    python -m benchmarks                    # all that this machine can do
    python -m benchmarks filters parity     # these
    python -m benchmarks filters --help     # what one of them takes

CPU seconds of single-threaded work are compared, never wall time, and the two sides take turns: what else the
machine does falls on both. Results with date and machine are kept in `docs/benchmarks.md`.
"""
