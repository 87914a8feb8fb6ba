"""From what is true to the ticket that says so: its text, its labels, and what it has told of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from trunkwatch.tickets.facts import (
    Alert,
    GroupFacts,
    JobFacts,
    JobName,
    Key,
    Links,
    Picture,
    links_of,
)
from trunkwatch.tickets.markdown import one_line
from trunkwatch.tickets.model import Listed, Settings, State, Ticket
from trunkwatch.tickets.render import View, body_of, title_of

LABEL_LIMIT = 50
"""Characters of a label, the most that GitHub takes."""

ORIGIN = "Source:trunkwatch"
"""The label by which issues are found again when the storage file is lost."""


@dataclass(frozen=True, slots=True)
class Scene:
    """All that a decision is made of.

    Attributes:
        key: what it is about.
        ticket: as remembered; None where there has been none.
        picture: what the exporter says of the trunk now.
        alerts: of the key, as Alertmanager has them now; None where it does not answer.
        permitted: jobs of the key whose firing alert was delivered.
        alertmanager: address of Alertmanager's own page, where known.
        now: seconds since the epoch.
    """

    key: Key
    ticket: Ticket | None
    picture: Picture
    alerts: Mapping[JobName, Alert] | None
    permitted: frozenset[JobName]
    alertmanager: str | None
    now: float

    @property
    def broken(self) -> tuple[JobFacts, ...]:
        """The broken jobs of the group."""
        return self.picture.broken(self.key.group)

    def may_open(self, jobs: Iterable[JobFacts]) -> bool:
        """Whether somebody is to hear of these jobs.

        A delivery says that the key is routed here. Whether an alert is silenced or inhibited now
        is Alertmanager's to say; while it does not answer, what it has delivered counts.
        """
        if not self.permitted:
            return False
        if self.alerts is None:
            return any(job.name in self.permitted for job in jobs)
        return any(job.name in self.alerts and self.alerts[job.name].active for job in jobs)


def new_ticket(scene: Scene, settings: Settings, nonce: str, before: int | None = None) -> Ticket:
    """Return the ticket of an issue that is not there yet."""
    group = _group(scene, None)
    links = links_of(_alerts(scene), _links(scene, settings))
    view = _view(scene, settings, group, links, before)
    return Ticket(
        key=scene.key,
        repo=settings.repo_of(scene.key),
        number=None,
        nonce=nonce,
        state=State.OPEN,
        title=title_of(view),
        body=body_of(view, nonce),
        listed=told_of(scene.broken, {}),
        team=group.team,
        priority=group.priority,
        links=links,
        opened_at=scene.now,
        before=before,
    )


def edited(scene: Scene, ticket: Ticket, settings: Settings) -> tuple[Ticket, dict[str, str]]:
    """Return the ticket with the text that is true now, and the fields that differ from before."""
    group = _group(scene, ticket)
    ours = _links(scene, settings)
    known = ticket.links._replace(
        dashboard=ours.dashboard or ticket.links.dashboard,
        alertmanager=ticket.links.alertmanager or ours.alertmanager,
    )
    links = links_of(_alerts(scene), known)
    view = _view(scene, settings, group, links, ticket.before)
    title, body = title_of(view), body_of(view, ticket.nonce)
    # What did not change is not sent: a title that a person has put right stays until ours changes.
    fields = {
        name: text
        for name, text, sent in (("title", title, ticket.title), ("body", body, ticket.body))
        if text != sent
    }
    after = replace(
        ticket, title=title, body=body, links=links, team=group.team, priority=group.priority
    )
    return after, fields


def _view(
    scene: Scene, settings: Settings, group: GroupFacts, links: Links, before: int | None
) -> View:
    zone = settings.timezone_of(group.team)
    return View(scene.key, group, scene.broken, links, zone, before)


def _group(scene: Scene, ticket: Ticket | None) -> GroupFacts:
    """A group without jobs is not told of any more; what was last known of it stands in."""
    found = scene.picture.groups.get(scene.key.group)
    if found is not None:
        return found
    return GroupFacts(ticket.team if ticket else "", ticket.priority if ticket else "", 1, 0)


def _links(scene: Scene, settings: Settings) -> Links:
    return Links(
        dashboard=settings.dashboard_of(scene.key),
        alertmanager=scene.alertmanager,
    )


def _alerts(scene: Scene) -> list[Alert]:
    return [scene.alerts[name] for name in sorted(scene.alerts)] if scene.alerts else []


def told_of(broken: Iterable[JobFacts], before: Mapping[JobName, Listed]) -> dict[JobName, Listed]:
    """Return what is told of: what is broken now, and of what was told before that it has ended."""
    ended = {name: job._replace(broken=False) for name, job in before.items()}
    now = {
        job.name: Listed(job.first_bad.sha if job.first_bad else None, job.since, True)
        for job in broken
    }
    return {**ended, **now}


def labels_of(ticket: Ticket, settings: Settings) -> tuple[str, ...]:
    """Labels hold no comma: lists of them are separated by it."""
    own = (f"Pri:{ticket.priority}", f"Team:{ticket.team}", ORIGIN)
    wanted = (one_line(label, LABEL_LIMIT).replace(",", " ") for label in (*own, *settings.labels))
    return tuple(dict.fromkeys(wanted))
