"""A deliberately naive second implementation of the policy, from recorded lines to JSON.

It shares no code with the product. Each function states the rule that it applies, so that a
difference can be settled by reading two short texts. Nothing is cached or incremental: everything
is computed again from the lines.
"""

import re
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

Json = dict[str, Any]

PASS, FAIL, FLAKY, PENDING, NONE = "PASS", "FAIL", "FLAKY", "PENDING", "NONE"
SKIPPED = "SKIPPED"  # NONE, because every row is a skip
WORST_FIRST = (FAIL, PENDING, NONE, FLAKY, PASS, SKIPPED)
WORDS = {PASS: "pass", FAIL: "fail", PENDING: "pending", NONE: "unknown", SKIPPED: "skip"}
STARTUP = "(startup)"
UNDECIDED = "undecided"
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
    run_completed: bool


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
    jobs.sort(key=lambda job: place_in_list(job, config))
    return {"as_of": stamp(now), "groups": group_rows(jobs, config), "jobs": jobs}


def place_in_list(job: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what jobs are sorted by: by trunk, what fails first, then by priority and by age."""
    trunk, name = (job["repo"], job["branch"]), (job["workflow"], job["job_name"])
    if not job["broken"] and job["consecutive_failures"] == 0:
        return trunk, 3, name
    kind = 2
    if job["broken"]:
        kind = 0 if job["known_broken"] is None else 1
    groups = {group["name"]: group for group in (DEFAULT_GROUP, *(config.get("groups") or []))}
    priority = groups[job["group"]].get("priority", "P3")
    since = job["broken_since"]
    return trunk, kind, priority, since is None, since or "", name


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
    removed = removed_workflows(own) | left_workflows(own, rows, commits, config, now)
    shown = shown_workflows(rows)
    names = named_workflows(rows)

    def jobs_of(workflow_id: str, label: str) -> list[Json]:
        mine = [row for row in rows if row.workflow_id == workflow_id]
        return workflow_jobs(mine, (repo, branch, label), commits, config, now)

    # The jobs that fail under the newest names decide which name counts.
    for workflow_id in sorted(names, key=lambda each: first_named(each, rows)):
        listed = jobs_of(workflow_id, shown[workflow_id]) if workflow_id not in removed else []
        name = name_when_quiet(names[workflow_id], [job["failing"] for job in listed], commits)
        if name != names[workflow_id][-1][1]:
            others = {label for other, label in shown.items() if other != workflow_id}
            shown[workflow_id] = free_label(name, workflow_id, others)
    result: list[Json] = []
    for workflow_id in sorted(shown.keys() - removed):
        for job in jobs_of(workflow_id, shown[workflow_id]):
            del job["failing"]
            result.append(job)
    return result


def workflow_jobs(
    mine: Sequence[Row],
    place: tuple[str, str, str],
    commits: Sequence[Commit],
    config: Mapping[str, Any],
    now: datetime,
) -> list[Json]:
    """Return every listed job of one workflow, shown under a label."""
    repo, branch, label = place
    result: list[Json] = []
    answers = job_answers(mine, commits, label, config, now)
    for job_name in sorted({answer.job_name for answer in answers}):
        plain = {"repo": repo, "branch": branch, "workflow": label, "job_name": job_name}
        split = events_apart(plain, config)
        # The runs of an event that a group names are a job of their own, all others are another.
        for event in (None, *sorted(split)):
            job = [
                answer
                for answer in answers
                if answer.job_name == job_name
                and (answer.row.event == event or (event is None and answer.row.event not in split))
            ]
            if job_name == STARTUP and not any(is_startup_failure(answer.row) for answer in job):
                job = [answer for answer in job if answer.row.raw_name == STARTUP]
            if not job or is_collapsed(job_name, job, answers):
                continue
            own = [row for row in mine if (row.event == event if event else row.event not in split)]
            if not is_retired(job, own, commits, config, now):
                labels = {**plain, "workflow": f"{label} [{event}]" if event else label}
                group = split[event] if event else group_of(plain, config)
                result.append(job_row(labels, group, job, mine, commits, config, now))
    return result


def left_workflows(
    own: Sequence[Mapping[str, Any]],
    rows: Sequence[Row],
    commits: Sequence[Commit],
    config: Mapping[str, Any],
    now: datetime,
) -> set[str]:
    """Return the workflow files, run on pushes only, that are missed for too long.

    That is for 50 times the longest absence between two of their runs, in commits at which any
    workflow completed. A workflow of which the CI reports a state is never missed.
    """
    by_id: dict[str, list[Row]] = {}
    for row in rows:
        by_id.setdefault(row.workflow_id, []).append(row)
    busy: set[int] = set()
    for mine in by_id.values():
        busy |= set(completed_places(current_rows(mine), commits, config, now))
    found: set[str] = set()
    for workflow_id, mine in by_id.items():
        places = sorted({row.place for row in mine})
        gaps = [later - earlier for earlier, later in pairwise(places)]
        absent = sum(place > places[-1] for place in busy)
        expected = workflow_id.endswith((".yml", ".yaml")) and {r.event for r in mine} == {"push"}
        if expected and gaps and absent >= retire_after(config) * max(gaps):
            found.add(workflow_id)
    return found - set(states_of(own))


def removed_workflows(own: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the workflows that are deleted or disabled.

    The last word counts. A file is read at once, so its newest commit is the tip of every report,
    and no run is newer.
    """
    return {name for name, state in states_of(own).items() if state in ("deleted", "disabled")}


def states_of(own: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the state of each workflow of which there is a line."""
    states: dict[str, str] = {}
    for line in own:
        if line["kind"] == "workflow":
            path = line.get("workflow_path")
            states[f"path:{path}" if path else f"name:{line['workflow']}"] = line["state"]
    return states


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
                run_completed=bool(line.get("run_completed")),
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
    fields["run_completed"] = one.run_completed or other.run_completed
    return replace(one, **fields)


def observation(row: Row) -> tuple[object, ...]:
    """Return the identity of an observation: one attempt of one job at one commit."""
    return (row.workflow_id, row.place, row.run_id, row.attempt, row.raw_name, row.job_id)


def is_file(name: str) -> bool:
    """A run of an invalid workflow file is named by the file, which is no name."""
    return re.fullmatch(r"\.github/workflows/[^/]+\.ya?ml(@.*)?", name) is not None


def named_workflows(rows: Sequence[Row]) -> dict[str, list[tuple[int, str]]]:
    """Return the (place, name) of each commit at which a workflow has a name, oldest first."""
    found: dict[str, dict[int, Row]] = {}
    for row in rows:
        if not is_file(row.workflow_name):
            places = found.setdefault(row.workflow_id, {})
            held = places.get(row.place)
            if held is None or newness(row) > newness(held):
                places[row.place] = row
    return {
        workflow_id: [(place, places[place].workflow_name) for place in sorted(places)]
        for workflow_id, places in found.items()
    }


def first_named(workflow_id: str, rows: Sequence[Row]) -> tuple[int, bool, str]:
    """Of workflows with one name the first on the trunk keeps it, then one without a file."""
    (place, _), *_ = named_workflows(rows)[workflow_id]
    return place, workflow_id.startswith("path:"), workflow_id.split(":", 1)[1]


def shown_workflows(rows: Sequence[Row]) -> dict[str, str]:
    """Return the label of each workflow for its newest name; without any name it is the file."""
    names = named_workflows(rows)
    shown: dict[str, str] = {}
    for workflow_id in sorted(names, key=lambda each: first_named(each, rows)):
        shown[workflow_id] = free_label(names[workflow_id][-1][1], workflow_id, shown.values())
    for row in rows:
        if row.workflow_id not in names:
            shown[row.workflow_id] = row.workflow_name
    return shown


def free_label(name: str, workflow_id: str, others: Collection[str]) -> str:
    """Return a name that no other workflow has, with its file or else its path added."""
    identity = workflow_id.split(":", 1)[1]
    for label in (name, f"{name} ({identity.rsplit('/', 1)[-1]})", f"{name} ({identity})"):
        if label not in others:
            return label
    raise ValueError(f"no label for {workflow_id}")


def name_when_quiet(
    names: Sequence[tuple[int, str]], failing: Sequence[Set[int]], commits: Sequence[Commit]
) -> str:
    """Return the name as of the newest commit after which no job failed, else the oldest name."""
    for commit in reversed(commits):
        if not any(commit.place in places for places in failing):
            known = [name for place, name in names if place <= commit.place]
            return known[-1] if known else names[0][1]
    return names[0][1]


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


def shard_verdict(answers: Sequence[Answer]) -> str:
    """One exact name in one column: attempts and runs in no order, jobs by their worst.

    Returns a verdict, or SKIPPED where every row is a skip.
    """
    found: set[str] = set()
    originals = [answer for answer in answers if not is_copy(answer, answers)]
    for attempt in {(answer.row.run_id, answer.row.attempt) for answer in originals}:
        rows = [a for a in originals if (a.row.run_id, a.row.attempt) == attempt]
        verdicts = {
            united({answer.evidence for answer in rows if leg_of(answer, rows) == leg})
            for leg in {leg_of(answer, rows) for answer in rows}
        }
        found |= {FAIL, PASS} if (worst := worst_of(verdicts)) == FLAKY else {worst}
    return united({WORDS[verdict] for verdict in found})


def united(says: Set[str]) -> str:
    """Pass and fail of one job are a flake; a finished failure outweighs a retry that runs."""
    if "pass" in says and "fail" in says:
        return FLAKY
    for word, verdict in (("pass", PASS), ("fail", FAIL), ("pending", PENDING), ("unknown", NONE)):
        if word in says:
            return verdict
    return SKIPPED


def worst_of(verdicts: Set[str]) -> str:
    """Several jobs under one name; a missing answer outweighs any pass or flake."""
    return next(each for each in WORST_FIRST if each in verdicts)


def leg_of(answer: Answer, attempt: Sequence[Answer]) -> int | None:
    """Rows of one attempt with different ids are different jobs; one without is the only one."""
    ids = {other.row.job_id for other in attempt if other.row.job_id is not None}
    if answer.shard == STARTUP:
        return None
    return min(ids) if len(ids) == 1 and answer.row.job_id is None else answer.row.job_id


def is_copy(answer: Answer, answers: Sequence[Answer]) -> bool:
    """A row that a CI copied into a later attempt has the start and conclusion of an earlier."""
    row = answer.row
    return (
        row.status == "completed"
        and row.started_at is not None
        and any(
            other.row.attempt < row.attempt
            and (other.row.run_id, other.row.started_at) == (row.run_id, row.started_at)
            and other.row.conclusion == row.conclusion
            for other in answers
        )
    )


def is_superseded(answer: Answer, answers: Sequence[Answer]) -> bool:
    """An unfinished row beside a completed one of its job, or of its name in an ended attempt."""
    row = answer.row
    if row.status == "completed":
        return False
    same_run = [other for other in answers if other.row.run_id == row.run_id]
    attempt = [other for other in same_run if other.row.attempt == row.attempt]
    completed = [other for other in attempt if other.row.status == "completed"]
    if not completed:
        return False
    ended = any(other.row.run_completed for other in attempt) or any(
        other.row.attempt > row.attempt for other in same_run
    )
    return ended or leg_of(answer, attempt) in {leg_of(other, attempt) for other in completed}


def job_verdict(answers: Sequence[Answer]) -> str:
    """Shards of one job in one column, by their worst."""
    shards = {answer.shard for answer in answers}
    verdict = worst_of(
        {shard_verdict([a for a in answers if a.shard == shard]) for shard in shards}
    )
    return NONE if verdict == SKIPPED else verdict


def columns_of(job: Sequence[Answer], mine: Sequence[Row], count: str) -> list[Column]:
    """A history has one column per commit, or one per run of a commit; oldest first."""

    numbers: dict[tuple[int, int | None], int] = {}
    for row in mine:
        if row.run_number is not None:
            run = (row.place, row.run_id)
            numbers[run] = max(row.run_number, numbers.get(run, row.run_number))

    def column_key(row: Row) -> tuple[object, ...]:
        if count != "runs":
            return (row.place,)
        return run_order(row.place, numbers.get((row.place, row.run_id)), row.run_id)

    keyed = [(column_key(answer.row), answer) for answer in job]
    columns: list[Column] = []
    for key in sorted({key for key, _ in keyed}):
        reported = tuple(answer for other, answer in keyed if other == key)
        answers = tuple(
            answer
            for answer in reported
            if not is_superseded(answer, [a for a in reported if a.shard == answer.shard])
        )
        columns.append(Column(answers[0].row.place, job_verdict(answers), answers))
    return columns


def letter_at(commit: Commit, columns: Sequence[Column]) -> str:
    """Of several runs at one commit the first of FKRPCS is shown; without any it is a point."""
    found = {letter_of(column) for column in columns if column.place == commit.place}
    return next((letter for letter in "FKRPCS" if letter in found), ".")


def letter_of(column: Column) -> str:
    """Skipped is a column of skips alone; any other one without a result is as cancelled."""
    if all(answer.evidence == "skip" for answer in column.answers):
        return "S"
    return {FAIL: "F", FLAKY: "K", PENDING: "R", PASS: "P", NONE: "C"}[column.verdict]


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
    """Return whether all given regexes over the labels match in full; a missing one does not."""
    return all(
        key in labels and re.fullmatch(regex, labels[key]) for key, regex in (pattern or {}).items()
    )


def events_apart(
    labels: Mapping[str, str], config: Mapping[str, Any]
) -> dict[str, Mapping[str, Any]]:
    """Return the events whose first matching group names an event, with that group."""
    found = {event: group_of({**labels, "event": event}, config) for event in COUNTED_EVENTS}
    return {event: group for event, group in found.items() if "event" in group.get("match", {})}


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


def is_collapsed(job_name: str, job: Sequence[Answer], answers: Sequence[Answer]) -> bool:
    """Return whether a job has only skips and a name that stands for other jobs."""
    others = {answer.shard for answer in answers if answer.job_name != job_name}
    own = {answer.shard for answer in job}
    called = any(stands_for(caller, name) for caller in own for name in others)
    return called and all(
        answer.evidence == "skip"
        for answer in job
        if not is_superseded(
            answer,
            [a for a in job if (a.row.place, a.shard) == (answer.row.place, answer.shard)],
        )
    )


def stands_for(caller: str, name: str) -> bool:
    """`a` stands for `a / …` and for the matrix `a (…)`, whose jobs may call others."""
    if not name.startswith(caller) or not caller:
        return False
    rest = name[len(caller) :]
    in_matrix = rest.startswith(" (") and (rest.endswith((")", "...")) or ") / " in rest)
    return rest.startswith(" / ") or in_matrix


def is_retired(
    job: Sequence[Answer],
    mine: Sequence[Row],
    commits: Sequence[Commit],
    config: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Return whether its workflow completed 50 times without the job or its skipped caller.

    A workflow completed where a row is pass, fail or skip and none is pending.
    """
    seen = max(answer.row.place for answer in job)
    current = current_rows(mine)
    for row in current:
        if evidence(row, commits, config, now) == "skip" and any(
            stands_for(row.raw_name, answer.shard) for answer in job
        ):
            seen = max(seen, row.place)
    completed = completed_places(current, commits, config, now)
    return sum(place > seen for place in completed) >= retire_after(config)


def retire_after(config: Mapping[str, Any]) -> int:
    """Return the configured number of commits."""
    limit: int = (config.get("jobs") or {}).get("retire_after", RETIRE_AFTER_COMMITS)
    return limit


def current_rows(mine: Sequence[Row]) -> list[Row]:
    """Return the rows of jobs of one workflow without superseded ones."""
    by_name: dict[tuple[int, str], list[Answer]] = {}
    for row in mine:
        if not is_startup_failure(row):
            answer = Answer(row.raw_name, row.raw_name, row, "")
            by_name.setdefault((row.place, row.raw_name), []).append(answer)
    return [
        answer.row
        for same_name in by_name.values()
        for answer in same_name
        if not is_superseded(answer, same_name)
    ]


def completed_places(
    current: Sequence[Row], commits: Sequence[Commit], config: Mapping[str, Any], now: datetime
) -> list[int]:
    """Return the places at which one workflow has a pass, fail or skip and nothing pending."""
    says: dict[int, set[str]] = {commit.place: set() for commit in commits}
    for row in current:
        says[row.place].add(evidence(row, commits, config, now))
    return [
        place
        for place, found in says.items()
        if "pending" not in found and {"pass", "fail", "skip"} & found
    ]


# --- Answers ----------------------------------------------------------------------------------


def job_row(
    labels: Mapping[str, str],
    group: Mapping[str, Any],
    job: Sequence[Answer],
    mine: Sequence[Row],
    commits: Sequence[Commit],
    config: Mapping[str, Any],
    now: datetime,
) -> Json:
    """One object of `jobs`: the open outage or, with none open, the current streak."""
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
    recent = [column.verdict for column in columns[-1000:] if column.verdict in (PASS, FAIL, FLAKY)]
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
            {
                "sha": commit.sha,
                "author": commit.author,
                "title": commit.title,
                "state": letter_at(commit, columns),
                # No history names a file, so that the newest suspect, first bad, comes first.
                "rank": len(suspects or []) - place,
                "evidence": "failed" if place == len(suspects or []) - 1 else "unknown",
                "reason": "failed there" if place == len(suspects or []) - 1 else None,
            }
            for place, commit in enumerate(suspects or [])
        ],
        "broken_since": None if earliest is None else stamp(run_end(earliest)),
        "url": None if earliest is None else earliest.url,
        "failed_step": None if earliest is None else earliest.failed_step,
        "pending_commits": newer_than_pass(columns, PENDING),
        "flaky_commits": newer_than_pass(columns, FLAKY),
        "mostly_flaky": sum(verdict == FLAKY for verdict in recent[-20:]) > 10,
        "last_verdict": seen[-1] if seen else None,
        "known_broken": known_broken(labels, config, now),
        # Not in the output: the commits after which a streak or an outage is open.
        "failing": failing_places(
            columns, commits, failures_to_open, passes_to_close, flaky_closes
        ),
    }


def failing_places(
    columns: Sequence[Column],
    commits: Sequence[Commit],
    failures_to_open: int,
    passes_to_close: int,
    flaky_closes: bool,
) -> set[int]:
    """Return the commits after which a streak or an outage of a job is open."""
    found: set[int] = set()
    for commit in commits:
        seen = [column for column in columns if column.place <= commit.place]
        outage = outage_of(seen, failures_to_open, passes_to_close, flaky_closes)
        if streak_of(seen)[0] or outage is not None:
            found.add(commit.place)
    return found


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
                # Between the two, the past of the group decides; tests/engine/test_alerts.py looks
                # after every commit.
                "firing": UNDECIDED if 0 < failing < threshold else failing > 0,
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
