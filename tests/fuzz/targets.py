"""The table of every parser: its inputs, its call, and the errors that it may raise."""

import io
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import yaml
from hypothesis import strategies as st
from trunkwatch.app.triage import read_alerts, read_questions, read_tickets
from trunkwatch.config import BuildbotSource, check_routes, parse_config, policy_of
from trunkwatch.config.load import all_keys
from trunkwatch.config.web_config import parse_web_config
from trunkwatch.confirm.runner import NotRepeatable
from trunkwatch.demo.incident import INCIDENT
from trunkwatch.domain.model import Trunk
from trunkwatch.engine.facts import EMPTY_STATE, SourceState
from trunkwatch.engine.triage import Triage
from trunkwatch.errors import (
    BadDelivery,
    ConfigError,
    GitError,
    ReadingError,
    SourceError,
    TrackerError,
    TrunkwatchError,
)
from trunkwatch.metrics.exposition import Exposition
from trunkwatch.report.triage import triage_object
from trunkwatch.rest.client import RestClient
from trunkwatch.rest.credentials import NoToken
from trunkwatch.rest.http import HttpContext
from trunkwatch.rest.json_text import decode_json
from trunkwatch.rest.limits import RateLimitHeaders
from trunkwatch.sources import SourceContext, WebhookSource, build_source
from trunkwatch.sources.gitlog import GitLog
from trunkwatch.status.trunk_status import parse_trunk_status
from trunkwatch.tickets.alerts import parse_alerts, webhook_payload
from trunkwatch.tickets.issues.github import GithubIssues
from trunkwatch.tickets.issues.gitlab import GitlabIssues
from trunkwatch.tickets.issues.tracker import IssueTracker
from trunkwatch.tickets.model import Comment, State, Ticket, TicketKey
from trunkwatch.tickets.text.markdown import quoted
from trunkwatch.web.alerts import ALERTS_PATH, AlertPages
from trunkwatch.web.pages import Pages
from trunkwatch.web.view import View
from trunkwatch.web.webhook import Hook, Webhook

from tests.domain.builders import NOW as SAMPLE_NOW
from tests.fuzz import clickhouse, confirm, gitea, gitlab
from tests.fuzz.github import GithubAnswers
from tests.fuzz.rendering import answer
from tests.fuzz.texts import json_texts, lines_of, spoiled, yaml_texts
from tests.github.direct import DirectSession
from tests.github.http_server import HttpRequest, HttpResponse
from tests.github.webhook_harness import SECRET, small_deliveries
from tests.github.webhooks import SIGNATURE_HEADER, sign
from tests.sources.reading import TRUNK
from tests.support.fakehttp import FakeBuildbot, Request
from tests.tickets.builders import alert, delivery, job, listed_alert, trunk


class Target(NamedTuple):
    """One parser.

    Attributes:
        name: as it is printed.
        inputs: returns what it is given; called once.
        call: parses it.
        allowed: the errors that it may raise.
        counts: returns further figures of the tries.
    """

    name: str
    inputs: Callable[[], st.SearchStrategy[Any]]
    call: Callable[[Any], object]
    allowed: tuple[type[Exception], ...] = ()
    counts: Callable[[], Mapping[str, int]] = dict


# ---------------------------------------------------------------------- files

WORDS = ("recorded", "buildbot", "default", "P2", "runs", "pass", "pytorch", "http://h", "o/r",
         "main", "60s", "9w9d", "2026-12-01", ".*", "(", r"\1", r"\g<x>", "(?P<x", "a{99999}",
         "{last_good}{first_bad}")  # fmt: skip
SECTIONS = ("jobs", "groups", "known_broken", "green", "limits")


def _configuration(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    source = st.fixed_dictionaries(
        {"name": st.sampled_from("ab"), "type": st.just("recorded"), "path": st.just("a")},
        optional=dict.fromkeys(("order", "poll_interval", "compare_url"), values),
    )
    return st.fixed_dictionaries(
        {"sources": st.lists(source, min_size=1, max_size=2)},
        optional=dict.fromkeys(SECTIONS, values),
    )


def parse_configuration(text: str) -> None:
    """Parse a configuration; a problem has one line, and a good one has a policy."""
    problems: tuple[str, ...] = ("none",)
    try:
        policy_of(parse_config(text, "t.yml"))
    except ConfigError as error:
        problems = error.problems
    assert problems
    assert [line for problem in problems for line in problem.splitlines()] == list(problems)


WEB = """\
tls_server_config: {cert_file: a.crt, key_file: a.key, min_version: TLS12, client_ca_file: ca.crt,
  client_auth_type: RequireAndVerifyClientCert, client_allowed_sans: [a.example.com]}
http_server_config: {http2: false, headers: {X-Frame-Options: deny}}
basic_auth_users: {"a": "$2y$10$0JH.994jNL2L8PPZEm/fyOCpSKe5h7N0XGxauxeObDT//IcEkoDO2"}
"""


def _web_texts() -> st.SearchStrategy[bytes]:
    document = yaml.safe_load(WEB)
    inner = {key for section in document.values() for key in section}
    texts = yaml_texts(
        [*document, *sorted(inner)],
        ("TLS12", "TLS13", "NoClientCert", "deny", *document["basic_auth_users"].values()),
        lambda values: st.fixed_dictionaries({}, optional=dict.fromkeys(document, values)),
    )
    return st.one_of(texts.map(str.encode), spoiled(WEB.encode()))


def parse_web(content: bytes) -> None:
    """Parse a web configuration."""
    parse_web_config(content, "web.yml")


ROUTES = """\
route:
  receiver: root
  routes:
    - {receiver: a, matchers: ['team="trunk"', 'severity=~"info|warning"'], continue: true}
    - {receiver: b, match: {team: core}, match_re: {priority: P[01]}}
"""


def _alertmanager_texts() -> st.SearchStrategy[str]:
    keys = ("route", "routes", "receiver", "matchers", "match", "match_re", "continue", "team")
    words = ("root", 'team="core"', 'team=~"(', "{a=b", 'a="\\', "team", "severity=info")
    texts = yaml_texts(
        keys,
        words,
        lambda values: st.fixed_dictionaries(
            {"route": st.fixed_dictionaries(
                {"receiver": st.just("root")},
                optional={"routes": st.lists(st.dictionaries(st.sampled_from(keys), values))},
            )}
        ),
    )  # fmt: skip
    return st.one_of(
        texts, spoiled(ROUTES.encode()).map(lambda text: text.decode(errors="replace"))
    )


def check_alertmanager(text: str) -> None:
    """Check the routes of an Alertmanager file."""
    config = parse_config("sources: [{name: a, type: recorded, path: a}]", "t.yml")
    path = _folder() / "alertmanager.yml"
    path.write_bytes(text.encode(errors="surrogatepass"))
    check_routes(config, str(path))


@cache
def _folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="fuzz-")
    _KEPT.append(folder)
    return Path(folder.name)


_KEPT: list[object] = []
"""Objects that live until the process ends."""


def _recorded_lines() -> list[Any]:
    lines = [json.loads(line) for line in INCIDENT.read_text(encoding="utf-8").splitlines()]
    by_kind = {kind: [each for each in lines if each["kind"] == kind] for kind in ("commit", "run")}
    first = by_kind["commit"][0]
    place = {"repo": first["repo"], "branch": first["branch"]}
    return [
        {"kind": "order", **place, "complete": True},
        *by_kind["commit"][:3],
        *by_kind["run"][:4],
        {"kind": "workflow", **place, "workflow_path": "ci.yml", "state": "deleted"},
        {"kind": "files", **place, "sha": first["sha"], "files": ["a/b.py"], "more_files": True},
    ]


def read_recorded(content: bytes) -> None:
    """Read a recorded file twice: the second time from its stored position."""
    path = _folder() / "recorded.ndjson"
    path.write_bytes(content)
    text = f"sources: [{{name: a, type: recorded, path: {path}}}]"
    (section,) = parse_config(text, "t.yml").sources
    refresh = build_source(section, SourceContext()).refresh(EMPTY_STATE)
    cursor = [fact.text for fact in refresh.facts if hasattr(fact, "text")]
    state = SourceState(cursor=cursor[-1] if cursor else None)
    list(build_source(section, SourceContext()).refresh(state).facts)


# ---------------------------------------------------------------------- sources

_MASTER = FakeBuildbot()
_MASTER.build(1, "a" * 40, 0)
_MASTER.build(2, "b" * 40, 2, builder=2)
_MASTER.build(3, None, None, revision="c" * 40)
_MASTER.steps[2] = [("checkout", 0), ("test", 2)]
BUILDBOT_PATHS = ("/builds", "/builders", "/buildrequests", "/buildsets", "/steps")


def _buildbot(path: str, body: bytes, state: SourceState = EMPTY_STATE) -> str | None:
    """Read a master of which the answers to one path have a body; return the new cursor."""

    def respond(request: HttpRequest) -> HttpResponse:
        sent = _MASTER(Request(request.path, request.query, request.headers))
        is_spoiled = path != "" and request.path.endswith(path)
        return HttpResponse(sent.status, body if is_spoiled else sent.body)

    section = BuildbotSource.model_validate(
        {"name": "b", "type": "buildbot", "url": "http://127.0.0.1:9", "repo": "o/r",
         "branches": ["main"]}
    )  # fmt: skip
    http = HttpContext(lambda: DirectSession(respond), clock=lambda: 1_700_000_100.0)
    facts = list(build_source(section, SourceContext(http=http)).refresh(state).facts)
    return next((fact.text for fact in facts if hasattr(fact, "text")), None)


def _buildbot_answers() -> st.SearchStrategy[tuple[str, bytes]]:
    def answered(path: str) -> Any:
        full = "/api/v2/builds/2/steps" if path == "/steps" else f"/api/v2{path}"
        ids = {"/buildrequests": "buildrequestid", "/buildsets": "bsid"}.get(path, "")
        query = [(ids, str(number)) for number in range(1000, 6010)] if ids else []
        return json.loads(_MASTER(Request(full, query, {})).body)

    return st.one_of(
        [st.tuples(st.just(path), json_texts(answered(path))) for path in BUILDBOT_PATHS]
    )


def _git_lines() -> st.SearchStrategy[str]:
    line = "\0".join(("a" * 40, "1700000000", "an author", "a title"))
    good = f"{line}\n{line.replace('a' * 40, 'b' * 40)}\n".encode()
    return spoiled(good).map(lambda text: text.decode(errors="replace"))


def read_git_log(text: str) -> None:
    """Read what `git log` prints."""
    with mock.patch.object(GitLog, "_git", lambda _self, *arguments, **_more: (
        text if arguments[0] == "log" else "refs/remotes/origin/main\n"
    )):  # fmt: skip
        GitLog("clone").order(TRUNK, 10)


REST, GRAPHQL = GithubAnswers(graphql=False), GithubAnswers(graphql=True)


# ---------------------------------------------------------------------- deliveries


def _deliveries() -> st.SearchStrategy[tuple[str, bytes]]:
    first = {each.event: each for each in small_deliveries()}
    return st.one_of(
        [st.tuples(st.just(each.event), json_texts(each.document)) for each in first.values()]
    )


def deliver(given: tuple[str, bytes]) -> None:
    """Send a signed delivery to the endpoint of webhooks, and store it."""
    event, body = given
    with REST.webhooks(_secret_file()) as exporter:
        assert isinstance(exporter.source, WebhookSource)
        ingest = partial(exporter.engine.ingest_delivery, "gh")
        hook = Hook("gh", exporter.source, ingest)
        endpoint = Webhook(lambda: {"/webhook/gh": hook}, lambda _outcome: None)
        headers = {
            "HTTP_X_GITHUB_EVENT": event,
            "HTTP_X_GITHUB_DELIVERY": "1",
            f"HTTP_{SIGNATURE_HEADER.upper().replace('-', '_')}": sign(SECRET, body),
        }
        found = endpoint(_post("/webhook/gh", body, headers))
        assert found.status[:3] in ("202", "400"), found
        exporter.engine.evaluate_pending()
        exporter.refresh()
        assert not exporter.internal_errors()


@cache
def _secret_file() -> Path:
    path = _folder() / "secret"
    path.write_text(SECRET, encoding="utf-8")
    return path


def _post(path: str, body: bytes, headers: Mapping[str, str]) -> Any:
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **headers,
    }


def deliver_alerts(body: bytes) -> None:
    """Send a body to the endpoint of Alertmanager's webhook."""
    pages = AlertPages(
        lambda document: webhook_payload(document).summary(), None, list, list, lambda _: None
    )
    status, _ = answer(pages, ALERTS_PATH, **_post(ALERTS_PATH, body, {}))
    assert status[:3] in ("200", "400"), status


def _requests() -> st.SearchStrategy[dict[str, str]]:
    paths = ["/", "/metrics", "/-/healthy", "/-/ready", "/api/v1/trunk/o/r/main", "/webhook/gh",
             "/api/v1/trunk/o/r/main/job/ci/build"]  # fmt: skip
    path = st.sampled_from(paths).flatmap(lambda each: spoiled(each.encode()))
    text = st.one_of(
        st.text(st.characters(max_codepoint=255), max_size=30),
        st.sampled_from(["gzip;q=0", "*;q=nan", "W/*", '"', "text/html;q=1e400", "9" * 5000, "-1"]),
    )
    headers = ("HTTP_ACCEPT", "HTTP_ACCEPT_ENCODING", "HTTP_IF_NONE_MATCH", "CONTENT_LENGTH",
               "HTTP_AUTHORIZATION", "CONTENT_TYPE", "HTTP_X_GITHUB_EVENT", "QUERY_STRING",
               "HTTP_X_HUB_SIGNATURE_256", "HTTP_X_GITHUB_DELIVERY")  # fmt: skip
    return st.builds(
        lambda path, method, more: {
            "PATH_INFO": path.decode("latin-1"), "REQUEST_METHOD": method, **more,
        },
        path,
        st.sampled_from(["GET", "HEAD", "POST", "PUT", "x"]),
        st.dictionaries(st.sampled_from(headers), text, max_size=3),
    )  # fmt: skip


def request_page(environ: Mapping[str, str]) -> None:
    """Send a request to the exporter's pages, and to those of `tickets`."""
    given: dict[str, Any] = {"wsgi.input": io.BytesIO(), **environ}
    path = given.pop("PATH_INFO")
    for pages in _pages():
        status, _ = answer(pages, path, **given)
        assert not status.startswith("500"), status


@cache
def _pages() -> tuple[Any, ...]:
    found = REST.webhooks(_secret_file())
    exporter = found.__enter__()
    _KEPT.append(found)
    exporter.refresh()
    assert isinstance(exporter.source, WebhookSource)
    hook = Hook("gh", exporter.source, lambda _: None)
    webhook = Webhook(lambda: {"/webhook/gh": hook}, lambda _: None)
    exposition = Exposition(lambda: exporter.engine.snapshot, exporter.counters.totals, "1.2.3")
    view = View(lambda: exporter.engine.snapshot)
    alerts = AlertPages(
        lambda document: webhook_payload(document).summary(),
        lambda: b"x",
        list,
        list,
        lambda _: None,
    )
    return Pages(lambda: view, exposition, lambda: SAMPLE_NOW, "1.2.3", webhook), alerts


# ---------------------------------------------------------------------- tickets

KEY = TicketKey("o/r", "main", "g")
TICKET = Ticket(KEY, "o/r", 7, "0a", State.OPEN, "", "", {}, "", "")
MARKER = "<!-- trunkwatch:v1 key=o%2Fr/main/g nonce=0a state=open -->\ntext"
ISSUE = {"number": 7, "state": "closed", "closed_at": "2026-09-21T00:00:00Z", "body": MARKER,
         "labels": [{"name": "Source:trunkwatch"}], "id": 70, "title": "t"}  # fmt: skip

LAB_ISSUE = {"iid": 7, "state": "closed", "closed_at": "2026-09-21T00:00:00.000Z", "body": MARKER,
             "description": MARKER, "assignees": [{"id": 1, "username": "a"}], "moved_to_id": None,
             "created_at": "2026-09-21T00:00:00Z", "web_url": "https://h/i"}  # fmt: skip


def find_issue(body: bytes) -> None:
    """Search for an issue in a list of GitHub's, and read one by its number."""
    document = decode_json(body)
    IssueTracker(_issues_api(body)).find("o/r", quoted(KEY), 0.0)
    if isinstance(document, list) and document:
        one = IssueTracker(_issues_api(json.dumps(document[0]).encode()))
        one.read(TICKET)


def find_gitlab_issue(body: bytes) -> None:
    """Search for an issue and a note in a list of GitLab's, and read one by its number."""
    document = decode_json(body)
    tracker = IssueTracker(_gitlab_api(body))
    tracker.find("o/r", quoted(KEY), 0.0)
    tracker.was_executed(TICKET, Comment("0b", ""), 3e9)  # older: the list ends
    if isinstance(document, list) and document:
        IssueTracker(_gitlab_api(json.dumps(document[0]).encode())).read(TICKET)


def _issues_api(body: bytes) -> GithubIssues:
    return GithubIssues("http://127.0.0.1:9", _answering(body), NoToken())


def _gitlab_api(body: bytes) -> GitlabIssues:
    http = replace(_answering(body), max_list_pages=2)
    return GitlabIssues("http://127.0.0.1:9", http, NoToken())


def _answering(body: bytes) -> HttpContext:
    return HttpContext(lambda: DirectSession(lambda _: HttpResponse(200, body)))


LISTED = {"as_of": "2026-09-21T00:00:00Z", "problem": None, "dry_run": False, "tickets": [
    {"repo": "o/r", "branch": "main", "group": "g", "issue_repo": "o/r", "number": 7, "url": None,
     "state": "open", "assignees": ["a"], "opened_at": "2026-09-21T00:00:00Z"}]}  # fmt: skip
SILENCED = {**listed_alert("a"), "status": {"silencedBy": ["1f"], "inhibitedBy": []}, "id": "1f",
            "createdBy": "a", "comment": "b", "endsAt": "2026-09-21T00:00:00Z"}  # fmt: skip


def list_tickets(body: bytes) -> None:
    """Read the list of tickets, and show it."""
    _show(Triage(tickets=read_tickets(_peer(body))))


ASKED = {"as_of": "2026-09-21T00:00:00Z", "problem": None, "mode": "act", "questions": [
    {"kind": "which", "repo": "o/r", "branch": "main", "workflow": "ci", "job_name": "a",
     "group": "g", "first_bad": "b", "sha": "c", "state": "answered",
     "at": "2026-09-21T00:00:00Z", "run_id": 7, "minutes": 1.5, "reason": None,
     "answer": "P"}]}  # fmt: skip


def list_questions(body: bytes) -> None:
    """Read the questions of `trunkwatch confirm`, and show them."""
    _show(Triage(questions=read_questions(_peer(body))))


def list_silences(body: bytes) -> None:
    """Read alerts and silences, both from one document, and show them."""
    _show(Triage(alerts=read_alerts(_peer(body))))


def _peer(body: bytes) -> RestClient:
    return RestClient("http://127.0.0.1:9", _answering(body))


def _show(triage: Triage) -> None:
    for _, reading in triage.readings():
        shown = triage_object(triage, {Trunk("o/r", "main")}, reading.read_at or 0.0)
        json.dumps(shown, ensure_ascii=False).encode()


# ---------------------------------------------------------------------- headers, stored state

HEADERS = ("Retry-After", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")


def read_limit(headers: Mapping[str, str]) -> None:
    """Read the headers of a rate limit; no wait is longer than an hour."""
    limit = RateLimitHeaders("x-ratelimit-").read(headers, SAMPLE_NOW)
    assert 0 <= limit.wait(SAMPLE_NOW) <= 3600


def _limit_headers() -> st.SearchStrategy[dict[str, str]]:
    values = st.one_of(
        st.integers().map(str),
        st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20),
        st.sampled_from(["9" * 5000, "²", "1e9", "nan", "Wed, 21 Oct 99999 07:28:00 GMT",
                         "Wed, 21 Oct 2026 07:28:00 +9999", "1790000000000"]),
    )  # fmt: skip
    return st.dictionaries(st.sampled_from(HEADERS), values)


def _cursors() -> st.SearchStrategy[bytes]:
    return json_texts(json.loads(_buildbot("", b"") or "{}"))


def continue_buildbot(cursor: bytes) -> None:
    """Continue at a stored position that is damaged."""
    _buildbot("", b"", SourceState(cursor=cursor.decode(errors="replace")))


NO_DOCUMENT = (ReadingError, ValueError, RecursionError)
"""The client makes one error of these: no JSON, or of another shape."""

TARGETS = (
    Target("configuration", lambda: yaml_texts(all_keys(), WORDS, _configuration),
           parse_configuration),
    Target("web configuration", _web_texts, parse_web, (ConfigError,)),
    Target("check-config --alertmanager", _alertmanager_texts, check_alertmanager, (ConfigError,)),
    Target("recorded file", lambda: lines_of(*_recorded_lines()), read_recorded, (SourceError,)),
    Target("GitHub, REST", REST.inputs, REST.try_one, counts=lambda: REST.counts),
    Target("GitHub, GraphQL", GRAPHQL.inputs, GRAPHQL.try_one, counts=lambda: GRAPHQL.counts),
    Target("GitHub, stored state", REST.states, REST.try_state),
    Target("Buildbot", _buildbot_answers, lambda given: _buildbot(*given), (SourceError,)),
    Target("Buildbot, stored state", _cursors, continue_buildbot, (SourceError,)),
    Target("ClickHouse", clickhouse.answers, clickhouse.read, (SourceError,)),
    Target("ClickHouse, stored state", clickhouse.states, clickhouse.continue_from,
           (SourceError,)),
    Target("GitLab", gitlab.answers, lambda given: gitlab.read(*given), (SourceError,)),
    Target("GitLab, stored state", gitlab.states, gitlab.continue_from, (SourceError,)),
    Target("GitLab, webhook", gitlab.deliveries, gitlab.deliver, (BadDelivery,)),
    Target("Gitea", gitea.answers, lambda given: gitea.read(*given), (SourceError,)),
    Target("Gitea, stored state", gitea.states, gitea.continue_from, (SourceError,)),
    Target("Gitea, webhook", gitea.deliveries, gitea.deliver, (BadDelivery,)),
    Target("git log", _git_lines, read_git_log, (GitError,)),
    Target("headers of rate limits", _limit_headers, read_limit),
    Target("webhook", _deliveries, deliver),
    Target("requests to pages", _requests, request_page),
    Target("Alertmanager's webhook",
           lambda: json_texts(delivery(alert("a"), alert("b", "resolved"))), deliver_alerts,
           (BadDelivery,)),
    Target("tickets: Alertmanager's list", lambda: json_texts([listed_alert("a")]),
           lambda body: parse_alerts(decode_json(body)), NO_DOCUMENT),
    Target("tickets: the exporter's JSON", lambda: json_texts(trunk(job("a"), job("b"))),
           lambda body: parse_trunk_status(decode_json(body)),
           NO_DOCUMENT),
    Target("tickets: GitHub's issues", lambda: json_texts([ISSUE, {**ISSUE, "number": 8}]),
           find_issue, (TrackerError, ValueError, RecursionError)),
    Target("tickets: GitLab's issues and notes", lambda: json_texts([LAB_ISSUE]),
           find_gitlab_issue, (TrackerError, ValueError, RecursionError)),
    Target("triage: the list of tickets", lambda: json_texts(LISTED), list_tickets,
           (TrunkwatchError,)),
    Target("triage: questions of confirm", lambda: json_texts(ASKED), list_questions,
           (TrunkwatchError,)),
    Target("confirm: attempts of a job", lambda: json_texts(confirm.ATTEMPTS),
           confirm.read_attempts, NO_DOCUMENT),
    Target("confirm: the list of trunks", lambda: json_texts(confirm.TRUNKS), confirm.read_trunks,
           NO_DOCUMENT),
    Target("confirm: GitHub's runs", confirm.answers, confirm.examine,
           (NotRepeatable, SourceError)),
    Target("confirm: workflow files", confirm.workflow_files, confirm.read_file, (ValueError,)),
    Target("confirm: GitLab's pipelines", confirm.lab_answers, confirm.examine_pipeline,
           (NotRepeatable, SourceError)),
    Target("confirm: Buildbot's builds", confirm.master_answers, confirm.examine_builds,
           (NotRepeatable, SourceError)),
    Target("confirm: configurations of GitLab", confirm.configurations, confirm.read_lint,
           (ValueError,)),
    Target("triage: alerts and silences", lambda: json_texts([SILENCED]), list_silences,
           (TrunkwatchError,)),
)  # fmt: skip
"""A parser that is added, such as that of a web configuration file, gets a row here."""
