"""Generated from rules/trunkwatch.rules.yml by `make docs`; do not edit."""

from collections.abc import Mapping

OWN_ALERTS: Mapping[str, str] = {
    "TrunkCommitBrokeEverything": "P1",
    "TrunkNotGreen": "P2",
    "TrunkDataStale": "P2",
    "TrunkDataDoubtful": "P2",
    "TrunkJobRetired": "P3",
    "TrunkStreakTruncated": "P3",
    "TrunkwatchExporterDown": "P2",
    "TrunkwatchShardMissing": "P2",
    "TrunkwatchShardDoubled": "P3",
    "TrunkwatchSourceFailing": "P3",
    "TrunkwatchQuotaNearlySpent": "P3",
    "TrunkwatchJobsDropped": "P3",
    "TrunkwatchWebhooksRejected": "P3",
    "TrunkwatchReloadFailed": "P2",
    "TrunkwatchStorageFailing": "P2",
    "TrunkwatchColdStart": "P3",
    "TrunkwatchUnknownConclusions": "P3",
    "TrunkwatchTicketsFailing": "P2",
    "TrunkwatchConfirmFailing": "P3",
    "TrunkwatchWatchdog": "P3",
}
"""The alerts that belong to no job, with their priorities; their team is the default group's."""
