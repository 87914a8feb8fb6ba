"""The expected routes: the table against which amtool checks Alertmanager's routes."""

BROKEN = {"alertname": "TrunkJobBroken", "repo": "o/r", "branch": "main", "group": "g"}
SILENT = BROKEN | {"alertname": "TrunkJobSilent"}


def of_trunk(alert: str, priority: str) -> dict[str, str]:
    """Return the labels of an alert that concerns no job."""
    return {"alertname": alert, "team": "trunk", "priority": priority}


# (labels, the only receiver that is notified)
ROUTES: list[tuple[dict[str, str], str]] = [
    # A team with its own route: its pager, its tickets, its low-priority list.
    ({**BROKEN, "team": "broken-inductor", "priority": "P0"}, "broken-inductor-page"),
    ({**BROKEN, "team": "broken-inductor", "priority": "P1"}, "broken-inductor-page"),
    ({**BROKEN, "team": "broken-inductor", "priority": "P2"}, "broken-inductor-ticket"),
    ({**BROKEN, "team": "broken-inductor", "priority": "P3"}, "broken-inductor-low"),
    # Its own route also receives alerts with an unknown priority or none.
    ({**BROKEN, "team": "broken-inductor", "priority": "P9"}, "broken-inductor-ticket"),
    ({**BROKEN, "team": "broken-inductor"}, "broken-inductor-ticket"),
    # Team trunk, the owner of the group `default`.
    ({**BROKEN, "team": "trunk", "priority": "P0"}, "page"),
    ({**BROKEN, "team": "trunk", "priority": "P1"}, "page"),
    ({**BROKEN, "team": "trunk", "priority": "P2"}, "ticket"),
    ({**BROKEN, "team": "trunk", "priority": "P3"}, "low"),
    # Alerts of a team without a route go to team trunk, by priority.
    ({**BROKEN, "team": "no-such-team", "priority": "P0"}, "page"),
    ({**BROKEN, "team": "no-such-team", "priority": "P1"}, "page"),
    ({**BROKEN, "team": "no-such-team", "priority": "P2"}, "ticket"),
    ({**BROKEN, "team": "no-such-team", "priority": "P3"}, "low"),
    # Alerts that no route matches go to the root's receiver. P10 is not P1: matchers are anchored.
    ({**BROKEN, "team": "no-such-team", "priority": "P10"}, "unrouted"),
    ({**BROKEN, "team": "trunk", "priority": "p2"}, "unrouted"),
    ({"alertname": "SomebodyElses"}, "unrouted"),
    # The heartbeat of another stack, such as kube-prometheus', must not stand in for Trunkwatch's.
    ({"alertname": "Watchdog", "severity": "none"}, "unrouted"),
    # The heartbeat, with any other labels.
    ({"alertname": "TrunkwatchWatchdog"}, "heartbeat"),
    ({"alertname": "TrunkwatchWatchdog", "team": "trunk", "priority": "P3"}, "heartbeat"),
    # A silent job's alert goes to the job's team, always with P3.
    ({**SILENT, "team": "broken-inductor", "priority": "P3"}, "broken-inductor-low"),
    ({**SILENT, "team": "no-such-team", "priority": "P3"}, "low"),
    # Alerts that concern no job go to team trunk.
    (of_trunk("TrunkCommitBrokeEverything", "P1"), "page"),
    (of_trunk("TrunkNotGreen", "P2"), "ticket"),
    (of_trunk("TrunkDataStale", "P2"), "ticket"),
    (of_trunk("TrunkDataDoubtful", "P2"), "ticket"),
    (of_trunk("TrunkwatchExporterDown", "P2"), "ticket"),
    (of_trunk("TrunkJobRetired", "P3"), "low"),
    (of_trunk("TrunkStreakTruncated", "P3"), "low"),
    (of_trunk("TrunkwatchSourceFailing", "P3"), "low"),
    (of_trunk("TrunkwatchQuotaNearlySpent", "P3"), "low"),
    (of_trunk("TrunkwatchJobsDropped", "P3"), "low"),
    (of_trunk("TrunkwatchWebhooksRejected", "P3"), "low"),
    (of_trunk("TrunkwatchReloadFailed", "P2"), "ticket"),
    (of_trunk("TrunkwatchStorageFailing", "P2"), "ticket"),
    (of_trunk("TrunkwatchShardMissing", "P2"), "ticket"),
    (of_trunk("TrunkwatchShardDoubled", "P3"), "low"),
    (of_trunk("TrunkwatchTicketsFailing", "P2"), "ticket"),
    (of_trunk("TrunkwatchConfirmFailing", "P3"), "low"),
    (of_trunk("TrunkwatchColdStart", "P3"), "low"),
    (of_trunk("TrunkwatchUnknownConclusions", "P3"), "low"),
]
