"""A deliberately naive second implementation of the policy, from recorded lines to JSON.

It shares no code with the product. Each function states the rule that it applies, so that a
difference can be settled by reading two short texts. Nothing is cached or incremental: everything
is computed again from the lines.
"""

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

Json = dict[str, Any]

PASS, FAIL, FLAKY, PENDING, NONE = "PASS", "FAIL", "FLAKY", "PENDING", "NONE"
STARTUP = "(startup)"
COUNTED_EVENTS = ("push", "schedule", "workflow_dispatch")
UNFINISHED = ("queued", "in_progress", "waiting", "requested", "pending")
PENDING_LIFETIME = timedelta(hours=36)
RETIRE_AFTER_COMMITS = 50
# Words that are not in this table (cancelled, stale, action_required, a new one, null) are unknown.
EVIDENCE = {
    "success": "pass",
    "failure": "fail",
    "timed_out": "fail",
    "startup_failure": "fail",
    "skipped": "skip",
    "neutral": "skip",
}
PRESET_FLAGS = {"unstable", "rerun_disabled_tests", "mem_leak_check"}
# The last parentheses that hold ", <number>": head, what follows the number on, tail.
# The number is a whole item of the list, so that "(linux, 3.12)" is left alone.
PRESET_SHARD = re.compile(r"(?P<head>.*\([^()]*?)(?P<rest>, \d+(?=[,)])[^()]*)(?P<tail>\).*)")
DEFAULT_GROUP: Json = {"name": "default", "team": "trunk", "priority": "P3"}


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of the trunk; `place` counts from the oldest, which is 0."""

    place: int
    sha: str
    committed_at: datetime | None
    author: str | None
    title: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """One run line that counts, with the defaults of the format filled in."""

    place: int
    workflow_id: str
    workflow_name: str
    workflow_path: str | None
    raw_name: str
    run_id: int | None
    run_number: int | None
    attempt: int
    job_id: int | None
    status: str
    conclusion: str | None
    created_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    url: str | None
    failed_step: str | None
    event: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One row of one job: its raw name (the shard) and its evidence."""

    job_name: str
    shard: str
    row: Row
    evidence: str


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a job's history: a commit, or one run of a commit."""

    place: int
    verdict: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Outage:
    """The open outage; columns are given by index, oldest first."""

    first_bad: int
    last_good: int | None


def check(
    lines: Sequence[Mapping[str, Any]],
    config: Mapping[str, Any],
    now: datetime,
    trunk: tuple[str, str] | None = None,
) -> Json:
    """Return the output of `check --format json` without its sources, for one trunk or all."""
    trunks = {(line["repo"], line["branch"]) for line in lines if line["kind"] == "commit"}
    for line in lines:
        if (line["repo"], line["branch"]) not in trunks:
            raise ValueError(f"no commit line for {line['repo']} {line['branch']}")
    jobs: list[Json] = []
    for repo, branch in sorted(trunks):
        if trunk is None or trunk == (repo, branch):
            jobs.extend(trunk_jobs(lines, config, now, repo, branch))
    jobs.sort(key=lambda job: (job["repo"], job["branch"], job["workflow"], job["job_name"]))
    return {"as_of": stamp(now), "groups": group_rows(jobs, config), "jobs": jobs}


def trunk_jobs(
    lines: Sequence[Mapping[str, Any]],
    config: Mapping[str, Any],
    now: datetime,
    repo: str,
    branch: str,
) -> list[Json]:
    """Return the answers of every job of one trunk that is neither ignored nor retired."""
    own = [line for line in lines if (line["repo"], line["branch"]) == (repo, branch)]
    commits = read_commits(own)
    rows = merge_reports(read_rows(own, commits, repo, branch))
    shown = shown_workflows(rows)
    result: list[Json] = []
    for workflow_id in sorted(shown):
        mine = [row for row in rows if row.workflow_id == workflow_id]
        workflow = shown[workflow_id]
        answers = job_answers(mine, commits, workflow, config, now)
        names = {answer.job_name for answer in answers}
        for job_name in sorted(names):
            job = [answer for answer in answers if answer.job_name == job_name]
            if is_collapsed(job_name, job, names):
                continue
            if not is_retired(job_name, job, mine, commits, config, now):
                labels = {
                    "repo": repo,
                    "branch": branch,
                    "workflow": workflow,
                    "job_name": job_name,
                }
                result.append(job_row(labels, job, mine, commits, config, now))
    return result


# --- Which observations count -----------------------------------------------------------------


def read_commits(own: Sequence[Mapping[str, Any]]) -> list[Commit]:
    """The trunk is the order of its commit lines, oldest first; time plays no part."""
    commits: list[Commit] = []
    for line in own:
        if line["kind"] == "commit" and line["sha"] not in [commit.sha for commit in commits]:
            commits.append(
                Commit(
                    place=len(commits),
                    sha=line["sha"],
                    committed_at=moment(line.get("committed_at")),
                    author=line.get("author"),
                    title=line.get("title"),
                )
            )
    return commits


def read_rows(
    own: Sequence[Mapping[str, Any]], commits: Sequence[Commit], repo: str, branch: str
) -> list[Row]:
    """A run counts on a trunk commit, from the branch and the repo themselves, on our events."""
    places = {commit.sha: commit.place for commit in commits}
    rows: list[Row] = []
    for line in own:
        if line["kind"] != "run" or line["sha"] not in places:
            continue
        if default(line.get("head_branch"), branch) != branch:
            continue
        if default(line.get("head_repo"), repo) != repo:
            continue
        if default(line.get("event"), "push") not in COUNTED_EVENTS:
            continue
        path = line.get("workflow_path")
        rows.append(
            Row(
                place=places[line["sha"]],
                # The identity is the path where there is one: a rename keeps its history.
                workflow_id=f"path:{path}" if path else f"name:{line['workflow']}",
                workflow_name=line["workflow"],
                workflow_path=path or None,
                raw_name=line["job_name"],
                run_id=line.get("run_id"),
                run_number=line.get("run_number"),
                attempt=default(line.get("attempt"), 1),
                job_id=line.get("job_id"),
                status=line["status"],
                # The conclusion is read only of a completed line.
                conclusion=line.get("conclusion") if line["status"] == "completed" else None,
                created_at=moment(line.get("created_at")),
                started_at=moment(line.get("started_at")),
                completed_at=moment(line.get("completed_at")),
                url=line.get("url"),
                failed_step=line.get("failed_step"),
                event=line.get("event") or "push",
            )
        )
    return rows


def merge_reports(rows: Sequence[Row]) -> list[Row]:
    """Merge the reports of each observation.

    A completed report replaces unfinished ones. Reports with the same conclusion become one row
    with the fields of both; reports with different conclusions are both kept.
    """
    finished = {observation(row) for row in rows if row.status == "completed"}
    united: dict[tuple[object, ...], Row] = {}
    for row in rows:
        if row.status == "completed" or observation(row) not in finished:
            answer = (*observation(row), row.event, row.status, row.conclusion)
            held = united.get(answer)
            united[answer] = row if held is None else unite(held, row)
    return list(united.values())


def unite(one: Row, other: Row) -> Row:
    """Return a row with the greater value of each field; any value wins over a missing one."""
    fields: dict[str, Any] = {}
    for name in ("run_number", "created_at", "started_at", "completed_at", "url", "failed_step"):
        known = [v for v in (getattr(one, name), getattr(other, name)) if v is not None]
        fields[name] = max(known, default=None)
    return replace(one, **fields)


def observation(row: Row) -> tuple[object, ...]:
    """Return the identity of an observation: one attempt of one job at one commit."""
    return (row.workflow_id, row.place, row.run_id, row.attempt, row.raw_name, row.job_id)


def shown_workflows(rows: Sequence[Row]) -> dict[str, str]:
    """Return the workflows' display names: the newest name, with the file name if ambiguous."""
    newest: dict[str, Row] = {}
    for row in rows:
        held = newest.get(row.workflow_id)
        if held is None or newness(row) > newness(held):
            newest[row.workflow_id] = row
    shown: dict[str, str] = {}
    for workflow_id, row in newest.items():
        twins = [other for other in newest.values() if other.workflow_name == row.workflow_name]
        shown[workflow_id] = row.workflow_name
        if len(twins) > 1 and row.workflow_path is not None:
            shown[workflow_id] += f" ({row.workflow_path.rsplit('/', 1)[-1]})"
    return shown


def newness(row: Row) -> tuple[object, ...]:
    """Return a sort key: by trunk, then by run, then by name."""
    return (*run_order(row.place, row.run_number, row.run_id), row.attempt, row.workflow_name)


def run_order(place: int, run_number: int | None, run_id: int | None) -> tuple[object, ...]:
    """Return a sort key: by commit, then run number, then run id; missing values come first."""
    return (place, *missing_first(run_number), *missing_first(run_id))


# --- Evidence ---------------------------------------------------------------------------------


def evidence(row: Row, commits: Sequence[Commit], config: Mapping[str, Any], now: datetime) -> str:
    """Return the evidence of one row: pass, fail, skip, unknown or pending."""
    if row.status == "completed":
        moves: Mapping[str, str] = (config.get("jobs") or {}).get("evidence") or {}
        word = row.conclusion or ""
        return moves.get(word, EVIDENCE.get(word, "unknown"))
    if row.status not in UNFINISHED:
        return "unknown"
    # Pending is unknown once it is older than 36 hours; without any time it stays pending.
    since = row.created_at or row.started_at or commits[row.place].committed_at
    return "unknown" if since is not None and now - since > PENDING_LIFETIME else "pending"


def is_startup_failure(row: Row) -> bool:
    """A run that could not even start; its line is no row of the job that it names."""
    return row.status == "completed" and row.conclusion == "startup_failure"


def job_answers(
    mine: Sequence[Row],
    commits: Sequence[Commit],
    workflow: str,
    config: Mapping[str, Any],
    now: datetime,
) -> list[Answer]:
    """Sort one workflow's rows into its jobs, the pseudo-job of startups among them."""
    answers: list[Answer] = []
    started_once_in_vain = any(is_startup_failure(row) for row in mine)
    for row in mine:
        says = evidence(row, commits, config, now)
        if is_startup_failure(row):
            found = [(STARTUP, "fail")]
        elif started_once_in_vain:
            # Any job row of that workflow at a commit is the pass of its startup there.
            found = [(row.raw_name, says), (STARTUP, "pass")]
        else:
            found = [(row.raw_name, says)]
        for raw_name, what in found:
            name = job_name_of(raw_name, workflow, config)
            if name is not None:
                answers.append(Answer(name, raw_name, row, what))
    return answers


def job_name_of(raw_name: str, workflow: str, config: Mapping[str, Any]) -> str | None:
    """Apply ignore patterns, fold rules and aliases in that order; None if it is ignored."""
    jobs: Mapping[str, Any] = config.get("jobs") or {}
    preset = jobs.get("preset") == "pytorch"
    if preset and ignored_by_preset(raw_name):
        return None
    if any(re.fullmatch(pattern, raw_name) for pattern in jobs.get("ignore") or []):
        return None
    name = fold_by_preset(raw_name) if preset else raw_name
    for rule in jobs.get("fold") or []:
        matched = re.fullmatch(rule["match"], name)
        if matched:
            name = matched.expand(rule["to"])
    for alias in jobs.get("aliases") or []:
        if (alias["workflow"], alias["from"]) == (workflow, name):
            return str(alias["to"])
    return name


def ignored_by_preset(raw_name: str) -> bool:
    """The preset ignores names with one of three words among the flags behind the shard."""
    matched = PRESET_SHARD.fullmatch(raw_name)
    return matched is not None and bool(PRESET_FLAGS & set(matched["rest"].split(", ")))


def fold_by_preset(raw_name: str) -> str:
    """What follows the first number inside the last such parentheses goes."""
    matched = PRESET_SHARD.fullmatch(raw_name)
    return matched["head"] + matched["tail"] if matched else raw_name


# --- Verdicts ---------------------------------------------------------------------------------


def shard_verdict(says: Sequence[str]) -> str:
    """One exact job in one column, over all of its runs and attempts, in no order."""
    if "pass" in says and "fail" in says:
        return FLAKY
    if "pass" in says:
        return PASS
    if "fail" in says:
        return FAIL
    if "pending" in says:
        return PENDING
    return NONE


def job_verdict(answers: Sequence[Answer]) -> str:
    """Shards of one job in one column; a missing answer outweighs any pass or flake."""
    verdicts: list[str] = []
    missing = False
    for shard in {answer.shard for answer in answers}:
        says = [answer.evidence for answer in answers if answer.shard == shard]
        verdict = shard_verdict(says)
        verdicts.append(verdict)
        skipped = all(word == "skip" for word in says)
        missing = missing or (verdict == NONE and not skipped)
    if FAIL in verdicts:
        return FAIL
    if PENDING in verdicts:
        return PENDING
    if missing:
        return NONE
    if FLAKY in verdicts:
        return FLAKY
    return PASS if PASS in verdicts else NONE


def columns_of(job: Sequence[Answer], mine: Sequence[Row], count: str) -> list[Column]:
    """A history has one column per commit, or one per run of a commit; oldest first."""

    def column_key(row: Row) -> tuple[object, ...]:
        if count != "runs":
            return (row.place,)
        numbers = [
            other.run_number
            for other in mine
            if (other.place, other.run_id) == (row.place, row.run_id)
            and other.run_number is not None
        ]
        return run_order(row.place, max(numbers, default=None), row.run_id)

    keyed = [(column_key(answer.row), answer) for answer in job]
    columns: list[Column] = []
    for key in sorted({key for key, _ in keyed}):
        answers = tuple(answer for other, answer in keyed if other == key)
        columns.append(Column(answers[0].row.place, job_verdict(answers), answers))
    return columns


# --- Streak and outage ------------------------------------------------------------------------


def streak_of(columns: Sequence[Column]) -> tuple[int, str, int | None, int | None]:
    """Walk from the newest column: NONE and PENDING are transparent, FAIL counts.

    Returns the streak, its stop reason, and the columns of its oldest FAIL and of the PASS
    just before it.
    """
    streak = 0
    oldest: int | None = None
    for index in reversed(range(len(columns))):
        verdict = columns[index].verdict
        if verdict == FAIL:
            streak += 1
            oldest = index
        elif verdict == PASS:
            return streak, "pass", oldest, index
        elif verdict == FLAKY:
            return streak, "flaky", oldest, None
    return streak, "window", oldest, None


def outage_of(
    columns: Sequence[Column], failures_to_open: int, passes_to_close: int, flaky_closes: bool
) -> Outage | None:
    """N FAILs in a row open, M PASSes in a row close; a flake resets both counts."""
    fails = passes = 0
    run_start: int | None = None
    outage: Outage | None = None
    for index, column in enumerate(columns):
        if column.verdict == FAIL:
            passes = 0
            fails += 1
            if fails == 1:
                run_start = index
            if fails >= failures_to_open and outage is None and run_start is not None:
                outage = Outage(run_start, pass_before(columns, run_start))
        elif column.verdict == PASS:
            fails = 0
            passes += 1
            if passes >= passes_to_close:
                outage = None
        elif column.verdict == FLAKY:
            fails = passes = 0
            if flaky_closes:
                outage = None
    return outage


def pass_before(columns: Sequence[Column], first_bad: int) -> int | None:
    """Return the PASS before first bad; None if there is none or a FLAKY lies between."""
    for index in reversed(range(first_bad)):
        if columns[index].verdict == PASS:
            return index
        if columns[index].verdict == FLAKY:
            return None
    return None


def newer_than_pass(columns: Sequence[Column], verdict: str) -> int:
    """Count the columns of a verdict that are newer than the newest PASS."""
    count = 0
    for column in reversed(columns):
        if column.verdict == PASS:
            break
        count += column.verdict == verdict
    return count


# --- Groups and settings ----------------------------------------------------------------------


def matches(pattern: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Return whether all given regexes over repo, branch, workflow and job_name match in full."""
    return all(re.fullmatch(regex, labels[key]) for key, regex in (pattern or {}).items())


def group_of(labels: Mapping[str, str], config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Exactly one group per job: the first that matches; `default` matches all."""
    for group in config.get("groups") or []:
        if matches(group.get("match"), labels):
            found: Mapping[str, Any] = group
            return found
    return DEFAULT_GROUP


def setting(group: Mapping[str, Any], job_name: str, key: str, fallback: Any) -> Any:
    """A setting of the first job pattern that matches, else of the group, else the default."""
    for override in group.get("jobs") or []:
        if re.fullmatch(override["match"], job_name):
            return override.get(key, group.get(key, fallback))
    return group.get(key, fallback)


def known_broken(
    labels: Mapping[str, str], config: Mapping[str, Any], now: datetime
) -> Json | None:
    """The first entry that matches and is not over; a day given as `until` is over as it begins."""
    for entry in config.get("known_broken") or []:
        until = moment(entry.get("until"))
        if matches(entry["match"], labels) and (until is None or now < until):
            return {"reason": entry["reason"], "until": stamp(until)}
    return None


def is_collapsed(job_name: str, job: Sequence[Answer], names: Set[str]) -> bool:
    """Return whether a job has only skips and the name of a matrix that has jobs."""
    has_jobs = any(without_parentheses(name) == job_name for name in names - {job_name})
    return has_jobs and all(answer.evidence == "skip" for answer in job)


def without_parentheses(job_name: str) -> str:
    """Return a job's name without its trailing parentheses: the name of a skipped matrix."""
    return re.sub(r" \([^()]*\)$", "", job_name)


def is_retired(
    job_name: str,
    job: Sequence[Answer],
    mine: Sequence[Row],
    commits: Sequence[Commit],
    config: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Return whether its workflow completed 50 times without the job or its skipped matrix.

    A skipped matrix is a skipped row whose raw name is the job's name without its trailing
    parentheses. A workflow completed where a row is pass, fail or skip and none is pending.
    """
    parent = without_parentheses(job_name)
    seen = max(answer.row.place for answer in job)
    for row in mine:
        if row.raw_name == parent and evidence(row, commits, config, now) == "skip":
            seen = max(seen, row.place)
    completed = 0
    for commit in commits:
        if commit.place <= seen:
            continue
        says = [
            evidence(row, commits, config, now)
            for row in mine
            if row.place == commit.place and not is_startup_failure(row)
        ]
        if "pending" not in says and {"pass", "fail", "skip"} & set(says):
            completed += 1
    limit: int = (config.get("jobs") or {}).get("retire_after", RETIRE_AFTER_COMMITS)
    return completed >= limit


# --- Answers ----------------------------------------------------------------------------------


def job_row(
    labels: Mapping[str, str],
    job: Sequence[Answer],
    mine: Sequence[Row],
    commits: Sequence[Commit],
    config: Mapping[str, Any],
    now: datetime,
) -> Json:
    """One object of `jobs`: the open outage or, with none open, the current streak."""
    group = group_of(labels, config)
    name = labels["job_name"]
    failures_to_open: int = setting(group, name, "failures_to_open", 3)
    passes_to_close: int = setting(group, name, "passes_to_close", 1)
    flaky_closes: bool = setting(group, name, "flaky_closes", False)
    columns = columns_of(job, mine, group.get("count", "commits"))
    streak, stopped_by, first_bad, last_good = streak_of(columns)
    outage = outage_of(columns, failures_to_open, passes_to_close, flaky_closes)
    failures = 0
    if outage is not None:
        first_bad, last_good = outage.first_bad, outage.last_good
        failures = sum(column.verdict == FAIL for column in columns[first_bad:])
    elif streak == 0:
        first_bad = last_good = None
    suspects: list[Commit] | None = None
    if first_bad is not None and last_good is not None:
        # After last good, up to and including first bad; untested commits count.
        suspects = list(commits[columns[last_good].place + 1 : columns[first_bad].place + 1])
    earliest = None if first_bad is None else earliest_failure(columns[first_bad].answers)
    seen = [column.verdict for column in columns if column.verdict in (PASS, FAIL, FLAKY)]
    return {
        **labels,
        "group": group["name"],
        "failures_to_open": failures_to_open,
        "consecutive_failures": streak,
        "stopped_by": stopped_by,
        "truncated": False,
        "broken": outage is not None,
        "failures_in_outage": failures,
        "first_bad": None if first_bad is None else commits[columns[first_bad].place].sha,
        "last_good": None if last_good is None else commits[columns[last_good].place].sha,
        "suspects": None if suspects is None else len(suspects),
        "suspect_commits": [
            {"sha": commit.sha, "author": commit.author, "title": commit.title}
            for commit in suspects or []
        ],
        "broken_since": None if earliest is None else stamp(run_end(earliest)),
        "url": None if earliest is None else earliest.url,
        "failed_step": None if earliest is None else earliest.failed_step,
        "pending_commits": newer_than_pass(columns, PENDING),
        "flaky_commits": newer_than_pass(columns, FLAKY),
        "last_verdict": seen[-1] if seen else None,
        "known_broken": known_broken(labels, config, now),
    }


def earliest_failure(answers: Sequence[Answer]) -> Row | None:
    """The earliest failing run: by time, then run id and attempt; a run without time is last.

    Of two reports of one attempt the one with the earlier end comes first.
    """

    def order(row: Row) -> tuple[object, ...]:
        time, end = run_time(row), run_end(row)
        return (
            time is None,
            0.0 if time is None else time.timestamp(),
            *missing_first(row.run_id),
            row.attempt,
            row.raw_name,
            *missing_first(row.job_id),
            row.url or "",
            row.conclusion or "",
            0.0 if end is None else end.timestamp(),
            row.failed_step or "",
        )

    failing = [answer.row for answer in answers if answer.evidence == "fail"]
    return min(failing, key=order, default=None)


def run_time(row: Row) -> datetime | None:
    """Return when a run began, as exactly as reported."""
    return row.started_at or row.created_at or row.completed_at


def run_end(row: Row) -> datetime | None:
    """Return when a run ended, else when it began."""
    return row.completed_at or run_time(row)


def group_rows(jobs: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> list[Json]:
    """Return one object per (repo, branch, group) with a job."""
    defined = [*(config.get("groups") or []), DEFAULT_GROUP]
    rows: list[Json] = []
    for key in sorted({(job["repo"], job["branch"], job["group"]) for job in jobs}):
        group = next(group for group in defined if group["name"] == key[2])
        mine = [job for job in jobs if (job["repo"], job["branch"], job["group"]) == key]
        failing = sum(job["broken"] and job["known_broken"] is None for job in mine)
        threshold = group.get("failure_threshold", 1)
        rows.append(
            {
                "repo": key[0],
                "branch": key[1],
                "group": key[2],
                "team": group.get("team", "trunk"),
                "priority": group.get("priority", "P3"),
                "consecutive_failures": max(job["consecutive_failures"] for job in mine),
                "failure_threshold": threshold,
                "jobs_failing": failing,
                "firing": failing >= threshold,
            }
        )
    return rows


# --- Small helpers ----------------------------------------------------------------------------


def default(value: Any, fallback: Any) -> Any:
    """A null is as good as a missing key."""
    return fallback if value is None else value


def missing_first(value: int | None) -> tuple[bool, int]:
    """A sort key that puts None before every number."""
    return (value is not None, 0 if value is None else value)


def moment(value: Any) -> datetime | None:
    """Read a timestamp or a date (its first moment in UTC)."""
    if value is None:
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def stamp(time: datetime | None) -> str | None:
    """Write a time as UTC with a Z; fractions of a second appear only where there are any."""
    return None if time is None else time.astimezone(UTC).isoformat().replace("+00:00", "Z")
