"""Incremental rendering gives the same bytes as prometheus_client gives at once."""

import gzip
from collections.abc import Sequence
from dataclasses import replace
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from trunkwatch.blocks import blocks, tree
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Commit, Trunk
from trunkwatch.engine.snapshot import Snapshot, TrunkState
from trunkwatch.metrics.collector import branch_families, job_families, own_families
from trunkwatch.metrics.exposition import OPENMETRICS, PLAIN, Exposition, Format

from tests.domain.builders import TRUNK, job_state
from tests.metrics.sample import bare_trunk, totals
from tests.support.examples import examples
from tests.vectors.notation import sha_of

SMALL = 2
"""Jobs in a block, and blocks that are joined: a dozen jobs are several levels."""

VERSION = "1.2.3"
HOSTILE = ('"', "\\", "\n", "\r", "\\n", '\\"', "ü✓", "\u2028", "}", " ", "# EOF", "")
KINDS = tuple(
    job_state(text) for text in ("P F F F", "P P", "P F", "F F F", "- -", "P F F F K", "?")
)

texts = st.lists(st.sampled_from((*HOSTILE, "a", "b")), max_size=4).map("".join)
numbers = st.sampled_from((None, 0.0, 1.5, 1e9, 1234567890.123, float("inf")))


@st.composite
def jobs(draw: st.DrawFn, name: str) -> JobState:
    """One job in any state, with any text that CI may give."""
    job = draw(st.sampled_from(KINDS))
    changed = replace(
        job,
        key=job.key._replace(job_name=name),
        last_success_at=draw(numbers),
        duration=draw(numbers),
        pending=draw(st.integers(0, 2)),
    )
    if job.blame is None:
        return changed
    suspects = draw(st.sampled_from((None, (), (Commit(sha_of(1), None, draw(texts), None),))))
    return replace(changed, blame=replace(job.blame, url=draw(texts), suspects=suspects))


@st.composite
def courses(draw: st.DrawFn) -> list[list[JobState]]:
    """The jobs of a trunk from update to update: some come, some go, some change, some do not."""
    names = draw(st.lists(texts, unique=True, min_size=1, max_size=12))
    shown: dict[str, JobState] = {}
    steps = []
    for _ in range(draw(st.integers(1, 5))):
        for name in draw(st.lists(st.sampled_from(names), max_size=6)):
            happening = draw(st.sampled_from(("changes", "changes", "goes", "is judged again")))
            if happening == "goes":
                shown.pop(name, None)
            elif happening == "is judged again" and name in shown:
                shown[name] = replace(shown[name])
            else:
                shown[name] = draw(jobs(name))
        steps.append([shown[name] for name in sorted(shown)])
    return steps


def trunks_of(here: Sequence[JobState], there: Sequence[JobState]) -> tuple[TrunkState, ...]:
    """Return two trunks with these jobs."""
    other = Trunk(TRUNK.repo, "release/1")
    moved = tuple(replace(job, key=job.key._replace(branch=other.branch)) for job in there)
    bare = bare_trunk()
    return (
        replace(bare, order=replace(bare.order, trunk=TRUNK), jobs=tuple(here)),
        replace(bare, order=replace(bare.order, trunk=other), jobs=moved),
    )


def at_once(snapshot: Snapshot, form: Format) -> bytes:
    """Return all families as prometheus_client writes them."""
    families = [
        *job_families(snapshot.trunks),
        *branch_families(snapshot.trunks),
        *own_families(snapshot, totals(), VERSION),
    ]
    return form.bytes_of(families) + form.end


def without_process(body: bytes) -> bytes:
    lines = body.split(b"\n")
    about = (b"process_", b"# HELP process_", b"# TYPE process_")
    return b"\n".join(line for line in lines if not line.startswith(about))


@settings(max_examples=examples(200))
@given(courses(), courses(), st.sampled_from((PLAIN, OPENMETRICS)))
def test_steps_end_where_one_rendering_does(
    here: list[list[JobState]], there: list[list[JobState]], form: Format
) -> None:
    """After every change the exposition is the bytes that prometheus_client writes at once, packed
    and unpacked.
    """
    shown = Snapshot(0.0, complete=True)
    small = mock.patch.multiple
    with small(blocks, BLOCK_ITEMS=SMALL, PAUSE_SECONDS=0), small(tree, CHILDREN=SMALL):
        served = Exposition(lambda: shown, totals, VERSION)
        for mine, others in zip(here, there, strict=False):
            shown = replace(shown, trunks=trunks_of(mine, others))
            served.update()
            expected = at_once(shown, form)
            assert without_process(served.body(form, zipped=False)) == expected
            unpacked = gzip.decompress(served.body(form, zipped=True))
            assert without_process(unpacked) == expected


def test_the_texts_are_hostile() -> None:
    """The texts contain escaped characters and characters that only resemble a line's end."""
    assert {'"', "\\", "\n", "\r", "\u2028"} <= set("".join(HOSTILE))
