"""The tables of the file that stores results."""

from trunkwatch.store.migration import Schema

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    # 1: observations are clustered by job, so that evaluating one job reads one range.
    (
        "CREATE TABLE trunks (id INTEGER PRIMARY KEY, repo TEXT NOT NULL, branch TEXT NOT NULL,"
        " older_unread INTEGER NOT NULL DEFAULT 0, UNIQUE (repo, branch))",
        "CREATE TABLE commits (trunk INTEGER NOT NULL REFERENCES trunks, place INTEGER NOT NULL,"
        " sha TEXT NOT NULL, committed_at REAL, author TEXT, title TEXT,"
        " PRIMARY KEY (trunk, place)) WITHOUT ROWID",
        "CREATE TABLE revisions (id INTEGER PRIMARY KEY, sha TEXT NOT NULL UNIQUE)",
        "CREATE TABLE jobs (id INTEGER PRIMARY KEY, trunk INTEGER NOT NULL REFERENCES trunks,"
        " workflow_name TEXT NOT NULL, workflow_path TEXT NOT NULL, job_name TEXT NOT NULL,"
        " UNIQUE (trunk, workflow_name, workflow_path, job_name))",
        # The origin decides whether a run counts. It is part of the key of an observation, so
        # that two reports with different origins are both stored.
        "CREATE TABLE origins (id INTEGER PRIMARY KEY, event TEXT NOT NULL,"
        " head_branch TEXT NOT NULL, head_repo TEXT NOT NULL,"
        " UNIQUE (event, head_branch, head_repo))",
        # run_id and job_id have no type, so that 7 and '7' stay different ids; '' stands for None.
        "CREATE TABLE observations (job INTEGER NOT NULL REFERENCES jobs,"
        " revision INTEGER NOT NULL REFERENCES revisions, run_id NOT NULL,"
        " attempt INTEGER NOT NULL, job_id NOT NULL, finished INTEGER NOT NULL,"
        " answer TEXT NOT NULL, origin INTEGER NOT NULL REFERENCES origins,"
        " run_number INTEGER, created_at REAL, started_at REAL,"
        " completed_at REAL, url TEXT, failed_step TEXT, infra INTEGER NOT NULL,"
        " PRIMARY KEY (job, revision, run_id, attempt, job_id, finished, answer, origin))"
        " WITHOUT ROWID",
        "CREATE INDEX observations_by_revision ON observations (revision, job)",
        "CREATE INDEX observations_unfinished ON observations (job) WHERE finished = 0",
        "CREATE TABLE sources (name TEXT PRIMARY KEY, cursor TEXT, last_success REAL NOT NULL)"
        " WITHOUT ROWID",
        "CREATE TABLE feeds (source TEXT NOT NULL, trunk INTEGER NOT NULL REFERENCES trunks,"
        " PRIMARY KEY (source, trunk)) WITHOUT ROWID",
    ),
    # 2: a source stores entries by key, also from deliveries before its first refresh.
    (
        "CREATE TABLE notes (source TEXT NOT NULL, key TEXT NOT NULL, text TEXT NOT NULL,"
        " PRIMARY KEY (source, key)) WITHOUT ROWID",
        "ALTER TABLE sources RENAME TO sources_1",
        "CREATE TABLE sources (name TEXT PRIMARY KEY, cursor TEXT, last_success REAL)"
        " WITHOUT ROWID",
        "INSERT INTO sources SELECT name, cursor, last_success FROM sources_1",
        "DROP TABLE sources_1",
    ),
    # 3: a failed job's annotations as one text; no annotation contains a line break.
    ("ALTER TABLE observations ADD COLUMN annotations TEXT",),
    # 4: whether the attempt has ended; the displayed name of each workflow; the states
    # of workflows, each with the newest commit at the time of its first report.
    (
        "ALTER TABLE observations ADD COLUMN run_completed INTEGER NOT NULL DEFAULT 0",
        "CREATE TABLE workflow_labels (trunk INTEGER NOT NULL REFERENCES trunks,"
        " workflow TEXT NOT NULL, label TEXT NOT NULL, PRIMARY KEY (trunk, workflow))"
        " WITHOUT ROWID",
        "CREATE TABLE workflow_states (trunk INTEGER NOT NULL REFERENCES trunks,"
        " workflow TEXT NOT NULL, state TEXT NOT NULL, tip TEXT,"
        " PRIMARY KEY (trunk, workflow)) WITHOUT ROWID",
    ),
    # 5: observations are clustered by blocks of four commits of one trunk, and by job within them.
    # The ids of a trunk's commits are consecutive within a block: block = id / 4.
    (
        "DROP INDEX observations_by_revision",
        "DROP INDEX observations_unfinished",
        "ALTER TABLE revisions RENAME TO revisions_4",
        "ALTER TABLE observations RENAME TO observations_4",
        "CREATE TABLE revisions (id INTEGER PRIMARY KEY, trunk INTEGER NOT NULL REFERENCES trunks,"
        " sha TEXT NOT NULL, UNIQUE (trunk, sha))",
        "INSERT INTO revisions (id, trunk, sha)"
        " SELECT 4 * dense_rank() OVER (ORDER BY trunk, number / 4) + number % 4, trunk, sha FROM"
        " (SELECT trunk, sha, row_number() OVER (PARTITION BY trunk ORDER BY id) - 1 AS number"
        " FROM (SELECT DISTINCT j.trunk, r.id, r.sha FROM observations_4 AS o"
        " JOIN jobs AS j ON j.id = o.job JOIN revisions_4 AS r ON r.id = o.revision))",
        "CREATE TABLE observations (block INTEGER NOT NULL,"
        " job INTEGER NOT NULL REFERENCES jobs,"
        " revision INTEGER NOT NULL REFERENCES revisions, run_id NOT NULL,"
        " attempt INTEGER NOT NULL, job_id NOT NULL, finished INTEGER NOT NULL,"
        " answer TEXT NOT NULL, origin INTEGER NOT NULL REFERENCES origins,"
        " run_number INTEGER, created_at REAL, started_at REAL,"
        " completed_at REAL, url TEXT, failed_step TEXT, infra INTEGER NOT NULL,"
        " annotations TEXT, run_completed INTEGER NOT NULL,"
        " PRIMARY KEY (block, job, revision, run_id, attempt, job_id, finished, answer, origin))"
        " WITHOUT ROWID",
        "INSERT INTO observations SELECT r.id / 4, o.job, r.id, o.run_id, o.attempt, o.job_id,"
        " o.finished, o.answer, o.origin, o.run_number, o.created_at, o.started_at,"
        " o.completed_at, o.url, o.failed_step, o.infra, o.annotations, o.run_completed"
        " FROM observations_4 AS o JOIN jobs AS j ON j.id = o.job"
        " JOIN revisions_4 AS old ON old.id = o.revision"
        " JOIN revisions AS r ON r.trunk = j.trunk AND r.sha = old.sha ORDER BY 1, 2, 3",
        "DROP TABLE observations_4",
        "CREATE INDEX observations_unfinished ON observations (revision) WHERE finished = 0",
        "DROP TABLE revisions_4",
    ),
    # 6: the evaluated state of trunks, and the rows that have changed since.
    (
        "CREATE TABLE evaluated_trunks (trunk INTEGER PRIMARY KEY REFERENCES trunks,"
        " policy TEXT NOT NULL, commits INTEGER NOT NULL, digest TEXT NOT NULL,"
        " checksum INTEGER NOT NULL)",
        "CREATE TABLE evaluations (trunk INTEGER NOT NULL REFERENCES trunks, kind TEXT NOT NULL,"
        " names BLOB NOT NULL, part INTEGER NOT NULL, body BLOB NOT NULL,"
        " PRIMARY KEY (trunk, kind, names, part)) WITHOUT ROWID",
        "CREATE TABLE evaluation_owner (generation INTEGER NOT NULL)",
        "INSERT INTO evaluation_owner VALUES (0)",
        "CREATE TABLE unevaluated (trunk INTEGER NOT NULL REFERENCES trunks,"
        " job INTEGER NOT NULL REFERENCES jobs, revision INTEGER NOT NULL REFERENCES revisions,"
        " PRIMARY KEY (trunk, job, revision)) WITHOUT ROWID",
    ),
    # 7: the facts of deleted rows.
    (
        "CREATE TABLE bases (trunk INTEGER NOT NULL REFERENCES trunks, kind TEXT NOT NULL,"
        " name BLOB NOT NULL, body BLOB NOT NULL, PRIMARY KEY (trunk, kind, name)) WITHOUT ROWID",
    ),
    # 8: the alerts that were shown, by their labels.
    (
        "CREATE TABLE alerts (trunk INTEGER NOT NULL REFERENCES trunks, labels BLOB NOT NULL,"
        " body BLOB NOT NULL, PRIMARY KEY (trunk, labels)) WITHOUT ROWID",
    ),
    # 9: the changed files of commits, in the order in which they came; no path has a line break.
    # '' stands for None in `since`.
    (
        "CREATE TABLE changed_files (id INTEGER PRIMARY KEY,"
        " trunk INTEGER NOT NULL REFERENCES trunks, until TEXT NOT NULL, since TEXT NOT NULL,"
        " is_complete INTEGER NOT NULL, paths TEXT NOT NULL, UNIQUE (trunk, until, since))",
    ),
)
"""The statements from version n to n + 1; a released migration is never edited."""

RESULTS = Schema(
    application_id=0x54574348,  # "TWCH"
    migrations=MIGRATIONS,
    foreign_file="is a database of another program; give a path of its own",
)
"""The schema of the file that stores results."""
