"""A source that is told of a small world by webhooks, and what GitHub would tell of it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trunkwatch.sources import WebhookSource

from tests.github.plan import Job, Workflow, hanging, skipped, superseded
from tests.github.player import Player, playing, truth, what_differs
from tests.github.webhooks import Delivery, deliveries
from tests.github.world import T0, World

REPO = "o/r"
SECRET = "of-the-webhook"
CI = Workflow("ci", ".github/workflows/ci.yml")
SLOW = Workflow("slow", ".github/workflows/slow.yml")
CALLED = Workflow("called", ".github/workflows/called.yml")

BEGIN = T0 + 900
"""When the exporter starts: the first commit is done, the others have yet to be pushed."""

END = T0 + 6000
"""When everything has been said."""

HEALING = 2400.0
"""Seconds after which polling has noticed whatever no webhook told: re-runs take half an hour."""


def small_world() -> World:
    """Return four commits with a failure, a flake, a hang, a start that fails, and a fork."""
    world = World(BEGIN)
    repo = world.repo(REPO)
    for number in range(4):
        at = T0 + number * 1200
        commit = repo.commit(f"Change number {number}", at=at)
        bad = "failure" if number else "success"
        jobs = [Job("bad", end=200, conclusion=bad, failed_step="Test"), Job("good", end=250)]
        again = Job("again", end=220, conclusion="failure" if number == 2 else "success")
        run = repo.run(commit, CI, [*jobs, again], at=at + 5)
        if number == 2:
            run.rerun(at + 600, [Job("again", end=100)], copies=True)
        slow = [superseded("cut", end=650), hanging("hangs", limit=360) if number else Job("hangs")]
        if number == 1:
            repo.run(commit, SLOW, at=at + 6, startup_failure=True)
        else:
            repo.run(commit, SLOW, slow, at=at + 6)
        repo.run(commit, CALLED, [skipped("maybe", at=0.0)], at=at + 7)
        failing = [Job("good", end=100, conclusion="failure")]
        repo.run(commit, CI, failing, at=at + 8, event="pull_request", head_repo="fork/r")
    return world


@cache
def told() -> tuple[Delivery, ...]:
    """Return all that GitHub would tell of the small world, but check runs of its own."""
    found = deliveries(small_world(), BEGIN, END)
    return tuple(each for each in found if each.event != "check_run")


class Listening:
    """A player that also takes deliveries.

    Attributes:
        player: with its source.
        looks: deliveries that asked for a refresh.
    """

    def __init__(self, player: Player) -> None:
        """Args:
        player: that is told.
        """
        self.player = player
        self.looks = 0

    def hear(self, event: str, body: Mapping[str, Any]) -> bool:
        """Take one delivery as the exporter does; whether it was about anything watched."""
        source = self.player.source
        assert isinstance(source, WebhookSource)
        sent = Delivery(0.0, event, "one", json.dumps(body).encode())
        headers = {name.lower(): value for name, value in sent.headers(SECRET).items()}
        delivery = source.parse_delivery(headers, sent.body)
        if delivery.update is None:
            return False
        self.player.watcher.ingest_delivery("gh", delivery.update)
        self.player.watcher.evaluate_pending()
        self.looks += delivery.update.needs_refresh
        return True

    def take(self, each: Delivery) -> bool:
        """Take one delivery of the stand-in."""
        return self.hear(each.event, each.document)

    def refresh_while(self, arriving: Sequence[Delivery]) -> None:
        """Refresh, with deliveries that arrive after GitHub was asked and before that is stored."""
        watcher, source = self.player.watcher, self.player.source
        refresh = source.refresh(watcher.state("gh"))
        for each in arriving:
            self.take(each)
        watcher.ingest_refresh("gh", refresh, lambda: 0.0)

    def differs(self) -> dict[str, tuple[Any, Any]]:
        """Return what is said otherwise than it is."""
        return what_differs(self.player.jobs(), truth(self.player, REPO))

    def healed(self) -> dict[str, tuple[Any, Any]]:
        """Return what still differs when polling has had the time to notice everything."""
        self.player.pass_time(HEALING, every=HEALING / 20)
        assert self.player.refresh().counted == 0, "something is asked for again and again"
        return self.differs()


@contextmanager
def listening(world: World | None = None, more: str = "") -> Iterator[Listening]:
    """Start at the world's time, with everything read that is there by then."""
    with TemporaryDirectory() as folder:
        secret = Path(folder) / "secret"
        secret.write_text(SECRET, encoding="utf-8")
        more = f"{more}, webhook_secret_file: {secret}"
        with playing(world or small_world(), REPO, more) as player:
            player.refresh_to_the_end()
            yield Listening(player)


def notes_of(play: Listening) -> dict[str, str]:
    """Return what is kept, but for the jobs of pull requests, whose run never becomes known."""
    notes = play.player.watcher.state("gh").entries
    return {key: text for key, text in notes.items() if " pending " not in key}
