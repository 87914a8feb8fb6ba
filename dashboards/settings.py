"""Numbers, words and colours of the dashboards, each with its reason."""

# The dashed line of the trend: the default N of the policy, "three commits in a row". A group with
# its own N opens its outage at that N; one line for all jobs can only show the default.
FAILURES_TO_OPEN = 3

# How long an answer is believed after the exporter fell silent. The alert rules hold for just as
# long: the page that woke you and the table that you open must name the same jobs.
HOLD = "30m"

# The alert TrunkDataStale speaks at this age, or at three poll intervals where that is more.
STALE_AFTER_SECONDS = 900
STALE_POLLS = 3

# How far the alert TrunkwatchQuotaNearlySpent looks back for the whole quota, and the share of it
# at which it speaks.
QUOTA_MEMORY = "2h"
QUOTA_NEARLY_SPENT = 0.1

# The exporter stops calling itself ready at this age (five polls of the default interval).
LATE_AFTER_SECONDS = 300

# Grey stands for "nobody knows". It is the base step of every threshold, because Grafana paints an
# empty result in the base colour: a green base would make a dead exporter look healthy.
UNKNOWN = "#8e8e8e"
# Blue and orange beside red: three that stay apart for the colour-blind. Words and signs say the
# same once more.
GOOD, WARN, BAD = "blue", "orange", "red"
NO_DATA = "no data"
# What stands in a cell that has no answer.
UNKNOWN_TEXT = "unknown"
