"""One Buildbot master as a source; see the package."""

from collections.abc import Iterable, Mapping, Sequence

from cachetools import LRUCache

from trunkwatch.config.sources import BuildbotSource
from trunkwatch.domain.evidence import PENDING_LIMIT
from trunkwatch.domain.model import Observation, RawJob, Trunk, TrunkOrder
from trunkwatch.domain.names import any_full_match
from trunkwatch.engine.facts import SourceState
from trunkwatch.errors import BadAnswerError, GitError, SourceError
from trunkwatch.sources.buildbot.api import BuildbotApi, is_refused
from trunkwatch.sources.buildbot.builds import (
    EXCEPTION,
    Build,
    Checkout,
    RequestedSources,
    checkout_of,
    choose_codebase,
    codebases_of,
    parse_build,
)
from trunkwatch.sources.buildbot.position import Position
from trunkwatch.sources.buildbot.tally import Tally
from trunkwatch.sources.commits import COLD_LOOK_BACK_SECONDS, oldest_date
from trunkwatch.sources.gitlog import GitLog
from trunkwatch.sources.hashes import full_hash, short_hash
from trunkwatch.sources.port import (
    Limitation,
    Refresh,
    RefreshReport,
    SourceContext,
    TrunkReport,
)
from trunkwatch.sources.traits import Traits
from trunkwatch.urls import without_credentials

LOOK_BACK_SECONDS = 600.0
"""Seconds that each refresh looks back behind the newest build that was read: builds finish in
another order than their ids, and a master that was killed writes `complete_at` late."""

CACHED_BUILDS = 10_000
"""Builds and requests of which nothing is read twice; far more than one look back contains."""


TRAITS = Traits(
    title="Buildbot",
    document="configuration.md#type-buildbot",
    attempts="yes, the builds of a request",
    failed_step="yes",
    may_fail="yes: a build with such failures has warnings, and passes",
    order="`git log` of a local clone",
    webhooks=(),
    requests=2,
)


class Buildbot:
    """One master.

    A refresh sends two requests. New builds cost two more together, which read their source stamps,
    and each newly failed build costs one more.
    """

    def __init__(self, config: BuildbotSource, context: SourceContext) -> None:
        """Args:
        config: its section of the configuration.
        context: its dependencies.
        """
        self._config = config
        self._is_owned = context.owns(config.repo)
        self._clock = context.http.clock
        self._api = BuildbotApi(config, context.http)
        self._builders: dict[int, str | None] = {}
        self._sources: LRUCache[int, RequestedSources] = LRUCache(maxsize=CACHED_BUILDS)
        self._failed_steps: LRUCache[int, str | None] = LRUCache(maxsize=CACHED_BUILDS)
        self._counted: LRUCache[object, None] = LRUCache(maxsize=CACHED_BUILDS)
        self._git = GitLog(config.git, config.git_fetch) if config.git else None
        self._read_until: dict[Trunk, float] = {}

    def refresh(self, state: SourceState) -> Refresh:
        """Read the trunks' orders, the builds that completed since, and those that are running.

        Raises:
            SourceError: the master or all trunks cannot be read, or no build of a cold start can
                be used, for a reason that the configuration can remove.
        """
        if not self._is_owned:
            return Refresh(())
        now = self._clock()
        position = Position.from_cursor(state.cursor, self._scope())
        position.drop_future(now)
        cold = position.since is None
        orders, errors = self._orders()
        tally = Tally(self._config, self._counted)
        builds = self._builds(position, _begin(position, orders, now), tally, now)
        position.record(builds, now)
        rows = self._rows(builds, position, tally)
        if cold and not rows and (remedies := tally.remedies()):
            raise SourceError("; ".join(remedies.values()))
        position.limit(tally.limitations(), now)
        left = position.replace_pending(rows)
        report = RefreshReport(
            trunks=self._reports(errors, now),
            limitations=tuple(
                Limitation(name, text) for name, (text, _) in position.limitations.items()
            ),
            dropped=tally.dropped,
        )
        return Refresh([*orders, *rows.values(), *left, position.to_cursor()], report)

    def _scope(self) -> list[str]:
        """Return the configuration that selects builds, without secrets."""
        config = self._config
        patterns = [pattern.text for pattern in config.builders]
        selects = [config.repo, *config.branches, str(config.window), config.codebase, *patterns]
        return [without_credentials(config.url), *selects]

    # ------------------------------------------------------------------ orders

    def _orders(self) -> tuple[list[TrunkOrder], dict[Trunk, GitError]]:
        """Return the orders of the trunks, and the errors of those that cannot be read.

        Raises:
            GitError: no trunk can be read.
        """
        if self._git is None or not self._config.could_order():
            return [], {}
        return self._git.orders(self._config.feeds(), self._config.window)

    def _reports(self, errors: Mapping[Trunk, GitError], now: float) -> dict[Trunk, TrunkReport]:
        for trunk in self._config.feeds():
            if trunk not in errors:
                self._read_until[trunk] = now
        return {
            trunk: TrunkReport(self._read_until.get(trunk), errors.get(trunk))
            for trunk in self._config.feeds()
        }

    # ------------------------------------------------------------------ builds

    def _builds(self, position: Position, begin: int, tally: Tally, now: float) -> list[Build]:
        """Return the unfinished and the newly completed builds, in the order of their ids."""
        # Read unfinished builds first: one that ends in between is then in both lists, not in
        # neither, and the attempts before each unfinished one are certain to be listed.
        items = [*self._api.unfinished(int(now - PENDING_LIMIT)), *self._api.completed(begin)]
        builds = _parsed(items, tally, now)
        if items and not builds and position.since is None:
            ids = "buildid, builderid and buildrequestid"
            raise self._api.unlike_buildbot("/builds", f"no build has the numbers {ids}")
        position.forget_expired(now)
        if unlisted := position.pending.keys() - builds.keys():
            builds |= _parsed(self._api.builds(unlisted), tally, now)
        return [builds[number] for number in sorted(builds)]

    def _rows(
        self, builds: Sequence[Build], position: Position, tally: Tally
    ) -> dict[int, Observation]:
        """Return the observations by the build's id; count the builds that cannot be used."""
        self._read_builders(builds)
        checkouts = self._checkouts(
            [build for build in builds if self._is_job(build, tally)], tally
        )
        hashes = self._expanded(checkout for _, checkout in checkouts)
        rows: dict[int, Observation] = {}
        for build, checkout in checkouts:
            sha = _commit(checkout, hashes)
            watched = self._is_watched(checkout.branch)
            page = self._api.page(build.builder_id, build.number)
            if sha is not None:
                rows[build.build_id] = self._row(build, sha, checkout.branch, position)
            elif build.complete:
                tally.drop_revision(build.build_id, checkout, page if watched else None)
        return rows

    def _is_job(self, build: Build, tally: Tally) -> bool:
        builder = self._builders.get(build.builder_id)
        if builder is None:
            tally.drop(build.build_id, "builder")
            return False
        return not self._config.builders or any_full_match(self._config.builders, builder)

    def _is_watched(self, branch: str | None) -> bool:
        return branch is None or branch in self._config.branches

    def _checkouts(self, builds: Sequence[Build], tally: Tally) -> list[tuple[Build, Checkout]]:
        """Return the builds of the repository as it is: without those of a patch."""
        sources = self._requested(builds, tally)
        found = []
        for build in builds:
            requested = sources.get(build.request_id, RequestedSources())
            names = codebases_of(build, requested)
            codebase = choose_codebase(names, self._config.codebase)
            if requested.patched:
                tally.drop(build.build_id, "patch")
            elif codebase is None:
                tally.drop_codebases(build.build_id, names)
            else:
                found.append((build, checkout_of(build, requested, codebase)))
        return found

    # ------------------------------------------------------------------ requests

    def _read_builders(self, builds: Iterable[Build]) -> None:
        """Read the builders if a build has a new one; one that is not listed is not asked again."""
        new = {build.builder_id for build in builds} - self._builders.keys()
        if new:
            self._builders |= {**dict.fromkeys(new), **self._api.builders()}

    def _requested(self, builds: Iterable[Build], tally: Tally) -> dict[int, RequestedSources]:
        """Return the sources of the builds' requests, except for branches that are not watched."""
        requests = {build.request_id for build in builds if self._is_watched(build.branch)}
        found = {number: self._sources[number] for number in requests if number in self._sources}
        if unread := requests - found.keys():
            nothing = dict.fromkeys(unread, RequestedSources())
            try:
                read = {**nothing, **self._api.sources(unread)}
            except BadAnswerError as error:
                if not is_refused(error):
                    raise
                tally.refused(error)
                read = nothing
            self._sources.update(read)
            found |= read
        return found

    def _failed_step(self, build_id: int) -> str | None:
        """Return the first failed step; None too where the master cannot list the steps."""
        if build_id not in self._failed_steps:
            try:
                self._failed_steps[build_id] = self._api.failed_step(build_id)
            except BadAnswerError as error:
                if not is_refused(error):
                    return None
                self._failed_steps[build_id] = None
        return self._failed_steps[build_id]

    def _expanded(self, checkouts: Iterable[Checkout]) -> dict[str, str]:
        """Return the full hashes of abbreviated ones, as far as the clone has them."""
        named = (name for checkout in checkouts for name in (checkout.got, checkout.requested))
        short = {prefix for name in named if (prefix := short_hash(name)) is not None}
        return self._git.expand(short) if self._git is not None else {}

    # ------------------------------------------------------------------ observations

    def _row(self, build: Build, sha: str, branch: str | None, position: Position) -> Observation:
        watched = self._is_watched(branch)
        # A build of a branch that is not watched belongs to the first one, and is ignored there.
        trunk = Trunk(self._config.repo, (watched and branch) or self._config.branches[0])
        return Observation(
            trunk=trunk,
            sha=sha,
            job=RawJob(
                self._config.workflow or self._config.name,
                None,
                self._builders[build.builder_id] or "",
            ),
            status="completed" if build.complete else "in_progress",
            conclusion=build.conclusion,
            run_id=build.request_id,
            attempt=position.attempt(build),
            job_id=build.build_id,
            run_number=build.request_id,
            head_branch=branch or trunk.branch,
            head_repo=self._config.repo,
            started_at=build.started_at,
            completed_at=build.completed_at,
            url=self._api.page(build.builder_id, build.number),
            failed_step=self._failed_step(build.build_id) if build.failed and watched else None,
            infra=build.complete and build.results == EXCEPTION,
        )


def _begin(position: Position, orders: Iterable[TrunkOrder], now: float) -> int:
    """Return the time from which completed builds are read (seconds since the epoch)."""
    if position.since is not None:
        return int(position.since - LOOK_BACK_SECONDS)
    return max(0, int((oldest_date(orders, now) or 0.0) - COLD_LOOK_BACK_SECONDS))


def _parsed(items: Iterable[object], tally: Tally, now: float) -> dict[int, Build]:
    """Return builds by their ids; the last row of a build counts."""
    builds: dict[int, Build] = {}
    for item in items:
        build = parse_build(item, now)
        if build is None:
            tally.drop(repr(item), "malformed")
        else:
            builds[build.build_id] = build
    return builds


def _commit(checkout: Checkout, hashes: Mapping[str, str]) -> str | None:
    """Return the full hash of the commit that was checked out, else of the requested one.

    A person may request a build of `v1.2`; such a name is not guessed.

    Args:
        checkout: of a build.
        hashes: full ones by abbreviated ones.
    """
    got, requested = (
        full_hash(name) or hashes.get(short_hash(name) or "")
        for name in (checkout.got, checkout.requested)
    )
    if got is None and requested is not None:
        abbreviated = short_hash(checkout.got)
        return requested if abbreviated is None or requested.startswith(abbreviated) else None
    return got
