"""Who hears what: the table that amtool checks Alertmanager's routes against."""

BROKEN = {"alertname": "TrunkJobBroken", "repo": "o/r", "branch": "main", "group": "g"}
SILENT = BROKEN | {"alertname": "TrunkJobSilent"}


def of_trunk(alert: str, priority: str) -> dict[str, str]:
    """Return the labels of an alert that is of no job."""
    return {"alertname": alert, "team": "trunk", "priority": priority}


# (labels, the one receiver that hears of it)
ROUTES: list[tuple[dict[str, str], str]] = [
    # A team with its own route: its pager, its tickets, its low-priority list.
    ({**BROKEN, "team": "broken-inductor", "priority": "P0"}, "broken-inductor-page"),
    ({**BROKEN, "team": "broken-inductor", "priority": "P1"}, "broken-inductor-page"),
    ({**BROKEN, "team": "broken-inductor", "priority": "P2"}, "broken-inductor-ticket"),
    ({**BROKEN, "team": "broken-inductor", "priority": "P3"}, "broken-inductor-low"),
    # Its own route also keeps what has a strange priority or none.
    ({**BROKEN, "team": "broken-inductor", "priority": "P9"}, "broken-inductor-ticket"),
    ({**BROKEN, "team": "broken-inductor"}, "broken-inductor-ticket"),
    # Team trunk, the owner of the group `default`.
    ({**BROKEN, "team": "trunk", "priority": "P0"}, "page"),
    ({**BROKEN, "team": "trunk", "priority": "P1"}, "page"),
    ({**BROKEN, "team": "trunk", "priority": "P2"}, "ticket"),
    ({**BROKEN, "team": "trunk", "priority": "P3"}, "low"),
    # A team without a route is heard by team trunk, as loudly as its priority asks.
    ({**BROKEN, "team": "no-such-team", "priority": "P0"}, "page"),
    ({**BROKEN, "team": "no-such-team", "priority": "P1"}, "page"),
    ({**BROKEN, "team": "no-such-team", "priority": "P2"}, "ticket"),
    ({**BROKEN, "team": "no-such-team", "priority": "P3"}, "low"),
    # What no route claims is told to the root's receiver. P10 is not P1: matchers are anchored.
    ({**BROKEN, "team": "no-such-team", "priority": "P10"}, "unrouted"),
    ({**BROKEN, "team": "trunk", "priority": "p2"}, "unrouted"),
    ({"alertname": "SomebodyElses"}, "unrouted"),
    # The heartbeat, whatever else it carries.
    ({"alertname": "Watchdog"}, "heartbeat"),
    ({"alertname": "Watchdog", "team": "trunk", "priority": "P3"}, "heartbeat"),
    # A silent job is its own team's, and never louder than P3.
    ({**SILENT, "team": "broken-inductor", "priority": "P3"}, "broken-inductor-low"),
    ({**SILENT, "team": "no-such-team", "priority": "P3"}, "low"),
    # What is of no job belongs to team trunk.
    (of_trunk("TrunkCommitBrokeEverything", "P1"), "page"),
    (of_trunk("TrunkNotGreen", "P2"), "ticket"),
    (of_trunk("TrunkDataStale", "P2"), "ticket"),
    (of_trunk("TrunkwatchExporterDown", "P2"), "ticket"),
    (of_trunk("TrunkJobRetired", "P3"), "low"),
    (of_trunk("TrunkStreakTruncated", "P3"), "low"),
    (of_trunk("TrunkwatchSourceFailing", "P3"), "low"),
    (of_trunk("TrunkwatchQuotaNearlySpent", "P3"), "low"),
    (of_trunk("TrunkwatchJobsDropped", "P3"), "low"),
    (of_trunk("TrunkwatchWebhooksRejected", "P3"), "low"),
]
