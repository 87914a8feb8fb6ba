"""Workflow files: shared concurrency, and texts that are none."""

import pytest
from trunkwatch.confirm.workflow_file import read_workflow

JOBS = "jobs: {a: {runs-on: x, steps: []}}\n"


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        (JOBS, False),
        ("concurrency: ci\n" + JOBS, True),
        ("concurrency: {group: 'ci-${{ github.ref }}', cancel-in-progress: true}\n" + JOBS, True),
        ("concurrency: {group: 'ci-${{ github.ref }}'}\n" + JOBS, True),
        ("concurrency: {group: 'ci-${{ github.sha }}'}\n" + JOBS, False),
        ("concurrency: 'ci-${{ github.run_id }}'\n" + JOBS, False),
        ("jobs: {a: {concurrency: gpu}}", True),
    ],
)
def test_shared_concurrency(text: str, shares: bool) -> None:
    """A group is shared unless it names the commit or the run."""
    assert read_workflow(text.encode()).shares_concurrency is shares


@pytest.mark.parametrize("text", ["", "jobs: [", "jobs: []", "[]", "a: 1", "\x00", "jobs: 2"])
def test_no_workflow(text: str) -> None:
    """Anything else is an error."""
    with pytest.raises(ValueError, match=r"not YAML|it has no jobs"):
        read_workflow(text.encode())
