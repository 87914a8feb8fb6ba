"""Buildbot, through its REST API (https://docs.buildbot.net/latest/developer/rest.html).

Builders are jobs, a build request is a run, and each build of it an attempt. The `results` of a
build are described at https://docs.buildbot.net/latest/developer/results.html.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from cachetools import LRUCache

from trunkwatch.config.schema import BuildbotSource
from trunkwatch.domain.model import Observation, RawJob, Trunk, TrunkOrder
from trunkwatch.domain.names import any_full_match
from trunkwatch.engine.facts import Cursor, SourceState
from trunkwatch.errors import BadAnswerError
from trunkwatch.rest.client import Query, RestClient, without_credentials
from trunkwatch.sources.gitlog import GitLog
from trunkwatch.sources.hashes import full_hash
from trunkwatch.sources.port import Refresh, Source, SourceContext
from trunkwatch.times import plausible_time

SUCCESS, WARNINGS, FAILURE, SKIPPED, EXCEPTION, RETRY, CANCELLED = range(7)

CONCLUSIONS: Mapping[int, str] = MappingProxyType(
    {
        SUCCESS: "success",
        WARNINGS: "success",
        FAILURE: "failure",
        SKIPPED: "skipped",
        EXCEPTION: "failure",
        RETRY: "retry",
        CANCELLED: "cancelled",
    }
)
"""Buildbot's result codes as conclusions of the evidence table; EXCEPTION is marked `infra`."""

PAGE = 200
"""Builds per request; the master queries properties per build, so more is not faster."""

LOOK_BACK_SECONDS = 600.0
"""Seconds that each refresh looks back behind the newest build that was read: builds finish in
another order than their ids, and a master that was killed writes `complete_at` late."""

COLD_LOOK_BACK_SECONDS = 86_400.0
"""Seconds before the window's oldest commit at which a cold start begins: dates may be wrong."""

CACHED_STEPS = 10_000
"""Failed builds whose first failed step is not read twice."""


@dataclass(slots=True)
class _Position:
    """The position of the source between refreshes, as JSON in its cursor.

    Attributes:
        scope: the configuration that selects builds; when it changes, reading begins anew.
        since: when the newest build that was read completed (seconds since the epoch).
        retried: per build request, its builds that ended as RETRY, with their end: the attempts
            before the one that counts.
    """

    scope: list[str]
    since: float | None = None
    retried: dict[int, dict[int, float]] = field(default_factory=dict)

    @classmethod
    def from_cursor(cls, cursor: str | None, scope: list[str]) -> "_Position":
        data = json.loads(cursor) if cursor is not None else {}
        if data.get("scope") != scope:
            return cls(scope)
        retried = {
            int(request): {int(build): float(end) for build, end in builds.items()}
            for request, builds in data["retried"].items()
        }
        return cls(scope, data["since"], retried)

    def to_cursor(self) -> Cursor:
        return Cursor(json.dumps(asdict(self)))

    def record(self, builds: Iterable[Mapping[str, Any]], now: float) -> None:
        """Record completed builds, and drop retries that will not be listed again."""
        for build in builds:
            # An end in the future would hide the builds that complete until then.
            end = min(now, plausible_time(build["complete_at"], now) or 0.0)
            if end:
                self.since = end if self.since is None else max(self.since, end)
            if build["results"] == RETRY:
                self.retried.setdefault(build["buildrequestid"], {})[build["buildid"]] = end or now
        horizon = (self.since or 0.0) - COLD_LOOK_BACK_SECONDS
        self.retried = {
            request: ends for request, ends in self.retried.items() if max(ends.values()) >= horizon
        }

    def attempt(self, build: Mapping[str, Any]) -> int:
        """Return the number of a build among those of its request."""
        earlier = self.retried.get(build["buildrequestid"], {})
        number: int = build["buildid"]
        return 1 + sum(other < number for other in earlier)


def buildbot_source(config: BuildbotSource, context: SourceContext) -> Source:
    """Return the source that reads the configured master."""
    return Buildbot(config, context)


class Buildbot:
    """One master: two requests a refresh, and one for each newly failed build."""

    def __init__(self, config: BuildbotSource, context: SourceContext) -> None:
        """Args:
        config: its section of the configuration.
        context: its dependencies.
        """
        self._config = config
        self._clock = context.http.clock
        url = f"{config.url.rstrip('/')}/api/v2"
        self._api = RestClient(url, context.http, timeout=config.timeout)
        self._builders: dict[int, str] = {}
        self._failed_steps: LRUCache[int, str | None] = LRUCache(maxsize=CACHED_STEPS)
        self._git = (
            GitLog(config.git, config.git_fetch) if config.git and config.could_order() else None
        )

    def refresh(self, state: SourceState) -> Refresh:
        """Read the trunk's order, the builds that completed since, and those that are running."""
        position = _Position.from_cursor(state.cursor, self._scope())
        orders = self._orders()
        # Read running builds first: one that ends in between is then in both lists, not in neither,
        # and the attempts before each running one are certain to be listed.
        running = self._builds([("complete", "false")])
        completed = list(self._completed(self._begin(position, orders)))
        self._read_builders(completed + running)
        position.record(completed, self._clock())
        rows = [self._row(build, position) for build in completed + running]
        found = [row for row in rows if row is not None]
        return Refresh([*orders, *found, position.to_cursor()])

    # ------------------------------------------------------------------ requests

    def _orders(self) -> list[TrunkOrder]:
        if self._git is None:
            return []
        self._git.update(self._config.branches)
        return [self._git.order(trunk, self._config.window) for trunk in self._config.feeds()]

    def _scope(self) -> list[str]:
        """Return the configuration that selects builds, without secrets."""
        config = self._config
        patterns = [pattern.pattern for pattern in config.builders]
        selects = [config.repo, *config.branches, str(config.window), config.codebase, *patterns]
        return [without_credentials(config.url), *selects]

    def _begin(self, position: _Position, orders: Sequence[TrunkOrder]) -> int:
        if position.since is not None:
            return int(position.since - LOOK_BACK_SECONDS)
        now = self._clock()
        dates = [
            time
            for order in orders
            for commit in order.commits
            if (time := plausible_time(commit.committed_at, now)) is not None
        ]
        return max(0, int(min(dates, default=0.0) - COLD_LOOK_BACK_SECONDS))

    def _completed(self, begin: int) -> Iterator[dict[str, Any]]:
        """Yield the completed builds; a page that is not full is the last.

        The filter is on the time of completion: ids are assigned at the start, so a cursor over ids
        loses slow builds. `meta.total` is only the length of the page. The second order is for
        builds that completed in one second: pages must not split them at random.
        """
        offset = 0
        while True:
            page = self._builds(
                [
                    ("complete", "true"),
                    ("complete_at__ge", begin),
                    ("order", "complete_at"),
                    ("order", "buildid"),
                    ("limit", PAGE),
                    ("offset", offset),
                ]
            )
            yield from page
            if len(page) < PAGE:
                return
            offset += PAGE

    def _builds(self, query: Query) -> list[dict[str, Any]]:
        wanted = [("property", name) for name in ("got_revision", "revision", "branch")]
        builds = self._list("/builds", "builds", [*query, *wanted])
        for build in builds:
            for key in ("buildid", "builderid", "buildrequestid"):
                self._check("/builds", build, key, int)
            self._check("/builds", build, "complete", bool)
            if build["complete"]:
                self._check("/builds", build, "complete_at", int)
        return builds

    def _read_builders(self, builds: Iterable[Mapping[str, Any]]) -> None:
        if all(build["builderid"] in self._builders for build in builds):
            return
        for builder in self._list("/builders", "builders", []):
            self._check("/builders", builder, "builderid", int)
            self._check("/builders", builder, "name", str)
            self._builders[builder["builderid"]] = builder["name"]

    def _failed_step(self, build_id: int) -> str | None:
        if build_id not in self._failed_steps:
            query = [("order", "number"), *(("field", f) for f in ("name", "number", "results"))]
            steps = self._list(f"/builds/{build_id}/steps", "steps", query)
            failed = (s.get("name") for s in steps if s.get("results") in (FAILURE, EXCEPTION))
            first = next(failed, None)
            self._failed_steps[build_id] = first if isinstance(first, str) else None
        return self._failed_steps[build_id]

    def _list(self, path: str, key: str, query: Query) -> list[dict[str, Any]]:
        items = self._api.object("GET", path, query).get(key)
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise BadAnswerError(
                f"GET {self._api.address(path)}: no list of {key!r} in the answer;"
                " is it the address of a Buildbot master?",
            )
        return items

    def _check(self, path: str, item: Mapping[str, Any], key: str, kind: type) -> None:
        value = item.get(key)
        # In Python, true is an integer; in Buildbot it is not.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise BadAnswerError(
                f"GET {self._api.address(path)}: {key!r} is {value!r} in the answer, where Buildbot"
                f" gives {kind.__name__}",
            )

    # ------------------------------------------------------------------ observations

    def _row(self, build: Mapping[str, Any], position: _Position) -> Observation | None:
        """Return the observation of a build; None without a watched builder and a full hash."""
        builder = self._builders.get(build["builderid"])
        sha = self._revision(build)
        if builder is None or sha is None or not self._is_job(builder):
            return None
        results = build.get("results") if build["complete"] else None
        branch = _text(_property(build, "branch"))
        watched = branch is None or branch in self._config.branches
        failed = results in (FAILURE, EXCEPTION)
        # A build of a branch that is not watched belongs to the first one, and is ignored there.
        trunk = Trunk(self._config.repo, (watched and branch) or self._config.branches[0])
        return Observation(
            trunk=trunk,
            sha=sha,
            job=RawJob(self._config.workflow or self._config.name, None, builder),
            status="completed" if build["complete"] else "in_progress",
            conclusion=_conclusion(results),
            run_id=build["buildrequestid"],
            attempt=position.attempt(build),
            job_id=build["buildid"],
            run_number=build["buildrequestid"],
            head_branch=branch or trunk.branch,
            head_repo=self._config.repo,
            started_at=_seconds(build.get("started_at")),
            completed_at=_seconds(build.get("complete_at")),
            url=self._url(build),
            failed_step=self._failed_step(build["buildid"]) if failed and watched else None,
            infra=results == EXCEPTION,
        )

    def _is_job(self, builder: str) -> bool:
        return not self._config.builders or any_full_match(self._config.builders, builder)

    def _revision(self, build: Mapping[str, Any]) -> str | None:
        """Return the commit that was checked out, else the requested one.

        With several codebases `got_revision` is an object by codebase. Without a full hash (a
        person may force a build of `v1.2`) a commit cannot be identified.
        """
        got = _property(build, "got_revision")
        if isinstance(got, dict):
            got = got.get(self._config.codebase) or (
                next(iter(got.values())) if len(got) == 1 else None
            )
        return full_hash(got) or full_hash(_property(build, "revision"))

    def _url(self, build: Mapping[str, Any]) -> str:
        base = without_credentials(self._config.url).rstrip("/")
        return f"{base}/#/builders/{build['builderid']}/builds/{build.get('number')}"


def _property(build: Mapping[str, Any], name: str) -> Any:
    """Return a property's value; Buildbot gives each as [value, where it came from]."""
    value = (build.get("properties") or {}).get(name)
    return value[0] if isinstance(value, list) and value else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _conclusion(results: object) -> str | None:
    if results is None:
        return None
    return CONCLUSIONS.get(results, str(results)) if isinstance(results, int) else str(results)


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
