"""Constants of the dashboards: limits, texts, colours and addresses."""

# How long the last values are shown without a scrape. The alert rules hold for the same time, so
# that a notification and the table name the same jobs.
HOLD = "30m"

# The alert TrunkDataStale fires at this age at the earliest.
STALE_AFTER_SECONDS = 900

# The range in which the alert TrunkwatchQuotaNearlySpent looks for the whole quota, and the share
# of it at which it fires.
QUOTA_MEMORY = "2h"
QUOTA_NEARLY_SPENT = 0.1

# The exporter is no longer ready at this age (five polls of the default interval).
LATE_AFTER_SECONDS = 300

# The jobs that one picture can show.
WORST_IN_TIMELINE = 30
WORST_IN_TREND = 20
# Points of a graph: of a day, one in 30 minutes. Each costs as many samples as jobs are broken.
GRAPH_POINTS = 60

# Grey means unknown. It is the base step of every threshold, because Grafana shows an empty result
# in the base colour: with a green base a stopped exporter would look healthy.
UNKNOWN = "#8e8e8e"
# Behind a row that needs no attention.
DIMMED = "rgba(142, 142, 142, 0.3)"
# Blue, orange and red can be distinguished by colour-blind people. Words and signs repeat the
# meaning.
GOOD, WARN, BAD = "blue", "orange", "red"
NO_DATA = "no data"
NO_EXPORTER = "no data: no exporter is scraped"
NOT_CONFIGURED = "not configured"
# The text of a cell without a value.
UNKNOWN_TEXT = "–"

# The addresses that docker-compose.yml publishes, until somebody sets the variables.
PAGE = "http://localhost:10077"
ALERTMANAGER = "http://localhost:9093"

TAG = "trunkwatch"
