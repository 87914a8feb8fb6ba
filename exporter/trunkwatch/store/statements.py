"""The SQL that reads, merges and deletes observations.

This is the merge rule of two reports of one observation: a completed report replaces unfinished
ones, reports with different conclusions or origins are both stored, and of reports with the same
conclusion each field keeps the greater value.
"""

_FIELDS = (
    "r.sha, o.job, o.finished, o.answer, o.run_id, o.attempt, o.job_id, o.run_number,"
    " o.origin, o.created_at, o.started_at, o.completed_at, o.url,"
    " o.failed_step, o.infra, o.annotations, o.run_completed"
)
_SELECT = "SELECT " + _FIELDS
SELECT = _SELECT + " FROM observations AS o JOIN revisions AS r ON r.id = o.revision"

OF_JOB = " WHERE o.block IN (SELECT value FROM json_each(?)) AND o.job = ?"
OF_BLOCK = " WHERE o.block = ? ORDER BY o.revision"
OF_REVISION = " WHERE o.block = ? AND o.revision = ?"

# The cost does not depend on how much is stored of a job or at a commit: each pair is one search
# of the primary key. CROSS JOIN keeps SQLite from choosing another order of the loops.
SELECT_PAIRS = (
    _SELECT + " FROM json_each(?) AS j CROSS JOIN json_each(?) AS p CROSS JOIN observations AS o"
    " ON o.block = json_extract(p.value, '$[0]') AND o.job = j.value"
    " AND o.revision = json_extract(p.value, '$[1]')"
    " JOIN revisions AS r ON r.id = o.revision ORDER BY o.job"
)

_INSERT = (
    "INSERT INTO observations (block, job, revision, run_id, attempt, job_id, finished, answer,"
    " origin, run_number, created_at, started_at, completed_at, url, failed_step, infra,"
    " annotations, run_completed)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

# The greater value wins, and any value wins over NULL, so that the result does not depend on the
# order of arrival or on repetition.
_NULLABLE = (
    "run_number", "created_at", "started_at", "completed_at", "url", "failed_step", "annotations",
)  # fmt: skip
_NOT_NULL = ("infra", "run_completed")
UPSERT = (
    _INSERT
    + " ON CONFLICT DO UPDATE SET "
    + ", ".join(
        [f"{f} = coalesce(max({f}, excluded.{f}), {f}, excluded.{f})" for f in _NULLABLE]
        + [f"{f} = max({f}, excluded.{f})" for f in _NOT_NULL]
    )
    + " WHERE "
    + " OR ".join(
        [f"(excluded.{f} IS NOT NULL AND ({f} IS NULL OR excluded.{f} > {f}))" for f in _NULLABLE]
        + [f"excluded.{f} > {f}" for f in _NOT_NULL]
    )
)

# Rows may stay unfinished for ever, so only those at commits with new rows are looked at.
UNFINISHED_AT = (
    "SELECT block, job, revision, run_id, attempt, job_id, origin FROM observations"
    " WHERE revision = ? AND finished = 0"
)

DELETE_SUPERSEDED = (
    "DELETE FROM observations AS u WHERE u.block = ? AND u.job = ? AND u.revision = ?"
    " AND u.run_id = ? AND u.attempt = ? AND u.job_id = ? AND u.finished = 0 AND u.origin = ?"
    " AND EXISTS (SELECT 1 FROM observations c"
    " WHERE c.block = u.block AND c.job = u.job AND c.revision = u.revision"
    " AND c.run_id = u.run_id AND c.attempt = u.attempt AND c.job_id = u.job_id"
    " AND c.finished = 1 AND c.origin = u.origin)"
)

# An unfinished report that arrives after the completed one is inserted and deleted in the same
# transaction; `Applied.touched` contains its job needlessly, which costs one evaluation.
