"""The text of a proposed configuration; the same plan gives the same bytes."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from trunkwatch.config.proposal.literal import literal, quoted, scalar
from trunkwatch.config.proposal.plan import Plan, PlannedGroup
from trunkwatch.config.proposal.shards import Folding
from trunkwatch.config.proposal.survey import Survey
from trunkwatch.config.sources import (
    GITHUB_API,
    GITLAB,
    GiteaSource,
    GithubSource,
    GitlabSource,
    RepoSource,
)
from trunkwatch.cuts import cut_to_characters
from trunkwatch.domain.model import JobKey

SHOWN = 3
"""Folded names that a comment lists."""

NAME_CHARACTERS = 90
"""Characters of a name that a comment shows."""


CONVENTIONS: Mapping[str, str] = MappingProxyType(
    {
        "gitlab": "The parts of a `parallel` job, such as `test 1/3`, are one job.",
        "pytorch": "Names follow the convention `build / test (config, shard, shards, runner)`:",
    }
)
"""The comment on a preset."""

WITHOUT_TOKEN: Mapping[str, str] = MappingProxyType(
    {
        "gitlab": "GITLAB_TOKEN  # without a token, GitLab shows public projects alone",
        "gitea": "GITEA_SERVER_TOKEN  # without a token, Gitea lists no runs",
    }
)
"""The usual variable of a token, by the type of the source."""


class BrokenNow(NamedTuple):
    """A job that would alert at once.

    Attributes:
        key: the job.
        since: the day since which it is broken, or None.
    """

    key: JobKey
    since: str | None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What the policy of a proposed configuration gives for the results that were read.

    Attributes:
        jobs: number of jobs, by group.
        outages: number of outages over the commits, by group, by N.
        broken: the jobs that alert now.
        until: the day on which their exemption ends; None to exempt none.
    """

    jobs: Mapping[str, int] = field(default_factory=dict)
    outages: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    broken: Sequence[BrokenNow] = ()
    until: str | None = None


class Read(NamedTuple):
    """How the repository is read.

    Attributes:
        source: by which it was read.
        team: that owns every group at first.
    """

    source: RepoSource
    team: str


def text_of(survey: Survey, plan: Plan, read: Read, evaluated: Evaluated) -> str:
    """Return a configuration.

    Args:
        survey: of the repository.
        plan: for the survey.
        read: how to read it.
        evaluated: for the comments and exemptions.
    """
    parts = [
        *_head(survey, evaluated),
        *_source(survey, read.source),
        *_jobs(plan),
        *_all_groups(plan, read, evaluated),
        *_known_broken(survey, read.source, evaluated),
    ]
    return "\n".join(parts) + "\n"


def _head(survey: Survey, evaluated: Evaluated) -> Iterator[str]:
    yield f"# Trunkwatch for {survey.repo}, as `trunkwatch init` found it in the newest"
    yield f"# {_count(survey.commits, 'commit')} of {_shown(survey.branch)}:" + (
        f" {_count(len(survey.runs), 'workflow')}, {_count(sum(evaluated.jobs.values()), 'job')}."
    )
    yield "# Every key is explained in docs/configuration.md. After an edit:"
    yield "#   trunkwatch check-config --live --config.file FILE"
    yield ""


def _source(survey: Survey, source: RepoSource) -> Iterator[str]:
    yield "sources:"
    if isinstance(source, GithubSource):
        yield from _repository(survey, source)
    else:
        yield from _project(survey, source)
    yield ""


def _project(survey: Survey, source: GitlabSource | GiteaSource) -> Iterator[str]:
    yield f"  - name: {source.type}"
    yield f"    type: {source.type}"
    yield f"    repos: [{quoted(survey.repo)}]  # its default branch, {_shown(survey.branch)} now"
    if source.site != GITLAB:
        yield f"    url: {quoted(source.site)}"
    if source.token_env is None:
        yield f"    # token_env: {WITHOUT_TOKEN[source.type]}"
    else:
        yield f"    token_env: {source.token_env}  # or token_file: see docs/{source.type}.md"


def _repository(survey: Survey, source: GithubSource) -> Iterator[str]:
    yield "  - name: github"
    yield "    type: github"
    yield f"    repo: {scalar(survey.repo)}  # its default branch, {_shown(survey.branch)} now"
    if source.api_url != GITHUB_API:
        yield f"    api_url: {quoted(source.api_url)}"
    if source.token_env is None:
        yield "    # token_env: GITHUB_TOKEN  # without a token, GitHub answers 60 requests an hour"
    else:
        yield f"    token_env: {source.token_env}  # or token_file, or app: see docs/github.md"


def _jobs(plan: Plan) -> Iterator[str]:
    for workflow, name in plan.not_ignored:
        yield f"# {_shown(f'{workflow} / {name}')} is allowed to fail, and is not ignored: a"
        yield "# pattern would also ignore a job of that name in another workflow."
    if not (plan.preset or plan.foldings or plan.ignored):
        return
    yield "jobs:"
    if plan.preset is not None:
        yield f"  # {CONVENTIONS[plan.preset]}"
        if plan.preset_folding.folded:
            yield from _folds(plan.preset_folding)
        yield f"  preset: {plan.preset}"
    if plan.foldings:
        yield "  fold:"
    for folding in plan.foldings:
        yield from _folds(folding, "  ")
        yield f"    - {{match: {quoted(folding.match)}, to: {quoted(folding.to)}}}"
    if plan.ignored:
        yield "  # Allowed to fail: their workflow run was successful although they had failed, or"
        yield "  # their name says so."
        yield "  ignore:"
    for each in plan.ignored:
        yield f"    - {quoted(each.pattern)}" + _of_several(each.names)
    yield ""


def _of_several(names: Sequence[str]) -> str:
    return f"  # {len(names)} jobs" if len(names) > 1 else ""


def _folds(folding: Folding, indent: str = "") -> Iterator[str]:
    raw = sum(map(len, folding.folded.values()))
    into = _count(len(folding.folded), "job")
    yield f"{indent}  # {_count(raw, 'shard')} into {into}, such as"
    largest = sorted(folding.folded.items(), key=lambda item: (-len(item[1]), item[0]))
    for to, names in largest[:SHOWN]:
        yield f"{indent}  #   {_shown(' / '.join(to))}: {_count(len(names), 'shard')}"


def _all_groups(plan: Plan, read: Read, evaluated: Evaluated) -> Iterator[str]:
    yield "# A job belongs to the first group that matches. A group is one team's: Alertmanager"
    yield "# routes by team and priority (P0 and P1 page, P2 is a ticket, P3 is for information)."
    yield "groups:"
    for group in plan.groups:
        yield from _group(group, read.team, evaluated)
    yield ""


def _group(group: PlannedGroup, team: str, evaluated: Evaluated) -> Iterator[str]:
    yield f"  # {_count(evaluated.jobs.get(group.name, 0), 'job')}, {_count(group.runs, 'run')}."
    tried = evaluated.outages.get(group.name, {})
    if any(tried.values()):
        numbers = ", ".join(map(str, tried))
        found = ", ".join(map(str, tried.values()))
        yield f"  # Over these commits, N = {numbers} gives {found} outages."
    yield f"  - name: {scalar(group.name)}"
    event = f", event: {group.event}" if group.event else ""
    yield f"    match: {{workflow: {quoted(literal(group.workflow))}{event}}}"
    yield f"    team: {scalar(team)}"
    yield f"    priority: {'P3' if group.by_clock else 'P2'}"
    yield f"    failures_to_open: {group.failures_to_open}" + (
        "  # N; by the clock, three in a row would be late" if group.by_clock else "  # N"
    )
    if group.by_clock:
        yield "    count: runs  # not commits: several runs may test one commit"


def _known_broken(survey: Survey, source: RepoSource, evaluated: Evaluated) -> Iterator[str]:
    if not evaluated.broken:
        return
    if evaluated.until is None:
        jobs = _count(len(evaluated.broken), "job")
        yield f"# {jobs} {'is' if len(evaluated.broken) == 1 else 'are'} broken now and will alert."
        where = "" if source.type == "github" else f"--source {source.type} "
        yield "# To exempt what is broken already for two weeks:"
        yield f"#   trunkwatch init {where}--repo {shlex.quote(survey.repo)} --baseline 14d"
        return
    yield "# Broken before the first day: shown, and no alert until the day below."
    yield "known_broken:"
    for key, since in evaluated.broken:
        workflow, name = (quoted(literal(part)) for part in (key.workflow, key.job_name))
        yield f"  - match: {{workflow: {workflow}, job_name: {name}}}"
        yield f"    reason: {quoted(f'broken since {since}' if since else 'broken at the start')}"
        yield f"    until: {evaluated.until}"


def _count(number: int, thing: str) -> str:
    return f"1 {thing}" if number == 1 else f"{number:,} {thing}s"


def _shown(text: str) -> str:
    """Return a text for a comment: in one line, and not too long."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return cut_to_characters(plain, NAME_CHARACTERS)
