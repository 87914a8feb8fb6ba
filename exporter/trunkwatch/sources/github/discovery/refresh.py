"""One refresh of a source: its repositories are selected, and those with news are read."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from trunkwatch.config.sources import GithubSource
from trunkwatch.domain.model import Trunk
from trunkwatch.engine.facts import SourceState, StateEntry
from trunkwatch.rest.limits import BATCH_REQUESTS, Quota, RefreshBudget
from trunkwatch.rest.lists import ListClient
from trunkwatch.sources.github.discovery.listing import OwnerLists
from trunkwatch.sources.github.discovery.notes import unread_repos
from trunkwatch.sources.github.discovery.planning import Due, Planner
from trunkwatch.sources.github.discovery.record import RecordReader
from trunkwatch.sources.github.discovery.repo_reader import RepoOutcome, RepoReader, StoredRepo
from trunkwatch.sources.github.discovery.reports import Reports
from trunkwatch.sources.github.discovery.rounds import (
    MAX_PLAIN_REPOS,
    Gate,
    HeadReader,
    interval_for,
)
from trunkwatch.sources.github.discovery.selection import Selector
from trunkwatch.sources.github.external_checks import ExternalChecks
from trunkwatch.sources.github.outcome import Graph, Outcome, ReadSettings
from trunkwatch.sources.github.pool import THREADS, in_parallel
from trunkwatch.sources.github.rights import Rights
from trunkwatch.sources.github.state import EntriesByKind, TrunkContext, by_trunk
from trunkwatch.sources.github.suites import SuiteClient
from trunkwatch.sources.github.trunk_reader import TrunkReader
from trunkwatch.sources.port import Refresh, SourceContext

NO_BRANCH = "-"
"""Stands for the branch in the keys of entries that belong to no trunk."""

TrunkContextOf = Callable[[Trunk, SourceState, EntriesByKind | None], TrunkContext]


class RepoRefresh:
    """Refreshes the repositories of one source; one refresh at a time."""

    def __init__(
        self,
        config: GithubSource,
        context: SourceContext,
        client: ListClient,
        quota: Quota,
        suites: SuiteClient | None,
        rights: Rights,
        external: ExternalChecks,
        trunk_context: TrunkContextOf,
    ) -> None:
        """Args:
        config: of the source.
        context: its dependencies.
        client: of REST.
        quota: of REST.
        suites: of GraphQL; None where it cannot be used.
        rights: the addresses that the token may read.
        external: the results of other CI systems that count.
        trunk_context: returns the dependencies of reading a trunk.
        """
        self._config = config
        self._context = context
        self._clock = context.http.clock
        self._client = client
        self._quota = quota
        self._suites = suites
        self._external = external
        self._trunk_context = trunk_context
        graph = suites.client if suites is not None else None
        self._records = RecordReader(client)
        self._selector = Selector(
            config, OwnerLists(client, graph), self._records, self._clock, context.owns
        )
        self._head_reader = (
            HeadReader(graph, self._clock, statuses=bool(config.statuses)) if graph else None
        )
        self._reports = Reports(config, rights)
        self._stored: dict[str, StoredRepo] = {}
        self._state = SourceState()
        self._has_stored = False
        self._reader = RepoReader(config, self._records, self._context_of, self._clock)
        self._plan = Planner(config, self._reader, self._reports, self._clock)

    # ------------------------------------------------------------------ webhooks

    def watched_trunk(self, repository: Mapping[str, Any], branch: str) -> Trunk | None:
        """Return the trunk of a branch if it is watched, and note that it has news.

        Args:
            repository: of a webhook's payload.
            branch: its name.
        """
        repo = self._repo_of(repository)
        if repo is None:
            return None
        trunk = Trunk(repo, branch)
        default = repository.get("default_branch")
        selected = any(
            (section.is_default and branch == default)
            or (not section.is_default and section.may_select(branch) and not section.newest)
            for section in self._config.branches_of(repo)
        )
        if not selected and trunk not in self._reports.watched(repo):
            return None
        self._plan.has_news(repo)
        return trunk

    def _repo_of(self, repository: Mapping[str, Any]) -> str | None:
        """Return the name under which a webhook's repository is read, or will be once listed."""
        full_name = repository["full_name"]
        if not isinstance(full_name, str):
            raise TypeError("repository.full_name is no text")
        repo = self._reports.configured_name(full_name)
        entry = self._config.entry_of(full_name)
        if repo is not None or entry is None:
            return repo
        if not self._context.owns(full_name if entry.is_glob else entry.name):
            return None
        if not entry.is_glob:
            return entry.name
        is_archived, is_fork = repository.get("archived"), repository.get("fork")
        if (is_archived and not self._config.archived) or (is_fork and not self._config.forks):
            return None
        self._selector.ask_again(full_name)
        return full_name

    def _context_of(self, trunk: Trunk, entries: EntriesByKind) -> TrunkContext:
        return self._trunk_context(trunk, self._state, entries)

    # ------------------------------------------------------------------ one refresh

    def refresh(self, state: SourceState, interval: float, spent_key: str) -> Refresh:
        """Read the due repositories, as far as the budget allows.

        Args:
            state: what the source stored at earlier refreshes.
            interval: seconds until the next refresh.
            spent_key: of the entry with the requests of the last hour.

        Raises:
            SourceError: nothing could be read.
        """
        self._state, self._has_stored = state, False
        total = Outcome()
        repos = self._select(total)
        many = len(repos) > MAX_PLAIN_REPOS
        points = self._suites.client.quota if self._suites is not None else None
        uses_heads = many and self._head_reader is not None and not self._head_reader.is_refused
        seconds = interval_for(len(repos), points if uses_heads else None, interval)
        self._begin_round(repos, seconds, many=many)
        budget = RefreshBudget(self._quota, seconds, BATCH_REQUESTS * (THREADS if many else 1))
        gate = Gate(self._quota, budget)
        settings = self._settings(seconds, budget, points)
        stored = [self._stored[repo] for repo in repos]
        plan = self._plan
        due = plan.due(stored, total.facts, seconds) if many else plan.rotated(stored)
        tasks = (self._task(each, settings, gate if many else None) for each in due)
        left_out = False
        for outcome in in_parallel(tasks, THREADS if many else 1):
            left_out |= outcome.is_left_out
            self._take(outcome, gate, total, in_parts=many)
        problem = self._selector.error() if not repos else None
        if (
            problem is None
            and not total.facts
            and not self._has_stored
            and self._reports.all_failed
        ):
            problem = total.error
        if problem is not None:
            raise problem
        spent = json.dumps(self._quota.spent())
        if spent != state.entries.get(spent_key):
            total.facts.append(StateEntry(spent_key, spent))
        unread = [repo for repo in repos if not self._reports.is_read(repo)]
        notes = [*self._selector.limitations(), *unread_repos(len(unread), len(repos))]
        report = self._reports.report(
            total,
            len(repos),
            seconds,
            interval,
            self._quota,
            notes,
            self._clock(),
            graphql=uses_heads,
        )
        report = replace(report, dropped=self._client.take_dropped())
        if left_out and report.retry_after is None:
            report = replace(report, retry_after=self._quota.pause() or None)
        return Refresh(total.facts, report)

    def _select(self, total: Outcome) -> list[str]:
        """Return the repositories to read; remove those that left."""
        by_repo: dict[str, dict[str, EntriesByKind]] = defaultdict(dict)
        for name, kinds in by_trunk(self._state.entries).items():
            repo, _, branch = name.partition(" ")
            if branch != NO_BRANCH:
                by_repo[repo][branch] = kinds
            elif "repo" in kinds:
                by_repo.setdefault(repo, {})
        selection = self._selector.select(self._state.entries, by_repo)
        names = [*selection.repos, *selection.left]
        self._stored = {
            repo: StoredRepo(repo, self._state.entries, by_repo.get(repo, {})) for repo in names
        }
        total.facts.extend(selection.facts)
        for repo, reason in selection.left.items():
            total.facts.extend(self._stored[repo].removal(reason))
            self._reports.forget(repo)
        return selection.repos

    def _begin_round(self, repos: Sequence[str], seconds: float, *, many: bool) -> None:
        """Read the heads, unless the last refresh did, and left history to be read at once."""
        now = self._clock()
        if 0 <= now - self._plan.round_at < seconds / 2:
            return
        self._plan.round_at, self._plan.heads = now, {}
        if many and self._head_reader is not None:
            requests = [self._reader.head_request(self._stored[repo]) for repo in repos]
            self._plan.heads = self._head_reader.read(requests)

    def _settings(
        self, seconds: float, budget: RefreshBudget, points: Quota | None
    ) -> ReadSettings:
        graph = None
        if self._suites is not None and points is not None:
            graph = Graph(self._suites, RefreshBudget(points, seconds))
        return ReadSettings(self._config.window, seconds, self._external, budget, graph)

    def _task(
        self, due: Due, settings: ReadSettings, gate: Gate | None
    ) -> Callable[[], RepoOutcome]:
        repo = due.stored.repo
        moved = self._was_redirected(repo)
        read_trunk = partial(self._read, settings)

        def read() -> RepoOutcome:
            if gate is not None and (gate.stopped or not gate.may_begin(cold=due.cold)):
                return RepoOutcome(repo, is_left_out=True)
            self._plan.begun(repo)
            return self._reader.read(due.stored, due.head, read_trunk, moved=moved)

        return read

    def _was_redirected(self, repo: str) -> bool:
        """Return whether requests of a repository were redirected in the last refresh."""
        paths = {p for p in self._client.redirected if p.startswith(f"/repos/{repo}/")}
        self._client.redirected -= paths
        return bool(paths)

    def _read(self, settings: ReadSettings, context: TrunkContext) -> Outcome:
        return TrunkReader(context, settings, self._context.focus(context.trunk)).read()

    def _take(self, outcome: RepoOutcome, gate: Gate, total: Outcome, *, in_parts: bool) -> None:
        """Store the outcome of reading a repository."""
        if outcome.is_left_out:
            self._reports.left_out(self._stored[outcome.repo], gate.stopped)
            total.add_error(gate.stopped)
            return
        self._plan.read(outcome)
        errors = [each.error for each in outcome.trunks.values() if each.error is not None]
        gate.note(errors)
        for each in outcome.trunks.values():
            total.add_error(each.error)
            total.unread += each.unread
            total.more |= each.more
        self._reports.take(outcome, self._clock())
        if in_parts and self._context.store is not None:
            self._has_stored = True
            if outcome.facts:
                self._context.store(outcome.facts)
        else:
            total.facts.extend(outcome.facts)
