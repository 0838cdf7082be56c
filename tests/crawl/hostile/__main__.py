"""Serves all faults until interrupted and prints their addresses: to look at one with curl."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

from tests.crawl.hostile import FAULTS
from tests.crawl.hostile.certificates import Authority
from tests.crawl.hostile.server import Server

with tempfile.TemporaryDirectory() as folder:
    server = Server(FAULTS, Authority(Path(folder)).context)
    server.start()
    for name, site in server.sites.items():
        print(f"{name:34}{' '.join(site.url(path) for path in site.fault.seeds)}")
    threading.Event().wait()
