"""A ledger of the alerts that were exported, and how they ended (docs/policy.md, section 3.17).

The results and the configuration decide whether an outage alerts. The alerts are remembered for two
reasons: an edit of the configuration must not end one without a reason, and an end has to be
explained when the job, group or repository is gone.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import takewhile

from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import JobKey, Trunk, TrunkOrder, Verdict
from trunkwatch.domain.outage import episodes
from trunkwatch.domain.walk import EndedOutage
from trunkwatch.engine.shown import Alert, AlertKey, End, Ended, outage_of
from trunkwatch.engine.snapshot import TrunkState

KEPT_SECONDS = 45 * 60.0
"""Seconds for which an ended alert is exported: a restart of Prometheus of 35 minutes and several
scrapes. The rules remember the newest end for an hour; that must be longer."""

AlertChanges = Mapping[AlertKey, Alert | None]
"""Changed alerts; None for one that is forgotten."""


class AlertLedger:
    """The alerts that are exported, and those that ended recently. Not safe for threads."""

    def __init__(self, stored: Iterable[Alert] = ()) -> None:
        """Args:
        stored: the alerts of an earlier process or configuration.
        """
        self._alerting: dict[Trunk, dict[JobKey, Alert]] = {}
        # Of each of these trunks, the commits among which its alerts began.
        self._orders: dict[Trunk, TrunkOrder] = {}
        self._ended: dict[AlertKey, Alert] = {}
        # An unchanged job is the same object: its alert is not built and compared again.
        self._seen: dict[JobKey, JobState] = {}
        self._changes: dict[AlertKey, Alert | None] = {}
        for alert in stored:
            if alert.end is None:
                self._alerting.setdefault(alert.key.job.trunk, {})[alert.key.job] = alert
            else:
                self._ended[alert.key] = alert

    @property
    def changes(self) -> AlertChanges:
        """The alerts that differ from the stored ones."""
        return self._changes

    def changes_saved(self) -> None:
        """Clear `changes`, once they are stored."""
        self._changes = {}

    def alerting(self, trunk: Trunk) -> frozenset[JobKey]:
        """Return the jobs of a trunk that alert; later updates do not change the result."""
        return frozenset(self._alerting.get(trunk, ()))

    def trunks(self) -> list[Trunk]:
        """Return the trunks with an alert."""
        return list(self._alerting)

    def ended(self, now: float) -> tuple[Alert, ...]:
        """Return the alerts that ended recently, sorted; forget older ones.

        Args:
            now: seconds since the epoch.
        """
        for key, alert in tuple(self._ended.items()):
            if alert.end is not None and now - alert.end.noticed_at >= KEPT_SECONDS:
                del self._ended[key]
                self._changes[key] = None
        return tuple(alert for _, alert in sorted(self._ended.items()))

    def update(self, state: TrunkState, now: float) -> None:
        """Record the alerts that a trunk's new state opens, changes and ends.

        Args:
            state: the new state.
            now: seconds since the epoch.
        """
        alerts = self._alerting.setdefault(state.trunk, {})
        ended = alerts.keys() - {job.key for job in state.alerting}
        for job in state.alerting:
            if self._seen.get(job.key) is not job:
                self._seen[job.key] = job
                self._show(alerts, job, now)
        for key in sorted(ended):
            alert = alerts.pop(key)
            before = self._orders.get(state.trunk)
            self._end(alert, _end_of(alert, state, before, now))
        self._orders[state.trunk] = state.order
        if not alerts:
            del self._alerting[state.trunk], self._orders[state.trunk]

    def drop(self, trunk: Trunk, now: float, *, is_configured: bool) -> None:
        """End the alerts of a trunk that is no longer watched.

        Args:
            trunk: the trunk.
            now: seconds since the epoch.
            is_configured: whether the configuration selects the trunk. If so, the trunk is gone.
        """
        reason = Ended.REMOVED if is_configured else Ended.UNWATCHED
        self._orders.pop(trunk, None)
        for _, alert in sorted(self._alerting.pop(trunk, {}).items()):
            self._end(alert, End(reason, now, now))

    def forget(self, trunk: Trunk) -> None:
        """Forget the alerts of a trunk that another exporter reads now: they have not ended."""
        self._orders.pop(trunk, None)
        for alert in self._alerting.pop(trunk, {}).values():
            self._changes[alert.key] = None

    def _show(self, alerts: dict[JobKey, Alert], job: JobState, now: float) -> None:
        alert, before = outage_of(job), alerts.get(job.key)
        if alert is None or alert == before:
            return
        if before is not None and before.key != alert.key:
            where = f"group {alert.key.group}, team {alert.key.team}, {alert.key.priority}"
            self._end(before, End(Ended.MOVED, now, now, detail=where))
        self._ended.pop(alert.key, None)
        alerts[job.key] = self._changes[alert.key] = alert

    def _end(self, alert: Alert, end: End) -> None:
        self._seen.pop(alert.key.job, None)
        self._ended[alert.key] = self._changes[alert.key] = alert._replace(end=end)


def _listed(state: TrunkState, key: JobKey) -> JobState | None:
    """Return a job of the trunk's list, which is sorted; None if it has no such job."""
    index = bisect_left(state.jobs, key, key=lambda job: job.key)
    found = state.jobs[index] if index < len(state.jobs) else None
    return found if found is not None and found.key == key else None


def _end_of(alert: Alert, state: TrunkState, before: TrunkOrder | None, now: float) -> End:
    """Return the end of an alert that a trunk's new state does not have.

    Args:
        alert: the alert.
        state: the new state.
        before: the trunk when the alert was last seen; None where unknown.
        now: seconds since the epoch.
    """
    key = alert.key.job
    job = _listed(state, key)
    if job is None:
        if key in state.removed_broken:
            return End(Ended.REMOVED, now, now)
        # Without its commits a job has no results left, whatever the configuration watches.
        is_on_trunk = alert.first_bad.sha in state.order.index
        return End(Ended.UNWATCHED if is_on_trunk else Ended.REVISED, now, now)
    if job.broken and job.known_broken is not None:
        return End(Ended.MUTED, now, now, detail=job.known_broken[0])
    if job.broken or job.ended is None or not _has_closed(alert, job, state.order, before):
        return End(Ended.REVISED, now, now)
    closed = _closed_by(alert, job, state.order)
    commit = state.order.commits[closed.ended_by]
    at = closed.ended_at if closed.ended_at is not None else now
    reason = Ended.FIXED if Verdict.PASS in job.history.at(closed.ended_by) else Ended.FLAKY
    return End(reason, now, min(at, now), commit)


def _closed_by(alert: Alert, job: JobState, order: TrunkOrder) -> EndedOutage:
    """Return the end of the outage of an alert, which the job has closed.

    Usually it is the last one of the job; others may have opened and closed since the last look.
    """
    assert job.ended is not None, "a job without a closed outage"
    began = order.index.get(alert.first_bad.sha)
    if began is None or began >= job.ended.first_bad:
        return job.ended
    places = list(job.history.since(began))
    thresholds = job.group.thresholds_of(job.key.job_name)
    first = next(episodes([place.verdict for place in places], thresholds), None)
    if first is None or first.closed is None:
        return job.ended
    index = places[first.closed].commit_index
    if index == job.ended.ended_by:
        return job.ended
    return EndedOutage(began, index, order.commits[index].committed_at)


def _has_closed(alert: Alert, job: JobState, order: TrunkOrder, before: TrunkOrder | None) -> bool:
    """Return whether the outage that a job closed last is that of an alert, or a later one.

    Args:
        alert: the alert.
        job: a job with a closed outage and no open one.
        order: the trunk.
        before: the trunk when the alert was last seen; None where unknown.
    """
    ended = job.ended
    assert ended is not None, "a job without a closed outage"
    began = order.index.get(alert.first_bad.sha)
    if began is not None:
        return began <= ended.ended_by
    is_older = _is_older(alert.first_bad.sha, order, before)
    if is_older is not None:
        return is_older
    # Nothing connects the two histories: the outage may be the same if it reaches their border.
    older = takewhile(lambda place: place.commit_index < ended.first_bad, job.history.since(0))
    return order.older_unread and not any(place.verdict.decided for place in older)


def _is_older(sha: str, order: TrunkOrder, before: TrunkOrder | None) -> bool | None:
    """Return whether a commit that left the trunk is older than all that are read of it now.

    False for one that a rewritten history removed; None where that is unknown.

    Args:
        sha: its hash.
        order: the trunk.
        before: the trunk as it was with the commit.
    """
    if before is None or sha not in before.index:
        return None
    oldest = before.index.get(order.commits[0].sha)
    if oldest is not None:
        return before.index[sha] < oldest
    return False if before.commits[0].sha in order.index else None
