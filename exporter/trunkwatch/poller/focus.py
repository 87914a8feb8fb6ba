"""The failures of a trunk whose details people need first."""

from trunkwatch.domain.model import Verdict
from trunkwatch.engine.snapshot import TrunkState
from trunkwatch.sources import FailureFocus


def focus_of(state: TrunkState) -> FailureFocus:
    """Return the failures of a trunk that its source reads first."""
    failing = [(job, job.blame) for job in state.jobs if job.blame]
    commits = {
        state.order.commits[index].sha
        for job, blame in failing
        if job.broken
        for index, verdict in zip(job.commit_indexes, job.verdicts, strict=True)
        if index >= blame.commit_index and verdict is Verdict.FAIL
    }
    urls = {blame.url for _, blame in failing if blame.url and not blame.failed_step}
    unexplained = {blame.run for _, blame in failing if not blame.annotations}
    return FailureFocus(frozenset(commits), frozenset(urls), frozenset(unexplained))
