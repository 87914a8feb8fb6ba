"""Answers of GitHub with one poisoned value, read by the whole exporter."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from hypothesis import strategies as st
from trunkwatch.config import Config
from trunkwatch.domain.model import Observation, Trunk
from trunkwatch.engine.facts import StateEntry
from trunkwatch.store import SqliteStore

from tests.fuzz.poison import MISSING, TWICE, Poison, holders, poisons
from tests.fuzz.rendering import render, render_text
from tests.fuzz.texts import json_texts, spoiled
from tests.github.direct import DirectSession
from tests.github.exporter import TOKEN_VARIABLE, SimulatedExporter, config_for
from tests.github.fake import T0, TOKEN, FakeGitHub
from tests.github.http_server import HttpRequest, HttpResponse
from tests.github.json_parts import JsonParts
from tests.github.server import GitHubServer
from tests.github.workflows import Job, Workflow, hanging

REPO = "o/r"
TRUNK = Trunk(REPO, "main")
NOW = T0 + 7200
SETTINGS = ", checks: [jenkins], statuses: ['.*']"
HELD_BACK_SECONDS = 1860.0
"""After so long, newer commits no longer wait for one that cannot be read."""

IDENTITIES = frozenset({"id", "sha", "databaseId", "url", "context", "detailsUrl"})
"""A value of a document that has one of these keys is a row."""

UNREAD = frozenset(JsonParts("", "").small_repo("o/r", 1)) - {
    "id",
    "full_name",
    "name",
    "url",
    "html_url",
    "node_id",
}
"""Keys of GitHub's documents that are most of them, and that nothing reads."""

DETAILS = frozenset({"annotations", "steps"})
"""Keys of lists that belong to one job, and do not name it."""

QUIET = (MISSING, TWICE, "null", "{}")
"""What GitHub itself gives for a moment, or where something was deleted: nothing is noted."""


def history() -> FakeGitHub:
    """Return three commits with passes, failures, a re-run, a hang, and other CI systems."""
    fake = FakeGitHub(NOW)
    repo = fake.repo(REPO)
    ci, slow = (Workflow(name, f".github/workflows/{name}.yml") for name in ("ci", "slow"))
    for number in range(3):
        at = T0 + number * 1200
        commit = repo.commit(f"Change {number}", at=at)
        bad = Job("bad", end=200, conclusion="failure" if number else "success", failed_step="Test")
        run = repo.run(commit, ci, [bad, Job("good", end=250)], at=at + 5)
        if number == 1:
            run.rerun(at + 600, [Job("bad", end=100, conclusion="failure")], copies=True)
        repo.run(commit, slow, [hanging("hangs", limit=360) if number else Job("hangs")], at=at + 6)
        repo.status(commit, "travis", "failure" if number else "success", at)
        repo.check(commit, "jenkins", "external", at=at)
    return fake


class Exchange(NamedTuple):
    """A request and the JSON of its answer."""

    request: tuple[str, str, str, bytes]
    document: Any

    def __repr__(self) -> str:
        return f"Exchange({self.request})"


@dataclass
class PoisonedExporter(SimulatedExporter):
    """An exporter that reads the fake GitHub; one of the answers may be poisoned.

    Attributes:
        answers: by time and request; all exporters of one history share them.
        poisoned: the request with a poisoned answer, each time that it is sent.
        body: of that answer.
    """

    answers: dict[tuple[Any, ...], HttpResponse] = field(default_factory=dict)
    poisoned: tuple[str, str, str, bytes] | None = None
    body: bytes = b""

    def _session(self) -> DirectSession:
        return DirectSession(self._respond)

    def _respond(self, request: HttpRequest) -> HttpResponse:
        key = (request.method, request.path, str(request.query), request.body)
        if key == self.poisoned:
            return HttpResponse(200, self.body, {"Content-Type": "application/json"})
        memo = (self.fake.now, key, request.headers.get("if-none-match"))
        if memo not in self.answers:
            self.answers[memo] = self.server.respond(request)
        return self.answers[memo]

    def problems(self) -> int:
        """Return how often something was noted as unreadable."""
        counts = self.counters.totals().counts
        names = ("trunkwatch_source_rows_dropped_total", "trunkwatch_source_errors_total")
        return int(sum(number for (name, *_), number in counts.items() if name in names))

    def internal_errors(self) -> int:
        """Return how often a refresh ended with an internal error."""
        counts = self.counters.totals().counts
        names = [("trunkwatch_source_errors_total", "gh", reason) for reason in ("bug", "store")]
        return int(sum(counts.get(name, 0) for name in names))


class Result(NamedTuple):
    """The stored results of an exporter.

    Attributes:
        rows: by their identity.
        order: hashes, oldest first.
    """

    rows: Mapping[tuple[Any, ...], Observation]
    order: tuple[str, ...]

    @classmethod
    def of(cls, exporter: PoisonedExporter) -> "Result":
        """Return the stored results of an exporter."""
        rows = {
            (
                row.sha,
                row.job.workflow_path,
                row.job.job_name,
                row.run_id,
                row.attempt,
                row.job_id,
            ): row
            for row in exporter.store.observations(TRUNK)
        }
        order = exporter.store.load().orders.get(TRUNK)
        return cls(rows, tuple(each.sha for each in order.commits) if order else ())


@dataclass
class GithubAnswers:
    """All answers of one way of reading GitHub.

    Attributes:
        graphql: whether GraphQL is read.
        counts: of the tries, by what happened.
    """

    graphql: bool
    counts: Counter[str] = field(default_factory=Counter)

    @cached_property
    def _server(self) -> GitHubServer:
        return GitHubServer(history())

    @cached_property
    def _answers(self) -> dict[tuple[Any, ...], HttpResponse]:
        return {}

    @cached_property
    def _config(self) -> Config:
        return config_for(self._server.url, REPO, SETTINGS, graphql=self.graphql)

    @contextmanager
    def _exporter(self, *poisoned: Any, config: Config | None = None) -> Iterator[PoisonedExporter]:
        fake, store = self._server.fake, SqliteStore()
        fake.now = NOW
        with mock.patch.dict(os.environ, {TOKEN_VARIABLE: TOKEN}):
            yield PoisonedExporter(
                fake, self._server, config or self._config, store, self._answers, *poisoned
            )
        store.close()

    @contextmanager
    def webhooks(self, secret: Path) -> Iterator[PoisonedExporter]:
        """Run an exporter that takes webhooks.

        Args:
            secret: the file with their secret.
        """
        more = f"{SETTINGS}, webhook_secret_file: {secret}"
        config = config_for(self._server.url, REPO, more, graphql=self.graphql)
        with self._exporter(config=config) as exporter:
            yield exporter

    @cached_property
    def state(self) -> Mapping[str, str]:
        """The stored state after a refresh without poison."""
        with self._exporter() as exporter:
            self._refresh(exporter)
            return dict(exporter.engine.state("gh").entries)

    def states(self) -> st.SearchStrategy[tuple[str, bytes]]:
        """Return entries of the stored state, with a damaged text or key."""
        entries = list(self.state.items())
        texts = [st.tuples(st.just(key), json_texts(json.loads(text))) for key, text in entries]
        keys = [
            st.tuples(
                spoiled(key.encode()).map(lambda each: each.decode(errors="replace")),
                st.just(text.encode()),
            )
            for key, text in entries
        ]
        return st.one_of([*texts, *keys])

    def try_state(self, given: tuple[str, bytes]) -> None:
        """Restart on a stored state with one damaged entry."""
        key, text = given
        with self._exporter() as exporter:
            facts = [StateEntry(*each) for each in self.state.items()]
            damaged = StateEntry(key, text.decode(errors="replace"))
            exporter.store.apply("gh", [*facts, damaged], NOW)
            exporter.restart()
            self._refresh(exporter)

    @cached_property
    def good(self) -> Result:
        """The stored results without poison."""
        with self._exporter() as exporter:
            self._refresh(exporter)
            return Result.of(exporter)

    @cached_property
    def exchanges(self) -> list[Exchange]:
        """The answers that the exporter reads without poison."""
        assert self.good.rows
        return [
            Exchange(key, json.loads(answer.body))
            for (at, key, etag), answer in self._answers.items()
            if at == NOW and etag is None and answer.status == HTTPStatus.OK
        ]

    def inputs(self) -> st.SearchStrategy[tuple[Exchange, Poison]]:
        """Return the answers with a poisoned value each."""
        return st.one_of(
            [st.tuples(st.just(each), poisons(each.document, UNREAD)) for each in self.exchanges]
        )

    def try_one(self, given: tuple[Exchange, Poison]) -> None:
        """Read GitHub with one poisoned value, and restart on the stored results."""
        exchange, poison = given
        self.good  # noqa: B018 — is read before the clock is used for this try
        with self._exporter(exchange.request, poison.apply(exchange.document)) as exporter:
            self._refresh(exporter)
            if Result.of(exporter) != self.good:
                self._refresh(exporter, HELD_BACK_SECONDS)
                render_text(exporter.engine.snapshot, exporter.fake.now)
            found, problems = Result.of(exporter), exporter.problems()
            believed = poison.may_be_believed(exchange.document)
            # Nothing states how many annotations a job has: they may have been deleted.
            believed |= poison.text == "[]" and _is_detail(exchange, poison)
            changed = self._check(exchange, poison, found, believed=believed)
            if changed and not (believed or poison.text in QUIET):
                assert problems, "nothing tells of the missing results"
            render(exporter.engine.snapshot, exporter.counters, exporter.fake.now)
            exporter.restart()
            exporter.refresh()
            assert not exporter.internal_errors()
        ended = bool(self.good.order and not found.order)
        self.counts["values"] += 1
        self.counts["ended a refresh"] += ended and _row_of(exchange, poison) is not None
        self.counts["noted"] += problems > 0

    @staticmethod
    def _refresh(exporter: PoisonedExporter, seconds: float = 0.0) -> None:
        exporter.fake.now += seconds
        for _ in range(2):
            exporter.refresh()
        assert not exporter.internal_errors()

    def _check(self, exchange: Exchange, poison: Poison, found: Result, *, believed: bool) -> bool:
        """Assert that the poisoned row alone is missing or changed.

        Returns:
            Whether a result is missing.
        """
        row = _row_of(exchange, poison)
        whole = exchange.document if row is None else row
        text = json.dumps(whole)
        if found.order != self.good.order:
            assert "".join(found.order) in "".join(self.good.order), "commits seem adjacent"
        changed = False
        for key, good in self.good.rows.items():
            mine = found.rows.get(key)
            if mine is not None and _outcome(mine) == _outcome(good):
                continue
            changed |= mine is None or mine.conclusion != good.conclusion
            ids = (good.job_id, good.run_id, good.sha)
            is_same = _is_detail(exchange, poison) or any(str(each) in text for each in ids if each)
            assert is_same, f"{key} is not of the poisoned row"
            if mine is not None and not believed:
                assert mine.conclusion in (good.conclusion, None), f"{mine} was {good}"
        return changed


def _outcome(row: Observation) -> tuple[Any, ...]:
    return row.status, row.conclusion, row.started_at, row.completed_at


def _is_detail(exchange: Exchange, poison: Poison) -> bool:
    return not DETAILS.isdisjoint((*poison.place, exchange.request[1].split("/")[-1]))


def _row_of(exchange: Exchange, poison: Poison) -> Any:
    """Return the innermost row around a place; None where that is no row of a list."""
    around = list(holders(exchange.document, poison.place))
    keys = list(poison.place)
    return next(
        (
            each
            for depth, each in reversed(list(enumerate(around)))
            if isinstance(each, dict) and IDENTITIES & each.keys() and depth
            if isinstance(keys[depth - 1], int) or str(keys[depth - 1])[1:].isdecimal()
        ),
        None,
    )
