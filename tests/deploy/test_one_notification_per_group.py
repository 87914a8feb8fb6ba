"""The notifications that a real Alertmanager with the project's settings sends, and when."""

import queue
import shutil
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.deploy.files import ALERTMANAGER, TEMPLATES, load
from tests.deploy.live import PATIENCE, Inbox, Message, post, running, serving
from tests.support.engines import PAIRS

pytestmark = pytest.mark.live

PROBE = "the probe"


class Delivery(NamedTuple):
    """One notification, as a webhook receives it.

    Attributes:
        receiver: the name in Alertmanager's settings.
        status: `firing` while any of its alerts fires, else `resolved`.
        jobs: the status of each job by name; of an alert without a job, that of its branch.
    """

    receiver: str
    status: str
    jobs: dict[str, str]


class Alertmanager:
    """A running Alertmanager, and what it sent about one repository."""

    def __init__(self, port: int, repo: str, queues: dict[str, queue.Queue[Delivery]]) -> None:
        self._port = port
        self._repo = repo
        self._queues = queues
        self.told = queues[repo]

    def post(self, *alerts: dict[str, Any]) -> None:
        """Send alerts of the repository as Prometheus does."""
        post(self._port, *({**a, "labels": a["labels"] | {"repo": self._repo}} for a in alerts))

    def take(self) -> Delivery:
        """Return the next notification about the repository's jobs."""
        return self.told.get(timeout=PATIENCE)

    def let_an_interval_pass(self) -> None:
        """Return when every group has been evaluated again.

        A probe in its own group fires and is resolved. Its resolve is sent one group_interval after
        its start at the earliest, and every other group is evaluated within that time.
        """
        for ended in (False, True):
            post(self._port, alert({"alertname": "Probe", "repo": PROBE}, ended=ended))
            self._queues[PROBE].get(timeout=PATIENCE)


def alert(labels: dict[str, str], *, title: str = "", ended: bool = False) -> dict[str, Any]:
    """Return an alert in the form of Alertmanager's API."""
    end = timedelta(seconds=-1) if ended else timedelta(minutes=10)
    return {
        "labels": labels,
        "annotations": {"description": f"Title: {title}"},
        "endsAt": (datetime.now(UTC) + end).isoformat(),
    }


def broken(
    job: str,
    *,
    group: str = "inductor",
    branch: str = "main",
    commits: int = 3,
    ended: bool = False,
) -> dict[str, Any]:
    """Return a TrunkJobBroken of team broken-inductor."""
    labels = {
        "alertname": "TrunkJobBroken",
        "branch": branch,
        "workflow": "ci",
        "job_name": job,
        "group": group,
        "team": "broken-inductor",
        "priority": "P2",
    }
    return alert(labels, title=f"broken for {commits} commits in a row", ended=ended)


def of_branch(name: str, priority: str, branch: str = "main", **labels: str) -> dict[str, Any]:
    """Return an alert of team trunk about a branch."""
    named = {"alertname": name, "branch": branch, "team": "trunk", "priority": priority}
    return alert(named | labels)


def settings(folder: Path, inbox: int) -> Path:
    """Write the settings with the webhooks and intervals of this test; return the file."""
    config = load(ALERTMANAGER)
    for receiver in config["receivers"]:
        receiver["webhook_configs"][0]["url"] = f"http://127.0.0.1:{inbox}/"
    config["route"] |= {"group_wait": "300ms", "group_interval": "500ms"}
    shutil.copytree(TEMPLATES, folder / TEMPLATES.name)
    path = folder / ALERTMANAGER.name
    path.write_text(yaml.safe_dump(config))
    return path


Running = tuple[int, dict[str, queue.Queue[Delivery]]]


@pytest.fixture(scope="module", params=PAIRS)
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """Run Alertmanager with the project's settings; every receiver posts to one inbox."""
    queues: dict[str, queue.Queue[Delivery]] = defaultdict(queue.Queue)

    def delivered(message: Message) -> None:
        body = message.body
        alerts = [alert["labels"] | {"status": alert["status"]} for alert in body["alerts"]]
        jobs = {each.get("job_name", each.get("branch")): each["status"] for each in alerts}
        # Not of the group: stale data is grouped by its source.
        queues[body["commonLabels"]["repo"]].put(Delivery(body["receiver"], body["status"], jobs))

    folder = tmp_path_factory.mktemp("alertmanager")
    with (
        serving(Inbox(delivered)) as inbox,
        running(settings(folder, inbox), request.param) as port,
    ):
        yield port, queues


@pytest.fixture
def alertmanager(shared: Running, request: pytest.FixtureRequest) -> Alertmanager:
    """Return the shared Alertmanager, with a repository of the test's own."""
    port, queues = shared
    return Alertmanager(port, f"o/{request.function.__name__}", queues)


def test_two_jobs_of_a_group_are_one_notification(alertmanager: Alertmanager) -> None:
    """Two jobs that break together are one notification; another group has its own."""
    alertmanager.post(broken("a"), broken("b"), broken("x", group="dynamo"))
    told = sorted((alertmanager.take() for _ in range(2)), key=lambda it: len(it.jobs))
    assert told == [
        Delivery("broken-inductor-ticket", "firing", {"x": "firing"}),
        Delivery("broken-inductor-ticket", "firing", {"a": "firing", "b": "firing"}),
    ]
    alertmanager.let_an_interval_pass()
    assert alertmanager.told.empty()


def test_a_new_commit_is_no_notification_and_a_new_job_is_one(alertmanager: Alertmanager) -> None:
    """A changed annotation sends nothing; another broken job sends exactly one notification."""
    alertmanager.post(broken("a"), broken("b"))
    assert alertmanager.take().jobs == {"a": "firing", "b": "firing"}

    alertmanager.post(broken("a", commits=4), broken("b", commits=4))
    alertmanager.let_an_interval_pass()
    assert alertmanager.told.empty()

    alertmanager.post(broken("c"))
    assert alertmanager.take().jobs == {"a": "firing", "b": "firing", "c": "firing"}
    alertmanager.let_an_interval_pass()
    assert alertmanager.told.empty()


def test_the_resolve_of_each_job_is_sent(alertmanager: Alertmanager) -> None:
    """A fixed job is sent as resolved while another still fires; then the last one is."""
    alertmanager.post(broken("a"), broken("b"))
    assert alertmanager.take().status == "firing"

    alertmanager.post(broken("a", ended=True))
    half = alertmanager.take()
    assert (half.status, half.jobs) == ("firing", {"a": "resolved", "b": "firing"})

    alertmanager.post(broken("b", ended=True))
    last = alertmanager.take()
    assert (last.status, last.jobs) == ("resolved", {"b": "resolved"})


def test_a_mass_breakage_silences_the_jobs_of_its_branch(alertmanager: Alertmanager) -> None:
    """A mass breakage silences the broken jobs of its own branch only."""
    alertmanager.post(of_branch("TrunkCommitBrokeEverything", "P1"))
    assert alertmanager.take().receiver == "page"

    alertmanager.post(broken("a", branch="main"), broken("a", branch="release"))
    assert alertmanager.take() == Delivery("broken-inductor-ticket", "firing", {"a": "firing"})
    alertmanager.let_an_interval_pass()
    assert alertmanager.told.empty()


def test_stale_data_is_one_notification_per_source(alertmanager: Alertmanager) -> None:
    """TrunkDataStale of two branches is one notification, another source's is its own."""
    stale = [("main", "ci"), ("release", "ci"), ("main", "edge")]
    alertmanager.post(*(of_branch("TrunkDataStale", "P2", b, source=name) for b, name in stale))
    told = sorted((alertmanager.take() for _ in range(2)), key=lambda it: len(it.jobs))
    assert [each.jobs for each in told] == [
        {"main": "firing"},
        {"main": "firing", "release": "firing"},
    ]


def test_stale_data_never_silences_a_broken_job(alertmanager: Alertmanager) -> None:
    """TrunkDataStale silences "not green" of its branch, but no broken job."""
    alertmanager.post(of_branch("TrunkDataStale", "P2", source="another"))
    assert alertmanager.take().receiver == "ticket"

    alertmanager.post(of_branch("TrunkNotGreen", "P2"), broken("a"))
    assert alertmanager.take().receiver == "broken-inductor-ticket"
    alertmanager.let_an_interval_pass()
    assert alertmanager.told.empty()
