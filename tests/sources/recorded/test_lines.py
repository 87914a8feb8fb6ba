"""The two parsers of a line agree: the fast one, and the one that names problems."""

import json
from collections.abc import Callable, Mapping, Sequence
from time import process_time
from unittest.mock import patch

from hypothesis import example, given, settings
from hypothesis import strategies as st
from trunkwatch.domain.model import Observation
from trunkwatch.sources.recorded import lines as module
from trunkwatch.sources.recorded.careful import LineError
from trunkwatch.sources.recorded.fields import decode
from trunkwatch.sources.recorded.lines import Line, LineParser

from tests.sources.recorded.file import COMMIT, RUN
from tests.support.examples import examples

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, -1, 2**63 - 1, 2**63, -(2**63), 1.0, 1e30, float("nan")]),
    st.text(max_size=3),
    st.sampled_from(["2025-12-09T16:02:11Z", "2025-12-09", "completed", "deleted", "A" * 40]),
    st.lists(st.text(max_size=5) | st.none(), max_size=2),
    st.just({"a": [1]}),
)
KEYS = [
    "kind", "repo", "branch", "sha", "workflow", "job_name", "status", "conclusion", "run_id",
    "attempt", "job_id", "run_number", "workflow_path", "event", "head_branch", "head_repo",
    "created_at", "started_at", "completed_at", "url", "failed_step", "infra", "run_completed",
    "annotations", "author", "title", "committed_at", "older_unread", "state", "complete", "other",
]  # fmt: skip
TRUNK_KEYS = {"repo": "o/r", "branch": "main"}
GOOD = st.sampled_from(
    [
        RUN,
        {**RUN, "run_id": 7, "attempt": 2, "started_at": "2025-12-09T16:02:11+01:00", "url": "u"},
        {**RUN, "status": "queued", "annotations": ["a\nb"], "infra": True, "event": "push"},
        {**COMMIT, "committed_at": "2025-12-09T16:02:11Z", "older_unread": True, "title": "é😀"},
        {**TRUNK_KEYS, "kind": "workflow", "workflow_path": "ci.yml", "state": "deleted"},
        {**TRUNK_KEYS, "kind": "order", "complete": True},
    ]
)


def parsed(line: bytes) -> tuple[Line, list[str]] | str:
    try:
        return LineParser().parse(line)
    except LineError as error:
        return f"{error} at {error.trunk}"


@given(
    record=GOOD,
    changes=st.dictionaries(st.sampled_from(KEYS), ODD, max_size=2),
    ascii_only=st.booleans(),
    at=st.integers(0, 500),
    spoiled=st.sampled_from(
        [b"", b"", b"", b"\0", b"\xff", b"\\ud800", b'"', b"1", b",", b"\t", b"{"]
    ),
)
@example(record={**RUN, "title": "x"}, changes={}, ascii_only=True, at=0, spoiled=b"")
@settings(max_examples=examples(800))
def test_both_parsers_agree(
    record: Mapping[str, object],
    changes: Mapping[str, object],
    ascii_only: bool,
    at: int,
    spoiled: bytes,
) -> None:
    """Any line has the same value or the same error, whichever of them reads it."""
    line = json.dumps({**record, **changes}, ensure_ascii=ascii_only).encode(errors="replace")
    at %= len(line) + 1
    line = line[:at] + spoiled + line[at:]
    fast = parsed(line)
    with patch.object(module, "decode", lambda _line: None):
        assert repr(parsed(line)) == repr(fast)


@given(GOOD)
def test_a_line_of_known_keys_is_read_by_the_fast_parser(record: Mapping[str, object]) -> None:
    """Lines as `trunkwatch record` writes them need no second look."""
    assert decode(json.dumps(record).encode()) is not None
    assert decode(json.dumps({**record, "x": 1}).encode()) is None


def test_names_of_several_lines_are_stored_once() -> None:
    """Rows of one job share its name, so that a large file needs little memory."""
    parser = LineParser()
    parsed_lines = [parser.parse(json.dumps({**RUN, "run_id": n}).encode())[0] for n in (1, 2)]
    first, second = (line for line in parsed_lines if isinstance(line, Observation))
    assert first.job is second.job
    assert first.sha is second.sha


def test_a_line_costs_little_more_than_its_json() -> None:
    """Lines of documented keys are read in less than three times the time of `json.loads`."""
    text = [json.dumps({**RUN, "run_id": n, "url": f"u{n}"}).encode() for n in range(3000)]
    parse = LineParser().parse
    assert min(cpu_of(parse, text) for _ in range(5)) < 3 * min(
        cpu_of(json.loads, text) for _ in range(5)
    )


def cpu_of(read: Callable[[bytes], object], text: Sequence[bytes]) -> float:
    begun = process_time()
    for line in text:
        read(line)
    return process_time() - begun
