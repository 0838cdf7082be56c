"""``textmill crawl``: options, mistakes, Ctrl-C and going on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.crawl.server import Site, page
from textmill.cli import main
from textmill.cli.crawling import _OPTIONS
from textmill.crawl.sealing import read_seal
from textmill.crawl.settings import CrawlSettings

LOOPBACK = ["--allow-addresses", "127.0.0.0/8", "--delay", "0"]


def test_options_are_settings() -> None:
    assert {name.replace("-", "_") for name, _, _ in _OPTIONS} <= set(CrawlSettings.model_fields)


def test_files_of_seeds_and_domains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Site({"/": page("a", "http://127.0.0.2:1/x"), "/a": page()}) as site:
        (tmp_path / "seeds.txt").write_text(f"# where to begin\n{site.url()}  # the front page\n\n")
        (tmp_path / "domains.txt").write_text("127.0.0.1\n")
        files = ["--seeds", str(tmp_path / "seeds.txt"), "--domains", str(tmp_path / "domains.txt")]
        command = ["crawl", *files, "--output", str(tmp_path / "out"), *LOOPBACK, "--set", "max_redirects=3"]
        command += ["--format", "raw_pages"]
        assert main(command) == 0
    told = capsys.readouterr()
    pages = (tmp_path / "out" / "pages.txt").read_text()
    assert pages == "".join(
        f"URL: {site.url(path)}\n{site.pages[path].decode()}\n---ENDDOC---\n" for path in ("/", "/a")
    )
    assert "2 archived, of 2 addresses on 1 host" in told.out
    sealed = read_seal(tmp_path / "out")
    assert sealed is not None
    assert (sealed.settings["max_redirects"], sealed.skipped) == (3, {"domain": 1})


def test_addresses_stand_for_themselves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Site({"/": page(), "/a": page()}) as site:
        seeds = [site.url(), "--seeds", site.url("/a")]
        assert main(["crawl", *seeds, "--output", str(tmp_path / "out"), *LOOPBACK]) == 0
    assert "2 archived, of 2 addresses on 1 host" in capsys.readouterr().out


def test_a_crawl_that_archives_nothing_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Site({}) as site:
        assert main(["crawl", site.url("/gone"), "--output", str(tmp_path / "out"), *LOOPBACK]) == 1
    told = capsys.readouterr().out
    assert "http 1" in told
    assert "no page was archived" in told


@pytest.mark.parametrize(
    "options, told",
    [
        ([], "no seeds"),
        (["--seeds", "no-such-file.txt"], "no web address"),
        (["--seeds", "https://example.com/", "--max-pages", "many"], "--max-pages"),
        (["--seeds", "https://example.com/", "--allow-addresses", "here"], "127.0.0.0/8"),
        (["--seeds", "https://example.com/", "--exclude", "("], "RE2"),
        (["--seeds", "https://example.com/", "--set", "nonsense=1"], "NAME=VALUE"),
        (["--seeds", "https://example.com/", "--domains", "a b"], "domain"),
        (["--seeds", "https://example.com/", "--max-page", "3"], "did you mean --max-pages"),
    ],
)
def test_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], told: str) -> None:
    assert main(["crawl", *options, "--output", str(tmp_path / "out")]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out" / "frontier.sqlite").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(tmp_path: Path) -> None:
    pages = {f"/{number}": page(f"/{number + 1}") for number in range(20)}
    out = tmp_path / "out"
    with Site(pages) as site:
        command = [
            sys.executable,
            "-m",
            "textmill.cli",
            "crawl",
            "--seeds",
            site.url("/0"),
            "--output",
            str(out),
        ]
        command += [*LOOPBACK, "--set", "max_depth=100"]
        slow = subprocess.Popen([*command, "--delay", "0.1"], stderr=subprocess.PIPE, text=True)
        while len(site.requests) < 6:
            time.sleep(0.02)
            assert slow.poll() is None
        os.kill(slow.pid, signal.SIGINT)
        _, told = slow.communicate(timeout=60)
        assert slow.returncode == 130
        assert "the same command continues" in told
        assert "Traceback" not in told
        assert read_seal(out) is None
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        sealed = read_seal(out)
        assert sealed is not None
        assert sealed.totals["archived"] == 20
        assert all(count == 1 for path, count in site.hits.items() if path != "/robots.txt")
