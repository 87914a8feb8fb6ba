"""Readiness, the JSON per trunk, and HTTP itself."""

import re

import pytest
from trunkwatch.domain.model import Trunk
from trunkwatch.web.answer import TEXT, Answer

from tests.support.rows import NOW, history, sha
from tests.web.conftest import SOURCE, MakeSite, Site

BRANCHES = {
    "slash": Trunk("o/r", "release/1.0"),
    "space": Trunk("o/r", "a b"),
    "script": Trunk("o/r", "grün-雪"),
    "percent": Trunk("o/r", "100%"),
    "question": Trunk("o/r", "what?x=1#y"),
    "plus": Trunk("o/r", "a+b"),
}


# ---------------------------------------------------------------------- health


def test_healthy(site: Site) -> None:
    """/-/healthy is 200 as long as the process answers."""
    answer = site.ask("/-/healthy")
    assert (answer.status_code, answer.text) == (200, "healthy\n")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_ready_names_the_source_that_is_not(make_site: MakeSite) -> None:
    """Ready is 503 until every source has succeeded once, and lists the others with reasons."""
    site = make_site(SOURCE, SOURCE.replace("name: ci", "name: other"))
    answer = site.ask("/-/ready")
    assert answer.status_code == 503
    assert answer.text == (
        "not ready: source ci has not succeeded yet\n"
        "not ready: source other has not succeeded yet\n"
    )
    site.ingest(*history("P"))
    site.fail("connection refused", source="other")
    answer = site.ask("/-/ready")
    assert answer.status_code == 503
    assert answer.text == "not ready: source other has not succeeded yet: connection refused\n"
    site.ingest(source="other")
    answer = site.ask("/-/ready")
    assert (answer.status_code, answer.text) == (200, "ready\n")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_ready_ends_when_a_source_is_stale(site: Site) -> None:
    """A source of which nothing was read for five intervals is stale; one failure is not yet."""
    site.ingest(*history("P"))
    site.fail("connection refused")
    site.clock.now = NOW + 300
    assert site.ask("/-/ready").status_code == 200
    site.clock.now = NOW + 301
    answer = site.ask("/-/ready")
    assert answer.status_code == 503
    assert answer.text == "not ready: source ci last succeeded 301 s ago: connection refused\n"
    site.ingest()
    assert site.ask("/-/ready").status_code == 200


# ---------------------------------------------------------------------- JSON


def test_trunk_is_the_object_of_check(site: Site) -> None:
    """The object of a trunk has its groups and jobs as `check` reports them."""
    other = Trunk("o/other", "main")
    site.ingest(*history("P C F F F"), *history("P", trunk=other))
    answer = site.ask("/api/v1/trunk/o/r/main")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    found = answer.json()
    assert list(found) == ["as_of", "external_url", "triage", "sources", "trunks", "groups", "jobs"]
    (job,) = found["jobs"]
    assert (job["repo"], job["branch"], job["consecutive_failures"]) == ("o/r", "main", 3)
    assert job["suspects"] == len(job["suspect_commits"]) == 2
    assert job["compare_url"].startswith("https://git.example/compare/")
    (group,) = found["groups"]
    assert group["firing"] is True


@pytest.mark.parametrize("trunk", BRANCHES.values(), ids=BRANCHES)
@pytest.mark.parametrize("slashes", ["plain", "encoded"])
def test_any_branch_can_be_asked_for(site: Site, trunk: Trunk, slashes: str) -> None:
    """Slashes and odd characters of a branch are reached by its percent-encoded name, whether or
    not the slashes are encoded too.
    """
    site.ingest(*history("P"), *history("F", trunk=trunk))
    safe = "/" if slashes == "plain" else ""
    answer = site.ask(f"/api/v1/trunk/{encoded('/'.join(trunk), safe)}")
    assert answer.status_code == 200
    (job,) = answer.json()["jobs"]
    assert (job["repo"], job["branch"]) == trunk


def encoded(text: str, safe: str) -> str:
    kept = "abcdefghijklmnopqrstuvwxyz0123456789.-" + safe
    return "".join(c if c in kept else "".join(f"%{b:02X}" for b in c.encode()) for c in text)


def test_an_unknown_trunk_names_those_that_are_known(site: Site) -> None:
    """404 with the names that would be right, and nothing of the question that a browser runs."""
    site.ingest(*history("P"))
    answer = site.ask("/api/v1/trunk/o/r/%3Cscript%3E")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.json() == {"error": "no trunk o/r/&lt;script&gt;; known: o/r/main"}


JSON_PATH = "/api/v1/trunk/o/r/main"
ATTEMPTS_PATH = f"{JSON_PATH}/job/ci/build?sha={sha(0)}"


def test_json_is_compressed_for_those_who_ask(site: Site) -> None:
    """The object is the same compressed, with a tag, and only as the client accepts it."""
    site.ingest(*history("P C F F F"))
    zipped = site.ask(JSON_PATH, headers={"Accept-Encoding": "gzip"})
    plain = site.ask(JSON_PATH, headers={"Accept-Encoding": "identity"})
    assert (zipped.headers["Content-Encoding"], "Content-Encoding" in plain.headers) == (
        "gzip",
        False,
    )
    assert zipped.content == plain.content
    for answer in (zipped, plain):
        assert answer.headers["ETag"].startswith('W/"')
        assert answer.headers["Vary"] == "Accept-Encoding"
    assert zipped.headers["ETag"] == plain.headers["ETag"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("form", ["{}", '"other", {}', "*"])
def test_json_that_is_known_is_not_sent(site: Site, form: str, method: str) -> None:
    """A client that has the newest object gets 304 without a body, until it changes."""
    site.ingest(*history("P F F"))
    known: dict[str, str | None] = {
        "If-None-Match": form.format(site.ask(JSON_PATH).headers["ETag"])
    }
    answer = site.ask(JSON_PATH, method, known)
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["ETag"] in form.format(answer.headers["ETag"]) or form == "*"
    assert "Content-Length" not in answer.headers
    site.ingest(*history("P F F F"))
    assert site.ask(JSON_PATH, method, known).status_code == (304 if form == "*" else 200)


def test_another_tag_is_sent_the_object(site: Site) -> None:
    """A tag that is not that of the newest object is no reason to send nothing."""
    site.ingest(*history("P F F"))
    for known in ('"other"', "", 'W/"' + "0" * 32 + '"'):
        assert site.ask(JSON_PATH, headers={"If-None-Match": known}).status_code == 200


# ---------------------------------------------------------------------- HTTP


@pytest.mark.parametrize("path", ["/nothing", "/metrics/", "/-/", "/api/v1/trunk", "/%00", "/%FF"])
def test_what_is_not_there(site: Site, path: str) -> None:
    """Any other path is 404, in plain text."""
    answer = site.ask(path)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/metrics", "/nothing"])
def test_nothing_can_be_changed(site: Site, method: str, path: str) -> None:
    """Only GET and HEAD are allowed, and the answer lists them."""
    answer = site.ask(path, method)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_webhooks_are_answered_beside_the_pages(make_site: MakeSite) -> None:
    """Everything below /webhook/ is the webhook's; the pages stay read-only."""
    site = make_site(webhook=lambda _: Answer("202 Accepted", TEXT, b"taken\n"))
    answer = site.ask("/webhook/ci", "POST")
    assert (answer.status_code, answer.text) == (202, "taken\n")
    for path in ("/webhook", "/-/healthy"):
        assert site.ask(path, "POST").status_code == 405
    assert site.ask("/-/healthy").status_code == 200


def test_a_page_runs_no_script_of_another_host(site: Site) -> None:
    """The policy allows files of this server alone, and none within a page; no frame shows it."""
    answer = site.ask("/")
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'"} < set(policy)
    assert {"frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"} < set(policy)
    assert not re.search(r"<script(?! src=)|<style|\son\w+=|\sstyle=", answer.text)


@pytest.mark.parametrize(
    "path", ["/", "/metrics", "/-/healthy", "/-/ready", JSON_PATH, ATTEMPTS_PATH, "/nothing"]
)
def test_head_is_get_without_a_body(site: Site, path: str) -> None:
    """HEAD has the status and the headers of GET, its length too, and no body."""
    site.ingest(*history("P"))
    head = site.ask(path, "HEAD", {"Accept-Encoding": None})
    get = site.ask(path, headers={"Accept-Encoding": None})
    assert head.content == b""
    assert head.status_code == get.status_code
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    assert get.headers["X-Content-Type-Options"] == "nosniff"
    assert get.headers["Referrer-Policy"] == "no-referrer"
    kept = {"/": "no-cache", JSON_PATH: "no-store", ATTEMPTS_PATH: "no-store"}
    assert get.headers.get("Cache-Control") == kept.get(path)
    assert int(get.headers["Content-Length"]) == len(get.content)
    if path != "/metrics":  # the process's own numbers grow between two scrapes
        assert head.headers["Content-Length"] == get.headers["Content-Length"]
