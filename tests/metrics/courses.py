"""The jobs of two trunks from update to update, as hypothesis strategies."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Commit, Trunk, TrunkOrder
from trunkwatch.engine.snapshot import TrunkState

from tests.domain.builders import TRUNK, job_state, trunk
from tests.metrics.sample import bare_trunk
from tests.vectors.notation import sha_of

HOSTILE = ('"', "\\", "\n", "\r", "\\n", '\\"', "ü✓", "\u2028", "}", " ", "# EOF", "")
KINDS = tuple(
    job_state(text)
    for text in ("P F F F", "P P", "P F", "F F F", "- -", "P F F F K", "?", "F F F P")
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
    bare, commits = bare_trunk(), trunk(6).commits
    return (
        replace(bare, order=TrunkOrder(TRUNK, commits), jobs=tuple(here)),
        replace(bare, order=TrunkOrder(other, commits), jobs=moved),
    )
