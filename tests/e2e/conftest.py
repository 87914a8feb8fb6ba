"""The stack that the live tests share, because starting one takes seconds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.live import PACE, AcceleratedStack, LiveStack, running
from tests.support.engines import PAIRS

CONFIG = """
sources:
  - {name: trunks, type: recorded, path: trunks.ndjson, poll_interval: 200ms}
  - {name: other, type: recorded, path: other.ndjson, poll_interval: 200ms}
jobs: {preset: pytorch}
groups:
  - {name: at-once, match: {job_name: ".*at_once.*"}, failures_to_open: 1}
  - {name: inductor, match: {workflow: "inductor.*"}, team: broken-inductor, priority: P2}
green:
  - {repo: o/stale, branch: main, required: [".*"]}
"""


# Not of the session: an idle stack would use the processors until the last test of all.
@pytest.fixture(scope="package", params=PAIRS)
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveStack]:
    """Run the stack without results; each test uses its own repository."""
    folder = tmp_path_factory.mktemp("live")
    for name in ("trunks", "other"):
        (folder / f"{name}.ndjson").touch()
    with running(folder, CONFIG, AcceleratedStack, PACE, request.param) as live:
        yield live


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder: each runs the whole stack or a server of it."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.live)
