"""The spool: what was written is read back whole, what is cut off or damaged ends it."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from textmill.crawl.answers import Answer
from textmill.crawl.fetching import Fetched
from textmill.crawl.frontier_rows import Job
from textmill.crawl.outcomes import FAILED, Fault
from textmill.crawl.spool import Spool


def _answer(number: int, body: bytes = b"body", header: str = "text/html") -> Answer:
    job = Job(number, f"http://a.example/{number}", 1, 0, 0, 0, 1, 7, None)
    fetched = Fetched(
        job.url, 12.5, 0.25, b"GET", 200, b"HTTP/1.1 200 OK\r\n\r\n", {"content-type": header}, body, None
    )
    return Answer(job, fetched, "1" if number % 2 else None)


def _contents(folder: Path) -> list[Answer]:
    spool = Spool(folder)
    found = list(spool.answers())
    spool.close()
    return found


@settings(max_examples=40)
@given(st.lists(st.tuples(st.binary(max_size=300), st.text(max_size=20) | st.just("caf\udce9"))))
def test_answers_come_back(tmp_path_factory, written: list[tuple[bytes, str]]) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("spool")
    answers = [_answer(number, body, header) for number, (body, header) in enumerate(written)]
    answers.append(
        Answer(answers[0].job if answers else _answer(0).job, Fault(FAILED, "timeout", "late", True, 3.5))
    )
    spool = Spool(folder)
    for answer in answers:
        spool.append(answer)
    assert list(spool.answers()) == answers
    assert _contents(folder) == answers


def test_only_the_settled_batch_is_forgotten(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(_answer(1))
    spool.turn()
    spool.append(_answer(2))
    assert len(list(spool.answers())) == 2
    spool.settled()
    assert list(spool.answers()) == [_answer(2)]
    spool.turn()
    spool.append(_answer(3))
    spool.settled()
    assert _contents(tmp_path) == [_answer(3)]


@settings(max_examples=60)
@given(st.data())
def test_whatever_is_damaged_is_no_answer(tmp_path_factory, data: st.DataObject) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("spool")
    answers = [_answer(number, bytes([number]) * 50) for number in range(4)]
    spool = Spool(folder)
    for answer in answers:
        spool.append(answer)
    written = bytearray((folder / "spool-0").read_bytes())
    place = data.draw(st.integers(0, len(written) - 1))
    if data.draw(st.booleans()):
        del written[place:]
    else:
        written[place] ^= data.draw(st.integers(1, 255))
    (folder / "spool-0").write_bytes(written)
    found = _contents(folder)
    assert found == answers[: len(found)]
    assert len(found) < len(answers)


def test_empty_files_are_removed(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(_answer(1))
    spool.clear()
    spool.close()
    assert not list(tmp_path.iterdir())
