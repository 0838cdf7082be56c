"""Every way in which a server can be wrong that we know of, served on loopback; what a right crawler records of each.

`python -m tests.crawl.hostile` serves them all and prints where.
"""

from __future__ import annotations

from tests.crawl.hostile import bodies, refusals, sitemaps, statuses, transport, traps

FAULTS = [
    *transport.FAULTS,
    *bodies.FAULTS,
    *statuses.FAULTS,
    *refusals.FAULTS,
    *sitemaps.FAULTS,
    *traps.FAULTS,
]
