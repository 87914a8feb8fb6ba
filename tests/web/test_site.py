"""The addresses of the HTML pages on the real server."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Semaphore
from typing import Any
from urllib.parse import quote

import pytest
from jsonschema import Draft202012Validator
from trunkwatch.addresses import job_path, outage_path, trunk_path
from trunkwatch.domain.model import JobKey, Trunk
from trunkwatch.errors import StoreError
from trunkwatch.html.pages import HtmlPages
from trunkwatch.store import SqliteStore
from trunkwatch.web.site import RENDERED_AT_ONCE

from tests.support.rows import TRUNK, history, named, order, run, sha
from tests.web.conftest import MakeSite, Site

JOB = JobKey(*TRUNK, "ci", "build")
PAGES = [
    "/",
    "/trunk/o/r/main",
    job_path(JOB),
    outage_path(JOB, sha(2)),
    "/runbooks/TrunkwatchWatchdog",
]


@pytest.fixture
def broken(site: Site) -> Site:
    """A site with a broken job."""
    site.ingest(*history("P C F F F"))
    return site


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_compressed_and_has_a_tag(broken: Site, path: str) -> None:
    """A page is the same compressed; a client that has it gets 304 until it changes."""
    zipped = broken.ask(path, headers={"Accept-Encoding": "gzip"})
    plain = broken.ask(path, headers={"Accept-Encoding": "identity"})
    assert zipped.status_code == 200
    assert zipped.headers["Content-Type"] == "text/html; charset=utf-8"
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert zipped.content == plain.content
    again = broken.ask(path, headers={"If-None-Match": zipped.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    if path not in ("/", "/runbooks/TrunkwatchWatchdog"):
        broken.ingest(*history("P C F F F F"))
        known: dict[str, str | None] = {"If-None-Match": zipped.headers["ETag"]}
        assert broken.ask(path, headers=known).status_code == 200


def links_of(text: str) -> set[str]:
    found = re.findall(r'(?:href|src|action)=(?:"([^"]*)"|([^ >]+))', text)
    return {(quoted or bare).replace("&amp;", "&") for quoted, bare in found}


def test_every_link_of_every_page_answers(broken: Site) -> None:
    """What a page links to on this server is there; the rest are pages of the CI and of git."""
    todo, seen = ["/"], {"/"}
    while todo:
        path = todo.pop()
        answer = broken.ask(path)
        assert answer.status_code == 200 or path == "/-/ready", path
        if not answer.headers["Content-Type"].startswith("text/html") or "cell=" in path:
            continue
        for link in links_of(answer.text):
            target = f"{path.partition('?')[0]}{link}" if link[0] == "?" else link
            if link[0] in "/?" and target not in seen and "cell=" not in link:
                seen.add(target)
                todo.append(target)
            else:
                assert link[0] in "/?#" or link.startswith(("https://ci.example/", "https://git."))
    assert {job_path(JOB), outage_path(JOB, sha(2)), "/runbooks/TrunkJobBroken"} <= seen


BRANCHES = ["release/1.0", "a b", "grün-雪", "100%", "what?x=1#y", "a+b", "..", "job", "~x", "%2F"]


@pytest.mark.parametrize("branch", BRANCHES)
def test_any_trunk_and_job_has_its_pages(site: Site, branch: str) -> None:
    """The list leads to the trunk, its grid to the job, and the JSON is linked, whatever the names
    are.
    """
    trunk = Trunk("o/r", branch)
    site.ingest(*history("P"), *history("P F F F", named(f"{branch} / x", branch), trunk))
    key = JobKey(*trunk, branch, f"{branch} / x")
    assert {trunk_path(trunk), job_path(key)} <= links_of(site.ask("/").text)
    page = site.ask(trunk_path(trunk))
    (api,) = (link for link in links_of(page.text) if link.startswith("/api/v1/trunk"))
    (job,) = site.ask(api).json()["jobs"]
    assert (job["branch"], job["job_name"]) == (branch, key.job_name)
    assert job_path(key) in links_of(page.text)
    assert "Broken: 3 in a row" in site.ask(job_path(key)).text
    assert site.ask(f"/api/v1{job_path(key)}?sha={sha(3)}").json()["job_name"] == key.job_name


def test_a_path_that_was_typed_leads_to_the_trunk(site: Site) -> None:
    """Plain slashes of a branch are redirected if they have one meaning, else the trunks listed."""
    site.ingest(*history("P", trunk=Trunk("o/r", "release/1.0")))
    answer = site.ask("/trunk/o/r/release/1.0")
    assert answer.url.endswith("/trunk/o/r/release%2F1.0")
    site.ingest(*history("P", trunk=Trunk("o", "r/release/1.0")))
    answer = site.ask("/trunk/o/r/release/1.0")
    assert answer.status_code == 404
    assert {"/trunk/o/r/release%2F1.0", "/trunk/o/r%2Frelease%2F1.0"} <= links_of(answer.text)


def test_an_alert_leads_to_the_job(broken: Site) -> None:
    """The labels of an alert in a query lead to the job's page."""
    labels = "repo=o%2Fr&branch=main&workflow=ci&job_name=build"
    answer = broken.ask(f"/job?{labels}")
    assert answer.url.endswith(job_path(JOB))
    assert broken.ask("/job?repo=o").status_code == 404


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/trunk/o/r/%3Cscript%3E", "No trunk is called so"),
        ("/trunk/", "No trunk is called so"),
        (job_path(JOB._replace(job_name="<b>")), "It was removed or renamed"),
        (outage_path(JOB, sha(3)), "a late result of an older commit may have moved"),
        ("/runbooks/Nothing", "No alert is called so"),
        ("/runbooks/..%2Fpages", "No alert is called so"),
    ],
)
def test_a_page_that_is_not_there_leads_on(broken: Site, path: str, words: str) -> None:
    """A wrong address is 404 with links to the right ones."""
    answer = broken.ask(path)
    assert answer.status_code == 404
    assert words in answer.text
    assert links_of(answer.text) & {
        "/trunk/o/r/main",
        job_path(JOB),
        "/runbooks/TrunkwatchWatchdog",
    }


# ---------------------------------------------------------------------- cells


def cells_of(site: Site) -> list[str]:
    found = re.findall(r"href=(\?cell=\w+\.\w+)", site.ask("/trunk/o/r/main").text)
    return [f"/trunk/o/r/main{query}" for query in found]


def leads_to(site: Site, path: str) -> str:
    import requests

    url = f"http://127.0.0.1:{site.port}{path}"
    answer = requests.get(url, allow_redirects=False, timeout=10)
    assert answer.status_code == 302
    return answer.headers["Location"]


def test_a_cell_leads_to_its_run(broken: Site) -> None:
    """A cell leads to the failing run, and shows its details."""
    newest, *_ = cells_of(broken)
    assert leads_to(broken, newest) == "https://ci.example/104"
    details = broken.ask(f"{newest}&details=1")
    assert "failure" in details.text
    assert "after 5 min" in details.text


@pytest.mark.parametrize(
    ("url", "location"),
    [
        (None, f"{job_path(JOB)}#c-{sha(0)}"),
        ("javascript:alert(1)", f"{job_path(JOB)}#c-{sha(0)}"),
        ("https://ci.example/\r\nSet-Cookie: a=b", "https://ci.example/%0D%0ASet-Cookie:%20a=b"),
        ("https://ci.example/雪", "https://ci.example/%E9%9B%AA"),
    ],
)
def test_a_cell_leads_to_web_pages_only(site: Site, url: str | None, location: str) -> None:
    """Without a web page's address a cell leads to the job; no address adds a header."""
    site.ingest(order(1), run(0, "failure", url=url))
    (cell,) = cells_of(site)
    assert leads_to(site, cell) == location


@pytest.mark.parametrize("cell", ["", "x", "x.y", "0000000000.000000000000", "1." + "0" * 50])
def test_a_cell_that_is_not_there(broken: Site, cell: str) -> None:
    """Any other cell is 404."""
    assert broken.ask(f"/trunk/o/r/main?cell={cell}").status_code == 404


def test_details_that_cannot_be_read(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the store cannot be read, cells and attempts are 503, and a job's page lacks them."""
    site = make_site()
    site.ingest(*history("P F F F"))
    cell = cells_of(site)[0]

    def fail(*_: object, **__: object) -> None:
        raise StoreError("t.db", "cannot be read")

    monkeypatch.setattr(SqliteStore, "observations", fail)
    assert site.ask(cell).status_code == 503
    assert "load the page again" in site.ask(job_path(JOB)).text
    assert_cannot_be_read(site)


def assert_cannot_be_read(site: Site) -> None:
    """Assert that attempts as JSON are refused for now, and none are shown as read."""
    answer = site.ask(f"/api/v1{job_path(JOB)}?sha={sha(0)}")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json() == {"error": "the results cannot be read now; ask again"}
    assert answer.headers["Cache-Control"] == "no-store"


def test_scrapes_do_not_wait_for_pages(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the store keeps readers waiting, two pages wait; others lack the attempts, and scrapes
    and health are answered.
    """
    site = make_site()
    site.ingest(*history("P F F F", named("build")), *history("P P P P", named("lint"))[1:])
    waiting, end, read = Semaphore(0), Event(), SqliteStore.observations

    def slow(*args: Any, **kwargs: Any) -> Any:
        waiting.release()
        assert end.wait(30)
        return read(*args, **kwargs)

    monkeypatch.setattr(SqliteStore, "observations", slow)
    with ThreadPoolExecutor(2) as readers:
        paths = [job_path(JOB), job_path(JOB._replace(job_name="lint"))]
        answers = [readers.submit(site.ask, path) for path in paths]
        for _ in paths:
            assert waiting.acquire(timeout=30)
        try:
            assert "load the page again" in site.ask(outage_path(JOB, sha(1))).text
            assert_cannot_be_read(site)
            for path in ("/metrics", "/-/healthy", "/", "/trunk/o/r/main"):
                assert site.ask(path).status_code == 200
        finally:
            end.set()
        assert all("Every attempt" in answer.result().text for answer in answers)


def test_half_of_the_threads_are_left(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four pages are rendered at once; a fifth is refused for now, and scrapes are answered."""
    waiting, end, landing = Semaphore(0), Event(), HtmlPages.landing

    def slow(*args: Any) -> Any:
        waiting.release()
        assert end.wait(30)
        return landing(*args)

    monkeypatch.setattr(HtmlPages, "landing", slow)
    with ThreadPoolExecutor(RENDERED_AT_ONCE) as visitors:
        answers = [visitors.submit(site.ask, "/") for _ in range(RENDERED_AT_ONCE)]
        try:
            for _ in answers:
                assert waiting.acquire(timeout=30)
            refused = site.ask("/runbooks/TrunkwatchWatchdog")
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
            assert site.ask("/metrics").status_code == 200
        finally:
            end.set()
        assert [answer.result().status_code for answer in answers] == [200] * RENDERED_AT_ONCE
    assert site.ask("/runbooks/TrunkwatchWatchdog").status_code == 200


# ---------------------------------------------------------------------- files


def test_files_may_be_kept_for_ever(broken: Site) -> None:
    """The address of a file has its version, so that a browser may keep it; another has not."""
    found = {link for link in links_of(broken.ask("/").text) if link.startswith("/static/")}
    assert len(found) == 3
    for path in found:
        answer = broken.ask(path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]
        assert broken.ask(path.partition("?")[0]).headers["Cache-Control"] == "no-cache"
    assert broken.ask("/static/..%2Ftemplating.py").status_code == 404


# ---------------------------------------------------------------------- JSON


def test_the_json_has_the_cells_of_the_page(broken: Site) -> None:
    """`cells` asks for the newest commits with a letter of each job, as the page shows them."""
    assert "commits" not in broken.ask("/api/v1/trunk/o/r/main").json()["trunks"][0]
    found = broken.ask("/api/v1/trunk/o/r/main?cells=4").json()
    assert [c["title"] for c in found["trunks"][0]["commits"]] == [
        "change 4", "change 3", "change 2", "change 1",
    ]  # fmt: skip
    assert found["jobs"][0]["cells"] == "FFFC"
    page = broken.ask("/trunk/o/r/main?commits=4").text
    assert re.findall(r"href=\?cell=[^>]*>(.)</a>", page) == list("FFFC")
    broken.ingest(*history("P C F F F ?"))
    assert broken.ask("/api/v1/trunk/o/r/main?cells=4").json()["jobs"][0]["cells"] == "RFFF"


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "1e3", "٣"])
def test_a_number_of_cells_that_is_none(broken: Site, text: str) -> None:
    """A number that cannot be read asks for no cells."""
    found = broken.ask(f"/api/v1/trunk/o/r/main?cells={quote(text)}").json()
    assert "cells" not in found["jobs"][0]


def test_the_json_has_its_published_schema(site: Site) -> None:
    """Each object has the form of the schema that is served, which allows no other key."""
    schema: dict[str, Any] = json.loads(site.ask("/api/v1/schema").text)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for letters in ("", "P", "P C F F F", "P F F F P", "K ? S ."):
        site.ingest(*(history(letters) if letters else ()))
        for query in ("", "?cells=3"):
            answer = site.ask(f"/api/v1/trunk/o/r/main{query}")
            if answer.status_code == 200:
                validator.validate(answer.json())
    assert not validator.is_valid({**answer.json(), "more": 1})
