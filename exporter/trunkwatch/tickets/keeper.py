"""Keeps every ticket true: a round looks at each key, and plans survive whatever ends a round."""

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Protocol

from trunkwatch.errors import (
    IssueGone,
    ReadingError,
    TrackerError,
    TrackerLimited,
    TrackerRefused,
)
from trunkwatch.tickets.carrier import Carrier, KeeperTools
from trunkwatch.tickets.compose import Scene
from trunkwatch.tickets.counts import Health
from trunkwatch.tickets.decide import Decision, adopted, decide, dismissed
from trunkwatch.tickets.facts import Alerts, Key, Picture
from trunkwatch.tickets.issues import Found, Issues
from trunkwatch.tickets.ledger import Ledger
from trunkwatch.tickets.model import Create, Settings, State, Ticket
from trunkwatch.tickets.pauses import Pauses
from trunkwatch.tickets.payload import Permit

log = logging.getLogger(__name__)

DECISIONS = 3
"""Decisions about one key in one round: one, and one more after an issue was found or had gone."""

_REPO = re.compile(r"[\w.-]+/[\w.-]+")


class Readings(Protocol):
    """Tells what is true now; both methods raise ReadingError."""

    def trunk(self, repo: str, branch: str) -> Picture:
        """Return what the exporter says of a trunk."""

    def alerts(self) -> Alerts:
        """Return the alerts that have not resolved."""


class Keeper:
    """Looks at every key that needs it; one thread at a time."""

    def __init__(
        self,
        ledger: Ledger,
        issues: Issues,
        readings: Readings,
        settings: Settings,
        tools: KeeperTools,
    ) -> None:
        """Args:
        ledger: remembers.
        issues: on GitHub.
        readings: what is true.
        settings: of the configuration.
        tools: time and counts.
        """
        self._ledger = ledger
        self._issues = issues
        self._carrier = Carrier(ledger, issues, tools)
        self._readings = readings
        self._settings = settings
        self._tools = tools
        self._pauses = Pauses()
        self._troubles: dict[str, str] = {}
        self._held: set[Key] = set()
        self._began = 0.0

    def round(self) -> None:
        """Look at every key once; what fails is tried again in a later round."""
        self._troubles = {}
        self._began = self._tools.clock()
        permits, tickets = self._ledger.permits(), self._ledger.tickets()
        keys = {*self._ledger.plans(), *permits, *(k for k, t in tickets.items() if _is_live(t))}
        if keys:
            self._look_at(keys, permits)
        self._tools.counts.health = self._health()

    def _look_at(self, keys: Iterable[Key], permits: Mapping[Key, list[Permit]]) -> None:
        alerts = self._alerts()
        pictures: dict[tuple[str, str], Picture | None] = {}
        for key in sorted(keys):
            trunk = key[:2]
            if trunk not in pictures:
                pictures[trunk] = self._picture(*trunk)
            now = self._tools.clock()
            if not self._pauses.over(now):
                self._troubles["github"] = self._pauses.why
                return
            if self._pauses.over(now, key):
                self._try(key, pictures[trunk], alerts, permits.get(key, []))

    def _try(
        self, key: Key, picture: Picture | None, alerts: Alerts | None, permits: list[Permit]
    ) -> None:
        try:
            self._look(key, picture, alerts, permits)
        except TrackerRefused as error:
            # Only this key's business: the next one may be in another repository.
            self._pauses.pause(self._tools.clock(), str(error), key)
        except TrackerError as error:
            until = error.until if isinstance(error, TrackerLimited) else None
            self._pauses.pause(self._tools.clock(), str(error), until=until)
        else:
            self._pauses.went_well(key)
            return
        self._troubles["github"] = self._pauses.why
        log.warning("%s %s %s: %s; it is tried again", *key, self._pauses.why)

    # ------------------------------------------------------------------ what is true

    def _alerts(self) -> Alerts | None:
        try:
            return self._readings.alerts()
        except ReadingError as error:
            self._trouble("alertmanager", error)
            return None

    def _picture(self, repo: str, branch: str) -> Picture | None:
        try:
            return self._readings.trunk(repo, branch)
        except ReadingError as error:
            self._trouble("exporter", error)
            return None

    def _trouble(self, peer: str, error: ReadingError) -> None:
        self._troubles[peer] = str(error)
        log.warning("%s: %s; no issue is closed meanwhile", peer, error)

    # ------------------------------------------------------------------ one key

    def _look(
        self, key: Key, picture: Picture | None, alerts: Alerts | None, permits: list[Permit]
    ) -> None:
        self._held.discard(key)
        plan = self._ledger.plans().get(key)
        if plan is not None and not self._carrier.carry_out(plan, fresh=False):
            return
        for _ in range(DECISIONS):
            ticket = self._seen(self._ledger.tickets().get(key))
            if picture is None:
                return
            scene = _scene(key, ticket, picture, alerts, permits, self._tools.clock())
            if not self._act(scene, decide(scene, self._settings)):
                return

    def _seen(self, ticket: Ticket | None) -> Ticket | None:
        """Return a ticket with what a person has done to its issue since."""
        if ticket is None or ticket.gone or not _is_live(ticket):
            return ticket
        now = self._tools.clock()
        try:
            closed_at = self._issues.closed_at(ticket)
        except IssueGone:
            closed_at, seen = now, replace(ticket, gone=True)
        else:
            seen = ticket
        if ticket.state is State.OPEN and closed_at is not None:
            seen = dismissed(seen, closed_at)
        elif ticket.state is State.DISMISSED and closed_at is None:
            seen = replace(seen, state=State.OPEN, closed_at=None)
        if seen != ticket:
            log.info("%s#%s was changed by a person: %s", seen.repo, seen.number, seen.state)
            self._ledger.record(seen)
            self._tools.checkpoint("a person's change is recorded")
        return seen

    def _act(self, scene: Scene, decision: Decision) -> bool:
        """Do what was decided; return whether to decide again."""
        if decision.forget:
            # Not what came since: it was not there when all of this was read.
            self._ledger.forget(scene.key, self._began)
        if decision.record is not None:
            self._ledger.record(decision.record)
        if decision.plan is None:
            return False
        if isinstance(decision.plan.steps[0], Create) and not self._may_create(scene):
            return False
        if isinstance(decision.plan.steps[0], Create) and self._adopts(scene):
            return True
        plan = self._ledger.write(decision.plan)
        self._tools.checkpoint(f"{plan.why}: the plan is written")
        self._carrier.carry_out(plan, fresh=True)
        return False

    def _may_create(self, scene: Scene) -> bool:
        repo = self._settings.repo_of(scene.key)
        if not _REPO.fullmatch(repo):
            raise TrackerRefused(f"{repo!r} is no repository; name one in tickets.repo", 0)
        if self._ledger.created_since(self._tools.clock()) < self._settings.max_new_per_hour:
            return True
        log.warning("%s %s %s: held back, tickets.max_new_per_hour is reached", *scene.key)
        self._held.add(scene.key)
        return False

    def _adopts(self, scene: Scene) -> bool:
        """Take up an issue that is there already, although nothing is remembered of it."""
        settings, now = self._settings, self._tools.clock()
        since = None if scene.ticket is not None else now - settings.reopen_within
        found = self._issues.find(settings.repo_of(scene.key), scene.key, since)
        if found is None:
            return False
        log.info("%s#%d is taken up again", settings.repo_of(scene.key), found.number)
        ticket = adopted(
            scene,
            settings,
            found.number,
            found.marker.nonce,
            _state_of(found),
            found.closed_at or now,
        )
        self._ledger.record(ticket)
        self._tools.checkpoint("an adopted issue is recorded")
        return True

    # ------------------------------------------------------------------ how it goes

    def _health(self) -> Health:
        tickets = self._ledger.tickets().values()
        waiting = {*self._ledger.plans(), *self._held, *self._pauses.keys}
        return Health(
            open=sum(ticket.state is State.OPEN for ticket in tickets),
            waiting=len(waiting),
            round_at=self._tools.clock(),
            troubles=dict(self._troubles),
        )


def _is_live(ticket: Ticket) -> bool:
    """Whether a ticket has to be looked at although nothing was delivered."""
    ongoing = ticket.state is State.DISMISSED and ticket.quiet_since is None
    return ticket.state is State.OPEN or ongoing


def _scene(
    key: Key,
    ticket: Ticket | None,
    picture: Picture,
    alerts: Alerts | None,
    permits: list[Permit],
    now: float,
) -> Scene:
    return Scene(
        key=key,
        ticket=ticket,
        picture=picture,
        alerts=None if alerts is None else alerts.get(key, {}),
        permitted=frozenset(permit.job for permit in permits),
        alertmanager=next((p.alertmanager for p in reversed(permits) if p.alertmanager), None),
        now=now,
    )


def _state_of(found: Found) -> State:
    if found.closed_at is None:
        return State.OPEN
    return State.CLOSED if found.marker.state == "resolved" else State.DISMISSED
