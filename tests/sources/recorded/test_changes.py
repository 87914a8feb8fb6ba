"""A recorded file that changes under the reader."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from unittest.mock import Mock, patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trunkwatch.domain.model import Observation
from trunkwatch.engine.facts import Cursor, Fact, SourceState
from trunkwatch.errors import RecordedFileError
from trunkwatch.sources.recorded import RecordedFile
from trunkwatch.sources.recorded import reading as reading_module
from trunkwatch.sources.recorded.lines import LineParser
from trunkwatch.sources.recorded.source import ORDER_SETTLE_SECONDS

from tests.poller.harness import Harness
from tests.sources.reading import REPO, Reader, State, sha
from tests.sources.recorded.file import COMMIT, RUN, A, B, File, config
from tests.support.examples import examples
from tests.support.rows import NOW

C = sha(3)
COMMITS: Sequence[Mapping[str, object]] = [{**COMMIT, "sha": each} for each in (A, B, C)]
ORDER: Mapping[str, object] = {"kind": "order", "repo": REPO, "branch": "main", "complete": True}


def test_a_file_that_grew_is_read_again(file: File) -> None:
    """New commits and results are there at the next refresh."""
    file.write(COMMIT)
    file.reader.refresh()
    file.write(COMMIT, {**COMMIT, "sha": B}, {**RUN, "sha": B})
    file.reader.refresh()
    assert file.reader.order() == [A, B]
    assert file.reader.only_row().sha == B


def test_a_file_that_was_replaced_is_read_again(file: File, tmp_path: Path) -> None:
    """Another file under the same name is news, even of the same size and time."""
    file.write(COMMIT, RUN)
    file.reader.refresh()
    old = file.path.stat()
    new = File(tmp_path / "new.ndjson")
    new.write(COMMIT, {**RUN, "conclusion": "failure", "status": "completed"})
    os.utime(new.path, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert new.path.stat().st_size == old.st_size
    new.path.replace(file.path)
    file.reader.refresh()
    assert {row.conclusion for row in file.reader.rows()} == {"success", "failure"}


def test_a_file_that_did_not_change_is_not_read_again(file: File) -> None:
    """As long as name, size and time are the same, it is not opened."""
    file.write(COMMIT, RUN)
    file.reader.refresh()
    before, stat = file.reader.state(), file.path.stat()
    # The same size and time, but nothing that could be read.
    with file.path.open("r+b") as same:
        same.write(b"x" * stat.st_size)
    os.utime(file.path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    file.reader.refresh()
    assert file.reader.state() == before


def test_a_file_that_vanished_is_an_error_and_what_was_known_stays(file: File) -> None:
    """No news is not good news; when it is back, all is well."""
    file.write(COMMIT, RUN)
    file.reader.refresh()
    before = file.reader.state()
    content = file.path.read_bytes()
    file.path.unlink()
    assert file.error() == f"{file.path}: No such file or directory"
    assert file.reader.state() == before
    file.path.write_bytes(content)
    file.reader.refresh()
    assert file.reader.state() == before


HALVES: Mapping[str, bytes] = {
    "in the middle of a key": b'{"kind":"ru',
    "just before its end": json.dumps(RUN).encode()[:-1],
    "in the middle of a character": b'{"kind":"commit","title":"caf\xc3',
    "after one byte": b"{",
}


@pytest.mark.parametrize("half", HALVES)
def test_a_half_written_line_at_the_first_read_is_an_error(file: File, half: str) -> None:
    """There is no good state to keep yet."""
    file.write(COMMIT)
    file.append(HALVES[half])
    assert file.error().startswith(f"{file.path}:2: is not ")


@pytest.mark.parametrize("half", HALVES)
def test_a_half_written_line_is_waited_for_once(file: File, half: str) -> None:
    """Somebody is writing it: the last good state stays; when it does not grow, it is an error."""
    file.write(COMMIT)
    file.reader.refresh()
    before = file.reader.state()
    file.append(HALVES[half])
    file.reader.refresh()
    assert file.reader.state() == before
    assert file.error().startswith(f"{file.path}:2: is not ")
    assert file.error().startswith(f"{file.path}:2: is not ")
    assert file.reader.state() == before


def test_a_line_that_keeps_growing_is_waited_for(file: File) -> None:
    """Each part that is written is a sign of life; the whole line counts at last."""
    file.write(COMMIT)
    file.reader.refresh()
    line = json.dumps(RUN).encode() + b"\n"
    for start in range(0, len(line), 20):
        file.append(line[start : start + 20])
        file.reader.refresh()
    assert file.reader.only_row().sha == A


def test_a_broken_line_that_has_ended_is_not_waited_for(file: File) -> None:
    """Only the last line can be half-written, and only while it has no end."""
    file.write(COMMIT)
    file.reader.refresh()
    file.append(b'{"kind":"ru\n')
    assert file.error().startswith(f"{file.path}:2: is not a JSON object")


# ---------------------------------------------------------------------- only new lines


def test_a_line_that_is_appended_is_read_alone(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines before it are neither parsed nor stored again, however many there are."""
    file.write(COMMIT, *({**RUN, "run_id": number} for number in range(2000)))
    file.reader.refresh()
    parse = Mock(side_effect=LineParser().parse)
    monkeypatch.setattr(LineParser, "parse", parse)
    file.append(json.dumps({**RUN, "run_id": "new"}).encode() + b"\n")
    facts = file.reader.refresh()
    assert [fact.run_id for fact in facts if isinstance(fact, Observation)] == ["new"]
    assert [type(fact) for fact in facts] == [Observation, Cursor]
    assert parse.call_count == 1


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_lines_that_are_stored_are_not_stored_again_after_a_restart(file: File, end: bytes) -> None:
    """Stored lines are recognised by their digest, also in a copy; only newer lines are facts."""
    file.write(*COMMITS[:2], RUN)
    file.append(json.dumps({**RUN, "run_id": 2}).encode() + end)
    file.reader.refresh()
    file.append(b"\n" * (not end) + json.dumps({**RUN, "run_id": "new"}).encode())
    text = file.path.read_bytes()
    file.path.unlink()
    file.path.write_bytes(text)
    file.reader.restart()
    facts = file.reader.refresh()
    assert [type(fact) for fact in facts] == [Observation, Cursor]
    assert len(file.reader.rows()) == 3


def test_what_was_not_stored_is_read_again(file: File) -> None:
    """A refresh whose facts could not be stored is repeated by the next one."""
    file.write(COMMIT)
    source = RecordedFile(file.path)
    first = _facts(source, None)
    stored = next(fact.text for fact in first if isinstance(fact, Cursor))
    file.append(json.dumps(RUN).encode() + b"\n")
    lost = _facts(source, stored)
    assert _facts(source, stored) == lost
    assert [type(fact) for fact in lost] == [Observation, Cursor]


def _facts(source: RecordedFile, cursor: str | None) -> Sequence[Fact]:
    return list(source.refresh(SourceState(cursor)).facts)


def test_a_cursor_of_an_earlier_version_is_read_past(file: File) -> None:
    """The file is read whole, whatever an earlier version stored as its position."""
    file.write(COMMIT, RUN)
    for cursor in ('["x", 1, 2, 3]', '{"offset": 1}', "7", "x", '{"signature": {}}'):
        assert len(_facts(RecordedFile(file.path), cursor)) == 3


def test_a_file_that_was_rewritten_longer_is_read_whole(file: File) -> None:
    """A file that grew and has other bytes before the old end has not only grown."""
    file.write(COMMIT, RUN)
    file.reader.refresh()
    file.write(COMMIT, {**RUN, "conclusion": "failure"}, {**RUN, "run_id": 3})
    file.reader.refresh()
    found = {(row.run_id, row.conclusion) for row in file.reader.rows()}
    assert found == {(None, "success"), (None, "failure"), (3, "success")}


def _in_place(path: Path, text: bytes) -> None:
    path.write_bytes(text)


def _deleted_first(path: Path, text: bytes) -> None:
    path.unlink()
    path.write_bytes(text)


def _replaced_twice(path: Path, text: bytes) -> None:
    """Replace a file by two others, of which the second may get the inode of the first."""
    for content in (b"", text):
        new = path.with_name("new")
        new.write_bytes(content)
        new.replace(path)


@pytest.mark.parametrize("write", [_in_place, _deleted_first, _replaced_twice])
@pytest.mark.parametrize("added", [0, 1])
def test_a_streak_ends_by_a_pass_in_a_file_that_was_rewritten(
    file: File, write: Callable[[Path, bytes], None], added: int
) -> None:
    """However far a changed line is from the end, and whatever inode and size the file has, the
    whole file is compared.
    """

    def text(commits: int, passed: int) -> bytes:
        lines: list[Mapping[str, object]] = []
        for place in range(1, commits + 1):
            at = {"sha": sha(place)}
            result = "success" if place in (passed, 1) else "failure"
            lines += [{**COMMIT, **at}, {**RUN, **at, "conclusion": result}]
            lines += [{**RUN, **at, "job_name": f"other {number}"} for number in range(30)]
        return b"".join(json.dumps(line).encode() + b"\n" for line in lines)

    file.path.write_bytes(text(6, passed=1))
    harness, source = Harness(), RecordedFile(file.path)
    assert harness.refresh(source)
    assert harness.job("test").consecutive_failures == 5
    write(file.path, text(6 + added, passed=4))
    assert harness.refresh(source)
    assert harness.job("test").consecutive_failures == 2 + added


def test_a_line_that_was_edited_in_place_is_read(file: File) -> None:
    """A file of the same size is compared whole, however far the change is from its end."""
    lines = [{**RUN, "run_id": number} for number in range(100)]
    file.write(COMMIT, *lines)
    file.reader.refresh()
    text = file.path.read_bytes()
    with file.path.open("r+b") as same:
        same.write(text.replace(b"success", b"failure", 1))
    os.utime(file.path, ns=(0, 1))
    file.reader.refresh()
    assert sum(row.conclusion == "failure" for row in file.reader.rows()) == 1
    os.utime(file.path, ns=(0, 2))
    assert [type(fact) for fact in file.reader.refresh()] == [Cursor]


def test_a_last_line_that_goes_on_is_read_again(file: File) -> None:
    """A line that was complete without a line break, and is not any more, is an error."""
    file.write(COMMIT)
    file.append(json.dumps(RUN).encode())
    file.reader.refresh()
    assert file.reader.report.error is None
    file.append(b" ")
    file.reader.refresh()
    assert file.reader.report.error is None
    file.append(b"x\n")
    assert file.error().startswith(f"{file.path}:2: is not a JSON object (Extra data")


def test_the_lines_before_a_half_written_one_count(file: File) -> None:
    """Only the last line is waited for."""
    file.write(COMMIT)
    file.reader.refresh()
    file.append(json.dumps(RUN).encode() + b'\n{"kind":')
    file.reader.refresh()
    assert file.reader.only_row().sha == A
    file.reader.restart()
    assert file.error().startswith(f"{file.path}:3: is not a JSON object (it ends")


def test_a_problem_is_reported_until_it_is_mended(file: File) -> None:
    """Also by a process that starts later, and while the file grows."""
    file.write(COMMIT, "{}", RUN)
    for _ in range(2):
        assert file.error().startswith(f"{file.path}:2: kind must be")
        file.append(json.dumps({**RUN, "run_id": 2}).encode() + b"\n")
        assert file.error().startswith(f"{file.path}:2: kind must be")
        file.reader.restart()
    assert len(file.reader.rows()) == 2


# ---------------------------------------------------------------------- a part of the order


def test_a_file_that_is_begun_anew_takes_nothing_away(file: File) -> None:
    """Truncated, and written again line by line or byte by byte, it leaves the order as it is."""
    lines = [*COMMITS, *({**RUN, "sha": each} for each in (A, B, C))]
    file.write(*lines)
    file.reader.refresh()
    before, text = file.reader.state(), file.path.read_bytes()
    file.path.write_bytes(b"")
    for start, end in pairwise(range(0, len(text) + 50, 50)):
        file.append(text[start:end])
        file.reader.refresh()
        assert file.reader.state() == before
    assert file.reader.report.error is None


def test_an_outage_outlives_a_file_that_is_begun_anew(file: File) -> None:
    """A job stays broken while the commits that broke it are not yet in the new file."""
    runs = [{**RUN, "sha": each, "conclusion": "failure"} for each in (A, B, C)]
    file.write(*COMMITS, *runs)
    harness, source = Harness(), RecordedFile(file.path)
    assert harness.refresh(source)
    for count in range(7):
        file.write(*[*COMMITS, *runs][:count])
        assert harness.refresh(source)
        (job,) = harness.engine.snapshot.trunks[0].jobs
        assert (job.broken, job.consecutive_failures) == (True, 3)


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ((B,), (A, B, C)),
        ((C, "4"), (A, B, C, "4")),
        (("0", A), ("0", A, B, C)),
        ((A, "9"), (A, B, C, "9")),
    ],
)
def test_commits_add_to_the_known_ones(
    file: File, order: Sequence[str], found: Sequence[str]
) -> None:
    """A new file with other commits of the trunk, as after a rotation, adds them."""
    file.write(*COMMITS)
    file.reader.refresh()
    file.write(*({**COMMIT, "sha": each.zfill(40)} for each in order))
    file.reader.refresh()
    assert file.reader.order() == [each.zfill(40) for each in found]


@pytest.mark.parametrize("appended", [False, True])
@pytest.mark.parametrize("commits", [(A, B), (A,), (A, "9", "8"), ("9",), (B, "9")])
def test_a_complete_order_replaces_the_known_one(
    file: File, commits: Sequence[str], appended: bool
) -> None:
    """After an `order` line, in a new file or appended, commits that do not follow are gone."""
    file.write(*COMMITS, RUN)
    file.reader.refresh()
    lines = [ORDER, *({**COMMIT, "sha": each.zfill(40)} for each in commits)]
    file.write(*([*COMMITS, RUN] if appended else [RUN]), *lines)
    file.settle()
    file.reader.refresh()
    kept = [A] if commits[0] == B else []
    assert file.reader.order() == [*kept, *(each.zfill(40) for each in commits)]
    file.append(json.dumps({**COMMIT, "sha": sha(7)}).encode())
    file.reader.refresh()
    assert file.reader.order()[-2:] == [commits[-1].zfill(40), sha(7)]


def test_an_order_line_that_is_read_before_its_commits_counts(file: File) -> None:
    """The commits may come later, also after a restart."""
    file.write(*COMMITS, ORDER)
    file.reader.refresh()
    assert file.reader.order() == [A, B, C]
    file.append(json.dumps(COMMITS[0]).encode())
    file.reader.refresh()
    assert file.reader.order() == [A, B, C]
    file.reader.restart()
    file.settle()
    file.reader.refresh()
    assert file.reader.order() == [A]


@pytest.mark.parametrize("every_line", [True, False])
def test_no_part_of_a_recording_ends_an_outage(file: File, every_line: bool) -> None:
    """What `record` writes begins with an `order` line; of a file that is being written, no prefix
    is believed to be the whole order, whatever the process read before.
    """
    runs = [{**RUN, "sha": each, "conclusion": "failure"} for each in (A, B, C)]
    file.write(ORDER, *COMMITS, *runs)
    text = file.path.read_bytes()
    lines = [place + 1 for place, byte in enumerate(text) if byte == ord("\n")]
    harness, source = Harness(), RecordedFile(file.path)
    assert harness.refresh(source)
    for size in [0, *(lines if every_line else range(1, len(text), 7)), len(text)]:
        file.path.write_bytes(text[:size])
        for reader in (source, RecordedFile(file.path)):
            harness.refresh(reader)
            (job,) = harness.engine.snapshot.trunks[0].jobs
            assert (job.broken, job.consecutive_failures) == (True, 3)
    assert harness.count("trunkwatch_trunk_rewrites_total", REPO, "main") == 0.0


@pytest.mark.parametrize("modified", [0.0, NOW - 3600, NOW, NOW + 3600, NOW + 1e9])
def test_an_order_waits_by_the_own_clock(file: File, modified: float) -> None:
    """Whatever time the file has, an order at its end counts once the reader has seen it unchanged
    for 30 seconds, also after a restart; a change begins the wait anew.
    """
    file.write(*COMMITS, RUN)
    file.reader.refresh()

    def write(*commits: Mapping[str, object]) -> None:
        file.write(ORDER, *commits)
        os.utime(file.path, (modified, modified))

    def order_after(seconds: float) -> Sequence[str]:
        file.clock.now += seconds
        file.reader.refresh()
        return file.reader.order()

    write(COMMITS[0])
    assert order_after(0.0) == [A, B, C]
    assert order_after(ORDER_SETTLE_SECONDS - 0.1) == [A, B, C]
    write(*COMMITS[:2])
    assert order_after(0.1) == [A, B, C]
    file.reader.restart()
    assert order_after(ORDER_SETTLE_SECONDS) == [A, B, C]
    assert order_after(ORDER_SETTLE_SECONDS - 0.1) == [A, B, C]
    assert order_after(0.1) == [A, B]


def test_an_order_does_not_wait_for_a_clock_that_was_set_back(file: File) -> None:
    """The wait begins anew, and ends."""
    file.write(*COMMITS)
    file.reader.refresh()
    file.write(ORDER, COMMITS[0])
    file.settle()
    file.clock.now -= 1e6
    file.settle()
    assert file.reader.order() == [A, B, C]
    file.reader.refresh()
    assert file.reader.order() == [A]


def test_an_order_that_waits_is_not_read_again(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it waits, a poll of an unchanged file costs a look at its times."""
    file.write(*COMMITS)
    file.reader.refresh()
    file.write(ORDER, COMMITS[0])
    file.reader.refresh()
    parse = Mock(side_effect=LineParser().parse)
    monkeypatch.setattr(LineParser, "parse", parse)
    file.reader.refresh()
    assert parse.call_count == 0


@pytest.mark.parametrize(
    ("age", "found"), [(29.0, [A, B, C]), (31.0, [A]), (1e9, [A]), (-29.0, [A, B, C]), (-31.0, [A])]
)
def test_a_command_that_reads_once_goes_by_the_time_of_the_file(
    file: File, age: float, found: Sequence[str]
) -> None:
    """It cannot see whether the file changes: an order counts unless it was written just now."""
    file.write(*COMMITS)
    file.reader.refresh()
    file.write(ORDER, COMMITS[0])
    os.utime(file.path, (NOW - age, NOW - age))
    file.reader.restart(refreshes_once=True)
    file.reader.refresh()
    assert file.reader.order() == found


# ---------------------------------------------------------------------- in parts as at once

LINES: Sequence[Mapping[str, object] | str] = [
    *COMMITS,
    {**COMMIT, "branch": "release"},
    RUN,
    {**RUN, "sha": B, "run_id": 2},
    {**RUN, "sha": C, "branch": "release", "run_id": 3},
    {**RUN, "completed_at": "late"},
    {**RUN, "x": 1},
    {"kind": "workflow", "repo": REPO, "branch": "main", "workflow": "ci", "state": "deleted"},
    "",
    "\0\0",
    "{}",
    "broken",
    "x" * 700,
    "\0" * 700 + json.dumps(RUN),
    json.dumps(RUN) + " " * 700,
    "{" + " " * 700 + json.dumps(RUN)[1:],
]


@pytest.mark.parametrize(("block", "limit"), [(256 * 1024, 2**24), (97, 500)])
@given(lines=st.lists(st.sampled_from(LINES), max_size=12), seed=st.integers(0, 2**16))
@settings(
    max_examples=examples(80),
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # every example has its own file
)
def test_reading_in_parts_ends_as_reading_at_once(
    tmp_path: Path, block: int, limit: int, lines: Sequence[Mapping[str, object] | str], seed: int
) -> None:
    """Whatever was read before, in however large pieces, and by whichever process, rows, order and
    errors are the same.
    """
    with patch.multiple(reading_module, BLOCK_BYTES=block, MAX_LINE_BYTES=limit):
        _check_parts(tmp_path, lines, seed)


def _check_parts(tmp_path: Path, lines: Sequence[Mapping[str, object] | str], seed: int) -> None:
    file = File(tmp_path / f"{len(list(tmp_path.iterdir()))}.ndjson")
    file.write(*lines)
    text = file.path.read_bytes()
    rng = Random(seed)
    cuts = sorted(rng.randrange(len(text) + 1) for _ in range(4))
    for cut in [*cuts, len(text)]:
        file.path.write_bytes(text[:cut])
        if rng.random() < 0.5:
            file.reader.restart()
        _outcome(file.reader)
    once = Reader(config(file.path))
    assert _outcome(file.reader) == _outcome(once)


def _outcome(reader: Reader) -> tuple[State, list[str]]:
    try:
        reader.refresh()
    except RecordedFileError as error:
        return reader.state(), [str(error)]
    errors = {f"{each.error}" for each in reader.report.trunks.values() if each.error}
    return reader.state(), sorted(errors)
