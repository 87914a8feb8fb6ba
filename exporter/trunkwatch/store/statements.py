"""The SQL that reads and writes observations."""

SELECT = (
    "SELECT r.sha, o.job, o.finished, o.answer, o.run_id, o.attempt, o.job_id, o.run_number,"
    " o.origin, o.created_at, o.started_at, o.completed_at, o.url,"
    " o.failed_step, o.infra, o.annotations"
    " FROM observations AS o JOIN revisions AS r ON r.id = o.revision"
)

_INSERT = (
    "INSERT INTO observations (job, revision, run_id, attempt, job_id, finished, answer,"
    " origin, run_number, created_at, started_at, completed_at, url, failed_step, infra,"
    " annotations) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

# Of one answer told twice, each field takes the greater value and a missing one never wins: that
# is the same whichever came first, however often.
_UNITED = (
    "run_number", "created_at", "started_at", "completed_at", "url", "failed_step", "annotations",
)  # fmt: skip
_CERTAIN = ("infra",)
UPSERT = (
    _INSERT
    + " ON CONFLICT DO UPDATE SET "
    + ", ".join(
        [f"{f} = coalesce(max({f}, excluded.{f}), {f}, excluded.{f})" for f in _UNITED]
        + [f"{f} = max({f}, excluded.{f})" for f in _CERTAIN]
    )
    + " WHERE "
    + " OR ".join(
        [f"(excluded.{f} IS NOT NULL AND ({f} IS NULL OR excluded.{f} > {f}))" for f in _UNITED]
        + [f"excluded.{f} > {f}" for f in _CERTAIN]
    )
)

FORGET_OVERTAKEN = (
    "DELETE FROM observations AS u WHERE u.finished = 0 AND EXISTS (SELECT 1 FROM observations c"
    " WHERE c.job = u.job AND c.revision = u.revision AND c.run_id = u.run_id"
    " AND c.attempt = u.attempt AND c.job_id = u.job_id AND c.origin = u.origin"
    " AND c.finished = 1)"
)

# An unfinished report that comes after the finished one is inserted and forgotten again in the
# same transaction; `Applied.touched` names its job once too often, which costs one judgement.
