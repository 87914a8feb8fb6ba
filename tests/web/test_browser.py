"""The pages in a real browser: a headless Chromium, see tools/fetch-browser."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from trunkwatch.addresses import job_path, outage_path
from trunkwatch.domain.model import JobKey, TrunkOrder
from trunkwatch.engine.triage import (
    AlertNote,
    GroupKey,
    Reading,
    Silence,
    TicketNote,
    Triage,
)

from tests.support.rows import NOW, TRUNK, history, named, order, run, sha
from tests.web.conftest import MakeSite, Site
from tools.browser import Browser, missing

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
    pytest.mark.xdist_group("browser"),
]

GROUPS = """
groups:
  - {name: slow, team: team-s, match: {job_name: "slow.*"}}
  - {name: quick, team: team-q, priority: P1, match: {job_name: "quick.*"}}
"""
BROKEN, WELL = named("slow / test"), named("quick / lint")
TRUNK_PATH = "/trunk/o/r/main"
JOB = JobKey(*TRUNK, "ci", "slow / test")
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "\u202egnp.exe\u2067",
    "x" * 10_000,
    "a very " * 500,
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all tests of the module."""
    with Browser() as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """A fresh page that must end without an error, and without a request to another host."""
    chromium.view()
    yield chromium
    problems, requests = chromium.seen()
    assert problems == []
    assert [url for url in requests if not url.startswith("http://127.0.0.1:")] == []


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """A site with a broken job and one that is well."""
    return filled(make_site(more=GROUPS))


def filled(made: Site) -> Site:
    """Return a site after a refresh."""
    made.ingest(*history("P C F F F", BROKEN), *history("P P P K ?", WELL)[1:])
    return made


def triage_of(job: JobKey, group: str, text: str) -> Triage:
    """Return a ticket and a silence of a job, with a text from outside in each field."""
    ticket = TicketNote(f"{text}#7", text, "open", (text,), NOW)
    silences = (Silence(text, text, text, NOW),)
    return Triage(
        Reading({GroupKey(*TRUNK, group): ticket}, NOW),
        Reading({job: AlertNote(silences, inhibited=False)}, NOW),
        max_label_bytes=20_000,
    )


def at(site: Site, path: str) -> str:
    return f"http://127.0.0.1:{site.port}{path}"


ROWS = "[...document.querySelectorAll('.grid tbody th a')].map(e => e.textContent)"
FOCUS = "document.activeElement.textContent + ' ' + document.activeElement.closest('td').cellIndex"
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.parametrize("width", [390, 1440])
def test_a_cell_is_below_the_commit_of_its_column(browser: Browser, site: Site, width: int) -> None:
    """Every cell is as far to the left as its heading, on a phone as well."""
    browser.view(width)
    browser.goto(at(site, TRUNK_PATH))
    middles = "[...document.querySelectorAll('{}')].map(e => e.getBoundingClientRect())"
    middles += ".map(r => Math.round(r.left + r.width / 2))"
    headings = browser.evaluate(middles.format(".grid thead th:not(.corner)"))
    cells = browser.evaluate(middles.format(".grid tr.broken td"))
    assert len(cells) == len(headings) == 5
    assert all(abs(cell - heading) <= 1 for cell, heading in zip(cells, headings, strict=True))


def test_filters_are_in_the_address(browser: Browser, site: Site) -> None:
    """A chosen filter is in the address, the back button takes it back, and a link keeps it."""
    browser.goto(at(site, TRUNK_PATH))
    assert browser.evaluate(ROWS) == ["ci / slow / test", "ci / quick / lint"]
    browser.select("select[name=team]", "team-q")
    browser.wait("location.search === '?team=team-q&commits=40'")
    assert browser.evaluate(ROWS) == ["ci / quick / lint"]
    browser.fill("input[name=text]", "slow")
    browser.press("Enter")
    browser.wait("location.search.includes('text=slow')")
    assert browser.evaluate(ROWS) == []
    browser.back()
    browser.back()
    browser.wait("location.search === ''")
    assert len(browser.evaluate(ROWS)) == 2
    assert browser.evaluate("document.querySelector('input[name=text]').value") == ""
    browser.goto(at(site, f"{TRUNK_PATH}?state=broken"))
    assert browser.evaluate(ROWS) == ["ci / slow / test"]
    assert browser.evaluate("document.querySelector('select[name=state]').value") == "broken"


def test_filters_without_scripts(chromium: Browser, site: Site) -> None:
    """Without JavaScript the button applies the filters, and the page asks to be reloaded."""
    chromium.view(javascript=False)
    chromium.goto(at(site, TRUNK_PATH))
    chromium.select("select[name=state]", "broken")
    chromium.click(".filters button")
    assert "state=broken" in chromium.address
    assert 'http-equiv="refresh"' in site.ask(TRUNK_PATH).text


def test_a_cell_shows_its_details(browser: Browser, site: Site) -> None:
    """Pointing at a cell shows its attempts in the CI's words; Escape hides them."""
    browser.goto(at(site, TRUNK_PATH))
    browser.hover(".grid td.F a")
    browser.wait("document.querySelector('#peek')")
    text = browser.evaluate("document.querySelector('#peek').textContent")
    assert "failed" in text
    assert "change 4" in text
    assert "after 5 min" in text
    browser.press("Escape")
    assert browser.evaluate("document.querySelector('#peek')") is None


def test_cells_are_reached_by_the_keyboard(browser: Browser, site: Site) -> None:
    """Tab reaches a row's first cell, arrows move between cells, and focus shows the details."""
    browser.goto(at(site, TRUNK_PATH))
    browser.evaluate("document.querySelector('.grid tbody th a').focus()")
    browser.press("Tab")
    assert browser.evaluate(FOCUS) == "F 1"
    browser.press("ArrowRight")
    assert browser.evaluate(FOCUS) == "F 2"
    browser.wait("document.querySelector('#peek')?.textContent.includes('change 3')")
    browser.press("ArrowDown")
    assert browser.evaluate(FOCUS) == "K 2"
    browser.press("ArrowUp")
    browser.press("Tab")
    assert browser.evaluate("document.activeElement.textContent") == "ci / quick / lint"


def test_it_reloads_while_data_changes(browser: Browser, site: Site) -> None:
    """New data replace the content; the focus stays, and without new data nothing is replaced."""
    browser.goto(at(site, TRUNK_PATH))
    browser.evaluate("document.querySelector('.grid td.F a').focus()")
    browser.evaluate("reload()")
    browser.evaluate("document.querySelector('h1').dataset.old = 1")
    browser.evaluate("reload()")
    assert browser.evaluate("document.querySelector('h1').dataset.old") == "1"
    site.ingest(*history("P C F F F P", BROKEN), *history("P P P K ? P", WELL)[1:])
    browser.evaluate("reload()")
    assert "Nothing is broken" in browser.evaluate("document.querySelector('h1').textContent")
    assert "Nothing is broken" in browser.evaluate("document.title")
    assert browser.evaluate(FOCUS) == "F 2"


def test_a_page_that_cannot_be_reloaded_is_not_trusted(browser: Browser, site: Site) -> None:
    """If the server does not answer any more the page states it, until it answers again."""
    site.ingest(*history("P", BROKEN), *history("P", WELL)[1:])
    browser.goto(at(site, TRUNK_PATH))
    browser.evaluate("window.kept = fetch, window.fetch = () => Promise.reject(), reload()")
    browser.wait("document.querySelector('#lost[role=alert]')")
    browser.evaluate("document.querySelector('#lost').remove()")
    browser.evaluate("window.fetch = async () => new Response('', {status: 503}), reload()")
    assert browser.evaluate("document.querySelector('#lost')") is None  # busy: it tries again
    browser.evaluate("window.fetch = () => Promise.reject(), reload()")
    sign = "getComputedStyle(document.querySelector('h1 .sign.good')).visibility"
    assert browser.evaluate(sign) == "hidden"
    browser.evaluate("window.fetch = window.kept, reload()")
    browser.wait("!document.querySelector('#lost')")


PATHS = ["/", TRUNK_PATH, job_path(JOB), outage_path(JOB, sha(2)), "/runbooks/TrunkJobBroken"]


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
def test_accessibility(browser: Browser, make_site: MakeSite, width: int, dark: bool) -> None:
    """axe-core finds no violation on any page, and no page scrolls sideways."""
    browser.view(width, dark=dark)
    unread = Triage(Reading(problem="no answer"), Reading(problem="no answer"))
    site = filled(make_site(more=GROUPS, triage=unread if dark else triage_of(JOB, "slow", "ann")))
    for path in PATHS:
        assert browser.goto(at(site, path)) == 200
        assert browser.violations() == [], path
        assert browser.evaluate(OVERFLOW) == 0, path


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:16])
def test_hostile_names_do_no_harm(browser: Browser, make_site: MakeSite, text: str) -> None:
    """Whatever CI calls its jobs and commits: nothing runs, nothing breaks out of its place."""
    job = JobKey(*TRUNK, text, text)
    site = make_site(triage=triage_of(job, "default", text))
    commits = tuple(replace(each, author=text, title=text) for each in order(4).commits)
    site.ingest(
        TrunkOrder(TRUNK, commits),
        *(
            run(place, "failure" if place else "success", job=named(text, text), url=text,
                failed_step=text, annotations=(text,))
            for place in range(4)
        ),
    )  # fmt: skip
    browser.view(390)
    for path in ("/", TRUNK_PATH, job_path(job)):
        if len(path) > 8_000:
            continue  # no browser and no server takes such an address
        assert browser.goto(at(site, path)) == 200
        assert browser.evaluate(OVERFLOW) == 0, path
    browser.view()
    browser.goto(at(site, TRUNK_PATH))
    browser.hover(".grid td.F a")
    browser.wait("document.querySelector('#peek')")
    assert browser.evaluate("document.querySelector('#peek script, #peek img')") is None
