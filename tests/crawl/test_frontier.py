"""The frontier: nothing is lost, nothing is doubled, hosts take turns."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textmill.crawl.frontier import Frontier
from textmill.crawl.frontier_rows import Link, Settled
from textmill.crawl.outcomes import ARCHIVED, FAILED, QUEUED, REFUSED
from textmill.errors import UserError


def link(host: int, path: str, depth: int = 0) -> Link:
    origin = f"https://h{host}.example"
    return Link(f"{origin}/{path}", origin, depth)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), max_size=12),
        max_size=8,
    ),
    st.integers(0, 5),
)
def test_an_address_is_leased_until_it_is_settled_and_never_after(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[list[tuple[int, int]]], crash_after: int
) -> None:
    path = tmp_path_factory.mktemp("frontier") / "frontier.sqlite"
    frontier = Frontier(path)
    seen: set[str] = set()
    settled: list[str] = []
    for number, found in enumerate([*rounds, [], [], [], [], []]):
        if number == crash_after:
            frontier.db.close()  # as a killed process leaves it
            frontier = Frontier(path)
        frontier.begin()
        links = [link(host, f"p{page}", number) for host, page in found]
        new = len({one.url for one in links} - seen)
        assert frontier.add(links) == new
        seen |= {one.url for one in links}
        frontier.write_counts()
        done = []
        for host in frontier.hosts_in_turn(10, set()):
            jobs = frontier.lease(host.id, 2, set())
            assert jobs, "a host in turn has something to do"
            rest = frontier.lease(host.id, 2, {job.id for job in jobs})
            assert not {job.id for job in jobs} & {job.id for job in rest}
            done += jobs
        frontier.settle([Settled(job, ARCHIVED, "page") for job in done])
        settled += [job.url for job in done]
        frontier.commit()
    assert len(settled) == len(set(settled))
    waiting = {row[0] for row in frontier.db.execute("SELECT url FROM urls WHERE state = ?", (QUEUED,))}
    assert set(settled) | waiting == seen
    assert frontier.waiting == len(waiting)
    totals = frontier.totals()
    assert totals.get((0, ARCHIVED, "page"), 0) == len(settled)
    assert totals.get((0, QUEUED, ""), 0) == len(waiting)


def test_breadth_first_and_second_attempts_last(tmp_path: Path) -> None:
    frontier = Frontier(tmp_path / "frontier.sqlite")
    frontier.begin()
    frontier.add([link(1, "deep", 3), link(1, "a", 1), link(1, "b", 1), link(1, "seed")])
    frontier.commit()
    frontier.begin()
    (host,) = frontier.hosts_in_turn(1, set())
    jobs = frontier.lease(host.id, 4, set())
    assert [job.url.rpartition("/")[2] for job in jobs] == ["seed", "a", "b", "deep"]
    frontier.put_back(jobs[0], "timeout", "late")
    again = frontier.lease(host.id, 4, set())
    assert [job.url.rpartition("/")[2] for job in again] == ["a", "b", "deep", "seed"]
    assert again[-1].attempts == 1
    frontier.settle([Settled(job, FAILED, "timeout") for job in again])
    frontier.commit()
    assert frontier.totals() == {(0, FAILED, "timeout"): 4}


def test_budgets_of_directories_and_queries(tmp_path: Path) -> None:
    frontier = Frontier(tmp_path / "frontier.sqlite", max_per_prefix=5, max_per_path=2)
    frontier.begin()
    frontier.add([link(1, f"calendar/2026/{day}") for day in range(9)])
    frontier.add([link(1, f"list?page={number}") for number in range(4)])
    frontier.add([link(2, f"calendar/{day}") for day in range(3)])
    frontier.commit()
    frontier.close()
    frontier = Frontier(tmp_path / "frontier.sqlite", max_per_prefix=5, max_per_path=2)
    frontier.begin()
    frontier.add([link(1, "calendar/2027/1"), link(1, "list?page=77"), link(2, "calendar/77")])
    frontier.commit()
    assert frontier.totals() == {
        (0, QUEUED, ""): 5 + 2 + 4,
        (0, REFUSED, "prefix_budget"): 5,
        (0, REFUSED, "path_budget"): 3,
    }


def test_hosts_take_turns(tmp_path: Path) -> None:
    frontier = Frontier(tmp_path / "frontier.sqlite")
    frontier.begin()
    frontier.add([link(host, f"p{page}") for host in range(3) for page in range(100 if host == 0 else 2)])
    frontier.write_counts()
    order = [frontier.hosts_in_turn(1, set())[0].origin for _ in range(6)]
    frontier.commit()
    assert order[:3] == order[3:]
    assert len(set(order)) == 3


def test_what_the_disk_lost_is_queued_again(tmp_path: Path) -> None:
    frontier = Frontier(tmp_path / "frontier.sqlite")
    frontier.begin()
    frontier.add([link(1, f"p{page}") for page in range(4)])
    frontier.commit()
    frontier.begin()
    jobs = frontier.lease(1, 4, set())
    frontier.settle(
        [Settled(job, ARCHIVED, "page", file="w", offset=10 * n, length=10) for n, job in enumerate(jobs)]
    )
    assert frontier.take_back("w", 25) == 2
    frontier.commit()
    assert frontier.totals() == {(0, ARCHIVED, "page"): 2, (0, QUEUED, ""): 2}
    assert [job.url for job in frontier.lease(1, 9, set())] == [job.url for job in jobs[2:]]


def test_a_file_that_is_no_frontier(tmp_path: Path) -> None:
    (tmp_path / "frontier.sqlite").write_bytes(b"this is no database, and long enough to tell" * 99)
    with pytest.raises(UserError, match="cannot be read"):
        Frontier(tmp_path / "frontier.sqlite")
    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.close()


@pytest.mark.slow
def test_memory_does_not_grow_with_addresses(tmp_path: Path) -> None:
    """Within 10 % from one to two million in the tests; the benchmark ``frontier`` goes on to ten."""
    from benchmarks.frontier import grow

    rows = list(grow(tmp_path, 2_000_000, steps=2))
    assert rows[1]["resident_mb"] <= 1.1 * rows[0]["resident_mb"]
