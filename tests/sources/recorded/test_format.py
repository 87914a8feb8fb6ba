"""The format of recorded results, line by line."""

import json
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from errno import EACCES
from os import strerror
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from trunkwatch.app import refresh_all
from trunkwatch.config import parse_config
from trunkwatch.domain.model import Observation, RawJob, Trunk, WorkflowState
from trunkwatch.engine.facts import ReportedState
from trunkwatch.sources.recorded import reading

from tests.sources.reading import REPO, TRUNK, sha
from tests.sources.recorded.file import COMMIT, MISSING, RUN, A, B, File, changed, config
from tests.support.irregular import IRREGULAR

# ---------------------------------------------------------------------- valid files


def test_a_full_line_of_each_kind_is_read_whole(file: File) -> None:
    """Every key of the format arrives where it belongs."""
    file.write(
        {
            **COMMIT,
            "committed_at": "2025-12-09T16:02:11Z",
            "author": "author-a",
            "title": "Fix the thing · ≥ 3",
        },
        {
            **RUN,
            "workflow_path": ".github/workflows/ci.yml",
            "run_id": 12,
            "attempt": 2,
            "job_id": "abc",
            "run_number": 7,
            "conclusion": "failure",
            "event": "schedule",
            "head_branch": "topic",
            "head_repo": "fork/r",
            "created_at": "2025-12-09T17:00:00+01:00",
            "started_at": "2025-12-09T16:00:01.5Z",
            "completed_at": "2025-12-09T16:00:02Z",
            "url": "https://ci.example.com/12",
            "failed_step": "Test",
            "infra": True,
            "annotations": ["1 test failed\nexpected 3", "", "test_sum"],
            "run_completed": True,
        },
    )
    file.reader.refresh()
    state = file.reader.state()
    (order,) = state.orders
    (commit,) = order.commits
    assert (commit.sha, commit.committed_at) == (A, 1_765_296_131.0)
    assert (commit.author, commit.title) == ("author-a", "Fix the thing · ≥ 3")
    assert not order.older_unread
    assert state.rows == [
        Observation(
            TRUNK,
            A,
            RawJob("ci", ".github/workflows/ci.yml", "test"),
            "completed",
            "failure",
            12,
            2,
            "abc",
            7,
            "schedule",
            "topic",
            "fork/r",
            1_765_296_000.0,
            1_765_296_001.5,
            1_765_296_002.0,
            "https://ci.example.com/12",
            "Test",
            True,
            ("1 test failed", "expected 3", "test_sum"),
            run_completed=True,
        )
    ]


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ({"workflow_path": "w/ci.yml"}, "w/ci.yml"),
        ({"workflow": "ci", "workflow_path": "w/ci.yml"}, "w/ci.yml"),
        ({"workflow": "ci"}, "ci"),
    ],
)
def test_the_state_of_a_workflow(file: File, name: dict[str, str], identity: str) -> None:
    """A workflow line reports a state, by the path or else by the name; the last one counts."""
    line = {"kind": "workflow", "repo": REPO, "branch": "main", **name}
    file.write(COMMIT, {**line, "state": "inactive"}, {**line, "state": "deleted"})
    file.reader.refresh()
    states = file.reader.store.load().workflow_states
    assert states == {TRUNK: {identity: ReportedState(WorkflowState.DELETED, A)}}


@pytest.mark.parametrize("state", [MISSING, None, "gone", 5, [], "ACTIVE"])
def test_a_state_is_one_of_four_words(file: File, state: object) -> None:
    """Any other state is an error that lists the words."""
    line = {"kind": "workflow", "repo": REPO, "branch": "main", "workflow": "ci"}
    file.write(COMMIT, changed(line, "state", state))
    assert "must be one of active, deleted, disabled, inactive" in file.error()


def test_what_is_left_out_has_its_default(file: File) -> None:
    """Only the required keys: attempt 1, event push, head of the trunk itself, all else unknown."""
    file.write(COMMIT, changed(RUN, "conclusion", MISSING))
    file.reader.refresh()
    assert file.reader.only_row() == Observation(
        TRUNK, A, RawJob("ci", None, "test"), "completed", head_branch="main", head_repo=REPO
    )


@pytest.mark.parametrize("key", ["author", "title", "committed_at"])
@pytest.mark.parametrize("value", [MISSING, None])
def test_a_commit_needs_only_its_place(file: File, key: str, value: object) -> None:
    """An optional key may be missing or null, with the same meaning."""
    file.write(changed(COMMIT, key, value))
    file.reader.refresh()
    assert file.reader.order() == [A]


@pytest.mark.parametrize(
    "key",
    [
        "conclusion",
        "run_id",
        "attempt",
        "job_id",
        "run_number",
        "workflow_path",
        "event",
        "head_branch",
        "head_repo",
        "created_at",
        "started_at",
        "completed_at",
        "url",
        "failed_step",
        "infra",
        "annotations",
    ],
)
def test_null_is_the_same_as_a_missing_key(file: File, key: str) -> None:
    """Every optional key of a run may be null."""
    file.write(COMMIT, changed(RUN, key, None))
    file.reader.refresh()
    with_null = file.reader.only_row()
    file.write(COMMIT, changed(RUN, key, MISSING))
    file.reader.restart()
    file.reader.refresh()
    assert file.reader.only_row() == with_null


def test_a_conclusion_counts_only_when_completed(file: File) -> None:
    """The conclusion of an unfinished run is ignored, whatever it is."""
    file.write(COMMIT, {**RUN, "status": "in_progress", "conclusion": 5})
    file.reader.refresh()
    assert file.reader.only_row().conclusion is None


def test_unknown_keys_are_ignored(file: File) -> None:
    """Unknown keys of a later writer are ignored."""
    file.write({**COMMIT, "parents": [B]}, {**RUN, "runner": {"os": "linux"}})
    file.reader.refresh()
    assert file.reader.order() == [A]
    assert file.reader.only_row().conclusion == "success"


def test_commits_keep_the_order_of_their_lines_and_never_that_of_time(file: File) -> None:
    """The first line is the oldest commit, whatever its date is."""
    dates = ["2026-03-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"]
    lines = [{**COMMIT, "sha": sha(9 - n), "committed_at": date} for n, date in enumerate(dates)]
    file.write(*lines)
    file.reader.refresh()
    assert file.reader.order() == [sha(9), sha(8), sha(7)]


def test_run_lines_stand_anywhere(file: File) -> None:
    """A run may come before its commit."""
    file.write(RUN, COMMIT, {**COMMIT, "sha": B}, {**RUN, "run_id": 2})
    file.reader.refresh()
    assert len(file.reader.rows()) == 2


def test_a_file_may_hold_several_trunks(file: File) -> None:
    """Commit lines are in order per repo and branch."""
    release = {"branch": "release"}
    file.write(COMMIT, {**COMMIT, **release}, {**COMMIT, "sha": B}, {**RUN, **release})
    file.reader.refresh()
    assert file.reader.order() == [A, B]
    assert file.reader.order(Trunk(REPO, "release")) == [A]
    assert file.reader.only_row().trunk == Trunk(REPO, "release")


def test_a_hash_is_the_same_in_either_case(file: File) -> None:
    """Hashes are kept in lower case, so that a run finds its commit; SHA-256 is fine too."""
    long = "AB" * 32
    file.write({**COMMIT, "sha": long}, {**RUN, "sha": long.lower()})
    file.reader.refresh()
    assert file.reader.order() == [file.reader.only_row().sha] == [long.lower()]


def test_ids_may_be_numbers_or_texts_and_stay_what_they_are(file: File) -> None:
    """The run 1 and the run "1" are two runs."""
    largest = 2**63 - 1
    file.write(COMMIT, *({**RUN, "run_id": i} for i in (1, "1", "r-7", largest, -largest)))
    file.reader.refresh()
    ids = {row.run_id for row in file.reader.rows()}
    assert ids == {1, "1", "r-7", largest, -largest}


ENDINGS = ["\n", "\r\n", "\n\n", " \t\r\n", "\n  \r\n", ""]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_is_read_as_common_tools_write_it(file: File, ending: str, encoding: str) -> None:
    """With any line ends and empty lines, in UTF-8 with or without a mark, or in UTF-16."""
    lines = [json.dumps({**COMMIT, "title": "Café 😀"}, ensure_ascii=False), json.dumps(RUN)]
    file.path.write_bytes(f"{lines[0]}{ending or chr(10)}{lines[1]}{ending}".encode(encoding))
    file.reader.refresh()
    assert file.reader.only_row().sha == A
    assert file.reader.state().orders[0].commits[0].title == "Café 😀"
    assert file.reader.report.error is None


def test_joined_files_are_read(file: File) -> None:
    """A byte order mark may be in the middle, where another file began."""
    file.write(COMMIT)
    file.append(b"\xef\xbb\xbf" + json.dumps(RUN).encode())
    file.reader.refresh()
    assert file.reader.only_row().sha == A


def test_zeros_around_lines_are_no_content(file: File) -> None:
    """A file that is being written, or was when the machine stopped, may have a gap of zeros."""
    zeros = b"\0" * 4096
    file.write(COMMIT)
    file.append(zeros)
    file.reader.refresh()
    assert file.reader.order() == [A]
    file.append(json.dumps(RUN).encode() + zeros)
    file.reader.refresh()
    assert file.reader.only_row().sha == A


def test_utf16_that_grows_is_read(file: File) -> None:
    """A line that is not complete is waited for once, in UTF-16 too."""
    text = "".join(json.dumps(line) + "\r\n" for line in (COMMIT, RUN)).encode("utf-16")
    file.path.write_bytes(text[:-20])
    assert "column" in file.error()
    file.path.write_bytes(text)
    file.reader.refresh()
    assert file.reader.only_row().sha == A


def test_an_empty_file_says_nothing(file: File) -> None:
    """It is no error: results may come later."""
    file.write()
    file.reader.refresh()
    assert file.reader.state() == ([], [])


# ---------------------------------------------------------------------- errors

REQUIRED = {
    "commit": (COMMIT, ["repo", "branch", "sha"]),
    "run": (RUN, ["repo", "branch", "sha", "workflow", "job_name", "status"]),
    "workflow": (
        {**COMMIT, "kind": "workflow", "workflow": "ci", "state": "active"},
        ["repo", "branch", "workflow"],
    ),
    "order": ({**COMMIT, "kind": "order", "complete": True}, ["repo", "branch"]),
}


@pytest.mark.parametrize(
    ("kind", "key"), [(kind, key) for kind, (_, keys) in REQUIRED.items() for key in keys]
)
@pytest.mark.parametrize("value", [MISSING, None, "", 5, [], {}, True])
def test_a_required_key_is_a_text_that_is_not_empty(
    file: File, kind: str, key: str, value: object
) -> None:
    """Missing, empty or of a wrong type, it is an error that names file, line and key."""
    record = REQUIRED[kind][0]
    file.write(COMMIT, "", changed({**record, "run_id": 2}, key, value))
    text = file.error()
    missing = " is missing; it" if value is MISSING else ""
    assert text.startswith(f"{file.path}:3: {key}{missing} must be a ")


@pytest.mark.parametrize("kind", [MISSING, None, "Run", "commits", 5, ["run"], {}])
def test_a_line_says_what_kind_it_is(file: File, kind: object) -> None:
    """Any other kind is an error: a typing mistake must not lose results silently."""
    file.write(COMMIT, changed(RUN, "kind", kind))
    assert file.error().startswith(
        f"{file.path}:2: kind must be 'commit', 'run', 'workflow', 'order' or 'files' (got "
    )


WRONG: Sequence[tuple[str, Sequence[object]]] = [
    ("conclusion", [5, ["failure"], {}, True]),
    ("workflow_path", [5, []]),
    ("event", [5, []]),
    ("head_branch", [5, []]),
    ("head_repo", [5, {}]),
    ("url", [5, []]),
    ("failed_step", [5, ["Test"]]),
    ("run_id", [True, 1.5, "", [], {}, 2**63, -(2**63)]),
    ("job_id", [False, 1.5, "", [], {}, 10**30]),
    ("attempt", [0, -1, 1.5, "1", True, [], 2**63]),
    ("run_number", [-1, 1.5, "1", True, {}, 2**63]),
    ("infra", [0, 1, "true", []]),
    ("annotations", ["said", 5, {}, [5], ["said", None]]),
    ("created_at", [5, True, [], "yesterday", ""]),
    ("started_at", [1_765_296_131, "2025-12-09T16:02:11"]),
    ("completed_at", ["2025-12-09", "2025-13-09T16:02:11Z", "16:02:11Z"]),
]


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in WRONG for value in values]
)
def test_an_optional_key_has_its_type(file: File, key: str, value: object) -> None:
    """A wrong type is an error that names file, line, key, and what would be right."""
    file.write(COMMIT, {**RUN, key: value})
    assert file.error() == f"{file.path}:2: {key} must be {_wanted(key)} (got {value!r})"


def _wanted(key: str) -> str:
    if key in ("run_id", "job_id"):
        return "a number of 64 bits or a text"
    if key.endswith("_at"):
        return "a time with its zone, such as 2025-12-09T16:02:11Z"
    numbers = {
        "attempt": "a whole number of 1 or more",
        "run_number": "a whole number of 0 or more",
    }
    others = {"infra": "true or false", "annotations": "a list of texts"}
    return {**numbers, **others}.get(key, "a text")


@pytest.mark.parametrize(
    ("key", "value"), [("author", 5), ("title", ["x"]), ("committed_at", 1_765_296_131)]
)
def test_a_commits_optional_keys_have_their_types(file: File, key: str, value: object) -> None:
    """The same holds for commit lines."""
    file.write({**COMMIT, key: value})
    assert file.error().startswith(f"{file.path}:1: {key} must be a ")


@pytest.mark.parametrize("kind", ["commit", "run"])
@pytest.mark.parametrize("bad", [A[:12], A + "0", "g" * 40, "HEAD", f" {A[1:]}", "０" * 40])
def test_only_a_full_hash_names_a_commit(file: File, kind: str, bad: str) -> None:
    """Short hashes and names could mean several commits."""
    file.write(changed(REQUIRED[kind][0], "sha", bad))
    assert file.error().startswith(f"{file.path}:1: sha must be a full hash of 40 hex digits (got ")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{x", "is not a JSON object (Expecting"),
        ("[1]", "is not a JSON object"),
        ("null", "is not a JSON object"),
        ('"run"', "is not a JSON object"),
        (json.dumps(RUN) + "x", "is not a JSON object (Extra data"),
        (json.dumps(RUN) * 2, "is not a JSON object (Extra data, column "),
        ("[", "is not a JSON object but an array; write one object per line, for example by `jq"),
        (json.dumps([RUN, RUN]), "is not a JSON object but an array"),
        ("{", "is not a JSON object (it ends at column 2); an object must be on one line"),
        ("\0".join(json.dumps(RUN)), "has bytes of value 0, as UTF-16 has; convert the file"),
        ("[" * 100_000, "is not a JSON object (nested too deeply)"),
        ('{"kind": ' + "9" * 5000 + "}", "is not a JSON object (Exceeds the limit"),
    ],
)
def test_what_is_no_json_object_is_an_error(file: File, line: str, said: str) -> None:
    """The error contains the problem that the JSON parser reports."""
    file.write(COMMIT, line)
    assert file.error().startswith(f"{file.path}:2: {said}")


@pytest.mark.parametrize("place", [1, 2, 3, 5000])
def test_what_is_no_utf8_is_an_error_at_its_line(file: File, place: int) -> None:
    """The line is the one with the broken byte, not the first of the block that was read."""
    good: list[Mapping[str, object] | bytes] = [{**COMMIT, "sha": sha(n)} for n in range(5000)]
    good[place - 1] = b'{"kind":"commit","title":"caf\xe9"}'
    file.write(*good)
    assert file.error().startswith(f"{file.path}:{place}: is not UTF-8 (")


def test_half_a_surrogate_pair_is_an_error(file: File) -> None:
    """It can be written in JSON, but is no text that could be stored; a whole pair is fine."""
    line = json.dumps({**COMMIT, "title": "@"})
    file.write(line.replace("@", "\\ud83d\\ude00"))
    file.reader.refresh()
    assert file.reader.state().orders[0].commits[0].title == "😀"
    file.write(line.replace("@", "\\ud83d"))
    assert file.error() == f"{file.path}:1: has an escape such as \\ud800 that is no character"


def test_a_commit_has_one_place(file: File) -> None:
    """The same commit twice in one trunk is an error, in either case of its letters."""
    commit = {**COMMIT, "sha": "a" * 40}
    file.write(commit, COMMIT, {**commit, "sha": "A" * 40})
    assert file.error() == f"{file.path}:3: sha {'a' * 40} is in the order of o/r main already"


def test_a_run_of_a_trunk_without_commits_is_an_error(file: File) -> None:
    """The first such line is named, and what to add."""
    other = {**RUN, "branch": "release"}
    file.write(COMMIT, RUN, other, {**other, "run_id": 2})
    assert file.error() == (
        f"{file.path}:3: a run of o/r release, of which the file has no commit line;"
        ' add {"kind":"commit",...} lines in trunk order, oldest first'
    )


def test_without_the_order_runs_need_no_commits(file: File) -> None:
    """With `order: false` another source gives the order, so the file may hold runs alone."""
    file.write(RUN)
    file.reader.restart(config(file.path, order=False))
    file.reader.refresh()
    assert file.reader.only_row().sha == A


def test_a_malformed_line_is_left_out_and_no_other(file: File) -> None:
    """The others are stored; it is an error at each refresh until it is mended, counted once."""
    file.write(COMMIT, "{}", {**COMMIT, "sha": B}, {**RUN, "sha": "short"}, {**RUN, "sha": B})
    for _ in range(2):
        assert file.error() == (
            f"{file.path}:2: kind must be 'commit', 'run', 'workflow', 'order' or 'files'"
            " (got None) (and 1 more)"
        )
        assert file.reader.order() == [A, B]
        assert file.reader.only_row().sha == B
        assert file.reader.dropped == {"malformed": 2}
    file.write(COMMIT, {**COMMIT, "sha": B}, {**RUN, "sha": A}, {**RUN, "sha": B})
    file.reader.refresh()
    assert file.reader.report.error is None
    assert len(file.reader.rows()) == 2


def test_a_malformed_line_is_an_error_of_its_trunk(file: File) -> None:
    """The other trunks of the file are read without an error, unless the trunk is unknown."""
    release = {"branch": "release"}
    file.write(COMMIT, {**COMMIT, **release}, {**RUN, **release, "status": 5})
    file.reader.refresh()
    report = file.reader.report
    assert report.error is None
    read = {trunk.branch: each.error is None for trunk, each in report.trunks.items()}
    assert read == {"main": True, "release": False}
    file.write(COMMIT, {**COMMIT, **release}, "broken")
    assert file.error().startswith(f"{file.path}:3: ")
    assert len(file.reader.report.trunks) == 2


@pytest.mark.parametrize("line", [{**COMMIT, "sha": B}, {**RUN, "sha": A}])
def test_a_text_that_is_no_time_costs_the_time_alone(
    file: File, line: Mapping[str, object]
) -> None:
    """The line counts all the same, and the problem is reported."""
    key = "committed_at" if line["kind"] == "commit" else "completed_at"
    file.write(COMMIT, {**line, key: "0000-00-00 00:00:00"})
    assert file.error().startswith(f"{file.path}:2: {key} must be a time with its zone")
    assert file.reader.dropped == {}
    state = file.reader.state()
    assert len(state.orders[0].commits) + len(state.rows) == 2


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"])
def test_a_time_that_stands_for_none_is_not_shown(file: File, time: str) -> None:
    """The failure counts, and occurred at a time that is unknown."""
    times = dict.fromkeys(("created_at", "started_at", "completed_at"), time)
    file.write({**COMMIT, "committed_at": time}, {**RUN, "conclusion": "failure", **times})
    source = {"name": "ci", "type": "recorded", "path": str(file.path)}
    parsed = parse_config(json.dumps({"sources": [source]}), "trunkwatch.yml")
    once = refresh_all(parsed, ":memory:", None)
    once.store.close()
    (job,) = once.engine.snapshot.trunks[0].jobs
    assert job.blame is not None
    assert (job.consecutive_failures, job.blame.broken_since) == (1, None)


def test_a_file_that_is_not_there_is_an_error(file: File) -> None:
    """It is named."""
    assert file.error() == f"{file.path}: No such file or directory"


def test_a_file_that_may_not_be_read_is_an_error(file: File) -> None:
    """The results that were read stay, and more are read once it may be."""
    file.write(COMMIT, RUN)
    file.reader.refresh()
    file.write(COMMIT, RUN, {**RUN, "run_id": 2})
    # Root may read any file.
    refused = PermissionError(EACCES, strerror(EACCES))
    with patch("trunkwatch.textfiles.os.open", side_effect=refused):
        assert file.error() == f"{file.path}: Permission denied"
    assert len(file.reader.rows()) == 1
    file.reader.refresh()
    assert len(file.reader.rows()) == 2


@pytest.mark.parametrize(("make", "problem"), IRREGULAR.values(), ids=IRREGULAR)
def test_what_is_no_file_is_an_error(
    file: File, make: Callable[[Path], object], problem: str
) -> None:
    """A folder, a FIFO, a socket or a device is refused and not waited for, also in place of a file
    that was read, of which the results stay.
    """
    file.write(COMMIT, RUN)
    file.reader.refresh()
    text = file.path.read_bytes()
    file.path.unlink()
    make(file.path)
    assert file.error() == f"{file.path}: {problem}"
    file.reader.restart()
    assert file.error() == f"{file.path}: {problem}"
    assert file.reader.only_row().sha == A
    file.path.rename(file.path.with_name("other"))
    file.path.write_bytes(text)
    file.reader.refresh()
    assert file.reader.report.error is None


def test_a_link_to_a_file_is_read(file: File, tmp_path: Path) -> None:
    """Kubernetes mounts files as links to links."""
    file.write(COMMIT, RUN)
    file.path.rename(tmp_path / "target")
    (tmp_path / "link").symlink_to("target")
    file.path.symlink_to("link")
    file.reader.refresh()
    assert file.reader.only_row().sha == A


LINE = json.dumps(RUN).encode()
LONG = {
    "a gap before a line": (b"%s" + LINE + b"\n", b"\0"),
    "a gap after a line": (LINE + b"%s\n", b"\0"),
    "a gap at the end": (LINE + b"\n%s", b"\0"),
    "white space": (b"%s\n" + LINE, b" "),
    "a gap in a line": (LINE[:-1] + b"%s}\n" + LINE, b"\0"),
    "a line": (b"%s\n" + LINE, b"x"),
    "a valid line": (LINE[:-1] + b', "log": "%s"}\n' + LINE, b"x"),
    "a line without end": (LINE + b"\n%s", b"x"),
}


@pytest.mark.parametrize("name", LONG)
def test_a_long_line_takes_no_memory(file: File, name: str) -> None:
    """A gap around a line is ignored; a longer line than any is left out, counted once and named,
    and the others count.
    """
    limit, (lines, filler) = 2**20, LONG[name]
    before, _, after = lines.partition(b"%s")
    file.write(COMMIT)
    file.append(before)
    with file.path.open("ab") as target:
        for _ in range(32):
            target.write(filler * limit)
    file.append(after)
    with patch.object(reading, "MAX_LINE_BYTES", limit):
        tracemalloc.start()
        refreshed = file.reader.refresh()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert sum(isinstance(fact, Observation) for fact in refreshed) == 1
        assert peak < 6 * limit
        if filler == b"x" or "in a" in name:
            number = 3 if name == "a line without end" else 2
            for _ in range(2):
                assert file.error().startswith(f"{file.path}:{number}: is longer than ")
            assert file.reader.dropped == {"malformed": 1}
            file.append(b"\n" + json.dumps({**RUN, "run_id": 2}).encode())
            assert file.error().startswith(f"{file.path}:{number}: is longer than ")
            assert file.reader.dropped == {"malformed": 1}
            assert len(file.reader.rows()) == 2
        else:
            assert file.reader.report.error is None


def test_a_large_file_keeps_its_line_numbers(file: File) -> None:
    """The line of an error is right behind thousands of lines, some empty."""
    lines: list[Any] = []
    for number in range(3000):
        lines += [{**COMMIT, "sha": sha(number)}, ""]
    file.write(*lines, "{}")
    assert file.error().startswith(f"{file.path}:6001: kind must be")
