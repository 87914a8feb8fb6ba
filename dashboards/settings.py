"""Constants of the dashboards: limits, texts and colours."""

# The dashed line of the trend: the default N of the policy, "three commits in a row". A group with
# its own N opens its outage at that N; one line for all jobs can only show the default.
FAILURES_TO_OPEN = 3

# How long the last values are shown without a scrape. The alert rules hold for the same time, so
# that a notification and the table name the same jobs.
HOLD = "30m"

# The alert TrunkDataStale fires at this age, or at three poll intervals if that is longer.
STALE_AFTER_SECONDS = 900
STALE_POLLS = 3

# The range in which the alert TrunkwatchQuotaNearlySpent looks for the whole quota, and the share
# of it at which it fires.
QUOTA_MEMORY = "2h"
QUOTA_NEARLY_SPENT = 0.1

# The exporter is no longer ready at this age (five polls of the default interval).
LATE_AFTER_SECONDS = 300

# Grey means unknown. It is the base step of every threshold, because Grafana shows an empty result
# in the base colour: with a green base a stopped exporter would look healthy.
UNKNOWN = "#8e8e8e"
# Blue, orange and red can be distinguished by colour-blind people. Words and signs repeat the
# meaning.
GOOD, WARN, BAD = "blue", "orange", "red"
NO_DATA = "no data"
# The text of a cell without a value.
UNKNOWN_TEXT = "unknown"
