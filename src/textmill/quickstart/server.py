"""A plain HTTP server on loopback, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from textmill.errors import UserError

HOST = "127.0.0.1"


@contextmanager
def serve(folder: Path, port: int = 0, moved: Mapping[str, str] | None = None) -> Iterator[str]:
    """Serve the files below ``folder`` while the context lasts.

    Args:
        folder: what to serve.
        port: of loopback; another one if it is taken, and any if 0.
        moved: addresses that answer with a permanent redirect, and where to.

    Yields:
        The address of the root: ``http://127.0.0.1:8707/``.

    Raises:
        UserError: the server does not start.
    """
    command = [sys.executable, "-m", __package__, str(folder), str(port), json.dumps(dict(moved or {}))]
    # Standard input is its leash: when this process is gone, however it went, the pipe closes and the server ends.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            if not line:
                raise UserError(
                    "the quickstart's web server did not start",
                    where=f"{HOST}:{port}",
                    hint="is loopback usable here? A recipe with `sources: [python_docs]` needs no server",
                )
            yield line
        finally:
            process.kill()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = False  # else a second server would share the port on some systems


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept
    # Header and body leave together: written apart, the second would wait 40 ms for the first to be acknowledged.
    wbufsize = -1
    disable_nagle_algorithm = True

    def __init__(self, moved: Mapping[str, str], *arguments: object, directory: str) -> None:
        self.moved = moved
        super().__init__(*arguments, directory=directory)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        target = self.moved.get(self.path)
        if target is None:
            super().do_GET()
            return
        self.send_response(301)
        self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the crawler's own log is what counts."""


def _start(folder: str, port: int, moved: Mapping[str, str]) -> _Server:
    handler = partial(_Handler, moved, directory=folder)
    try:
        return _Server((HOST, port), handler)
    except OSError:
        return _Server((HOST, 0), handler)


def serve_until_alone(folder: str, port: str, moved: str) -> None:
    """Serve until standard input closes; prints the address first."""
    server = _start(folder, int(port), json.loads(moved))
    print(f"http://{HOST}:{server.server_port}/", flush=True)

    def wait_for_the_end() -> None:
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    server.serve_forever()
