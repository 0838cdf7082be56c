"""Web addresses: domains, words, soft words and parts of words."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from pydantic import ValidationError
from tests.curate.verdicts import first_failures
from tests.strategies import hostile_text

from textmill.curate import UrlFilter
from textmill.curate.url_filter import host_of
from textmill.documents import Batch, Document
from textmill.errors import UserError
from textmill.steps import StepContext


def batch_of(*urls: str | None) -> Batch:
    return Batch.from_documents("web", [Document(str(i), "x", url=url) for i, url in enumerate(urls)])


@pytest.mark.parametrize(
    "options, url, rule",
    [
        ({"domains": ["bad.com"]}, "https://bad.com/page", "blocked_domain"),
        ({"domains": ["bad.com"]}, "http://WWW.Bad.Com.:8080/page", "blocked_domain"),
        ({"domains": "*.bad.com"}, "//user:x@a.b.bad.com?q", "blocked_domain"),
        ({"domains": ["https://bad.com/"]}, "https://bad.com", "blocked_domain"),
        ({"domains": ["bad.com"]}, "https://notbad.com/bad.com", None),
        ({"domains": ["bad.com"]}, "https://bad.com.org/", None),
        ({"allowed_domains": ["good.org"]}, "https://www.good.org/", None),
        ({"allowed_domains": ["good.org"]}, "https://other.org/", "allowed_domain"),
        ({"words": ["casino"]}, "https://x.com/Online-Casino.html", "words"),
        ({"words": ["casino"]}, "https://x.com/casinos", None),
        ({"words": ["été"]}, "https://x.com/un_%C3%89t%C3%A9", "words"),
        ({"soft_words": ["free", "hot"]}, "https://x.com/free-free-free", None),
        ({"soft_words": ["free", "hot"]}, "https://x.com/free/hot", "soft_words"),
        ({"soft_words": ["free", "hot"], "max_soft_words": 0}, "https://x.com/free", "soft_words"),
        ({"parts": ["jackpot"]}, "https://x.com/big-jack_pots", "parts"),
        ({"parts": ["jackpot"]}, "https://x.com/jack", None),
        ({"parts": ["jackpot"]}, None, None),
        ({"parts": ["jackpot"]}, "", None),
        ({"parts": ["jackpot"], "without_url": "drop"}, None, "has_url"),
        ({"allowed_domains": ["good.org"]}, "mailto:someone", "allowed_domain"),
    ],
)
def test_each_rule(options: dict[str, Any], url: str | None, rule: str | None) -> None:
    assert first_failures(UrlFilter(**options), batch_of("https://good.org", url))[1] == rule


def test_scores() -> None:
    scores = UrlFilter(words=["a", "b"]).open(StepContext()).scores(batch_of("https://h.org/a/b/a", None))
    assert list(scores["host"]) == ["h.org", ""]
    assert scores["words"][0] == 2
    assert all(math.isnan(scores[name][1]) for name in ("words", "parts", "blocked_domain"))  # type: ignore[arg-type]


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "domains.txt"
    file.write_text("# a list\n\n bad.com \r\n")
    step = UrlFilter(domains_file=str(file), domains=["worse.com"])
    assert step.files() == [str(file)]
    found = first_failures(step, batch_of("https://bad.com", "https://worse.com", "https://a.list"))
    assert found == ["blocked_domain", "blocked_domain", None]
    absent = UrlFilter(domains_file=str(tmp_path / "absent"))
    for attempt in (absent.fingerprint, lambda: absent.open(StepContext())):
        with pytest.raises(UserError, match=r"url_filter\.domains_file does not exist"):
            attempt()


def test_nothing_to_filter_by() -> None:
    with pytest.raises(ValidationError, match="nothing to filter by"):
        UrlFilter()
    assert [rule.name for rule in UrlFilter(without_url="drop").rules()] == ["has_url"]


@settings(max_examples=200, deadline=None)
@given(hostile_text(15))
def test_no_address_is_too_odd(url: str) -> None:
    settings = UrlFilter(domains=["a"], words=["the"], soft_words=["of"], parts=["42"])
    scores = settings.open(StepContext()).scores(batch_of(url, "https://" + url))
    assert {len(values) for values in scores.values()} == {2}


def test_hosts() -> None:
    assert host_of("HTTP://[2001:DB8::1]:80/x") == "[2001:db8::1]"
    assert host_of("no scheme.com") == ""
    assert host_of("https://a@b@c.org/") == "c.org"
