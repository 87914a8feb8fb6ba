"""A stand-in CI, an exporter that reads it, and `trunkwatch confirm`, in simulated time."""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock
from urllib.parse import urlencode

from trunkwatch.config import Config, ConfirmSection, parse_config
from trunkwatch.confirm.listing import confirm_object
from trunkwatch.confirm.metrics import ConfirmMetrics
from trunkwatch.confirm.model import Asked
from trunkwatch.confirm.rounds import Confirmer
from trunkwatch.confirm.runner import Runner
from trunkwatch.confirm.store import ConfirmStore
from trunkwatch.confirming import CIS
from trunkwatch.domain.job import JobState
from trunkwatch.metrics.exposition import Exposition
from trunkwatch.rest.credentials import EnvToken
from trunkwatch.rest.http import HttpContext
from trunkwatch.status.client import ExporterClient
from trunkwatch.web import Pages
from trunkwatch.web.view import View

from tests.github.direct import DirectSession
from tests.github.exporter import TOKEN_VARIABLE, SimulatedExporter, config_for
from tests.github.fake import TOKEN, FakeGitHub
from tests.github.http_server import HttpRequest, HttpResponse
from tests.github.server import GitHubServer
from tests.gitlab.pipelines import API, serving_pipelines

REPO = "o/r"
EXPORTER = "http://exporter.example"
MINUTE = 60.0

ALL = ("real", "which", "outside")
"""All kinds of questions."""

SERVERS: Mapping[str, Callable[[FakeGitHub], GitHubServer]] = {
    "github": GitHubServer,
    "gitlab": serving_pipelines,
}
"""The stand-ins, by the type of CI: each shows the runs of the same fake GitHub."""


class Stage:
    """All three, with a clock that only `advance` moves.

    Attributes:
        fake: what the stand-in shows.
        server: the stand-in.
        exporter: reads it.
        store: of confirm, which a restart keeps.
        metrics: of confirm.
        confirmer: does its rounds.
        instead: answers a request of confirm to CI; None where the stand-in does.
        exporter_answer: the answer to every request to the exporter; None for its own.
        ahead: seconds by which the clock of confirm is ahead.
    """

    def __init__(
        self,
        fake: FakeGitHub,
        *,
        jobs: str = "",
        graphql: bool = True,
        branches: Sequence[str] = ("main",),
        **section: Any,
    ) -> None:
        """Args:
        fake: what the stand-in shows.
        jobs: keys of the section `jobs` of the exporter, as YAML between braces.
        graphql: whether the exporter uses GraphQL, which takes the stand-in twice the time.
        branches: the trunks that the exporter watches.
        section: keys of the section `confirm`; by default it acts, and asks which commit alone.
        """
        self.fake = fake
        self.server = SERVERS[section.get("type", "github")](fake)
        self._given = {
            "mode": "act",
            "questions": ("which",),
            "api_url": self.server.url,
            **section,
        }
        self.section = ConfirmSection(**self._given)
        if self.section.type == "gitlab":
            config = _config_of_gitlab(self.server.url, jobs)
        else:
            config = config_for(
                self.server.url, REPO, jobs=jobs, graphql=graphql, branches=branches
            )
        self.exporter = SimulatedExporter(fake, self.server, config)
        engine = self.exporter.engine
        self._pages = Pages(
            lambda: View(lambda: engine.snapshot, columns=engine.columns_at),
            Exposition(lambda: engine.snapshot, self.exporter.counters.totals, "0"),
            self._clock,
            "0",
        )
        self.store = ConfirmStore(":memory:")
        self.instead: Callable[[HttpRequest], HttpResponse | None] = lambda _: None
        self.exporter_answer: HttpResponse | None = None
        self.ahead = 0.0
        self._change: Callable[[dict[str, Any]], None] | None = None
        self.restart()

    def restart(self, runner: Runner | None = None) -> None:
        """Start confirm again on its storage."""
        self.metrics = ConfirmMetrics()
        http = HttpContext(
            lambda: DirectSession(self._ci), clock=self._clock, sleep=lambda _seconds: None
        )
        exporter = HttpContext(
            lambda: DirectSession(self._page), clock=self._clock, sleep=lambda _seconds: None
        )
        token = EnvToken(TOKEN_VARIABLE)
        self.runner = runner or CIS[self.section.type].runner(self.section, http, token)
        self.confirmer = Confirmer(
            self.store,
            ExporterClient(EXPORTER, exporter),
            self.runner,
            self.section,
            self.metrics,
            self._clock,
        )

    def reconfigure(self, **section: Any) -> None:
        """Start confirm again on its storage, with other keys of its section."""
        self.section = ConfirmSection(**{**self._given, **section})
        self.restart()

    def advance(self, minutes: float, step: float = 5.0) -> None:
        """Advance the clock, with a refresh and a round at each step."""
        for _ in range(int(minutes / step)):
            self.step(self.fake.now + step * MINUTE)

    def step(self, now: float) -> None:
        """Set the clock (seconds since the epoch), refresh, and do a round."""
        self.fake.now = now
        self.exporter.refresh()
        self.confirmer.round()

    def before(self, pattern: str, act: Callable[[], None]) -> None:
        """Act once, before the next request to CI whose method and path match."""
        left = [act]

        def look(request: HttpRequest) -> None:
            if left and re.fullmatch(pattern, f"{request.method} {request.path}"):
                left.pop()()

        self.instead = look

    def change_documents(self, change: Callable[[dict[str, Any]], None] | None) -> None:
        """Change the exporter's JSON of each trunk; None to leave it."""
        self._change = change

    def questions(self) -> list[Asked]:
        """Return all questions, oldest first."""
        return sorted(self.metrics.health.questions, key=lambda asked: asked.at)

    def listed(self) -> Mapping[str, Any]:
        """Return the JSON object."""
        return confirm_object(self.metrics.health, self.section.mode)

    def job(self, name: str = "test") -> JobState:
        """Return the state of a job."""
        return self.exporter.job(name)

    def close(self) -> None:
        """Stop the server, and close the storage."""
        self.store.close()
        self.exporter.store.close()
        self.server.stop()

    def _clock(self) -> float:
        return self.fake.now + self.ahead

    def _ci(self, request: HttpRequest) -> HttpResponse:
        """Answer a request of confirm to CI."""
        return self.instead(request) or self.server.respond(request)

    def _page(self, request: HttpRequest) -> HttpResponse:
        """Answer a request to the exporter."""
        if self.exporter_answer is not None:
            return self.exporter_answer
        query = urlencode(request.query)
        environ = {
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.path,
            "REQUEST_URI": request.path,
            "QUERY_STRING": query,
        }
        sent: list[Any] = []
        body = b"".join(self._pages(environ, lambda *line: sent.extend(line)))  # type: ignore[arg-type]
        if self._change is not None and re.fullmatch("/api/v1/trunk/o/r/main", request.path):
            document = json.loads(body)
            self._change(document)
            return HttpResponse(200, json.dumps(document).encode(), {})
        return HttpResponse(int(str(sent[0]).split()[0]), body, dict(sent[1]))


def _config_of_gitlab(api_url: str, jobs: str) -> Config:
    """Return a configuration of the exporter that reads the stand-in as a GitLab."""
    source = (
        f"name: lab, type: gitlab, url: '{api_url.removesuffix(API)}', repos: [{REPO}],"
        f" workflow: ci, token_env: {TOKEN_VARIABLE}"
    )
    return parse_config(f"sources: [{{{source}}}]\njobs: {{{jobs}}}\n", "t.yml")


@contextmanager
def stage(fake: FakeGitHub, **settings: Any) -> Iterator[Stage]:
    """Run all three for a `with` block; the settings are those of `Stage`."""
    with mock.patch.dict(os.environ, {TOKEN_VARIABLE: TOKEN}):
        made = Stage(fake, **settings)
        try:
            yield made
        finally:
            made.close()
