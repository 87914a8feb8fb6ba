"""Reads a page as a browser would, without a browser."""

from html.parser import HTMLParser

from trunkwatch.domain.columns import Column, Count, build_columns
from trunkwatch.domain.evidence import EvidenceRules
from trunkwatch.domain.model import JobKey, Observation
from trunkwatch.engine.snapshot import Snapshot, TrunkState
from trunkwatch.html.filters import Choice
from trunkwatch.html.pages import HtmlPages, PageContext
from trunkwatch.html.rendered import Rendered

from tests.domain.builders import NOW
from tests.report.sample import COMPARE

VOID = {"meta", "link", "input", "br"}


class Page(HTMLParser):
    """What a browser makes of a page.

    Attributes:
        links: the values of each href, src and action.
        elements: the names of its elements.
        attributes: the names of their attributes.
        cells: per row of the grid, the classes of each cell.
        labels: the values of each aria-label.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.cells: list[list[str]] = []
        self.labels: list[str] = []
        self._words: list[str] = []
        self.feed(text)

    @property
    def text(self) -> str:
        """Its words, with single spaces."""
        return " ".join(" ".join(self._words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.elements.add(tag)
        self.attributes |= found.keys()
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]
        self.labels += [value or "" for name, value in attrs if name == "aria-label"]
        if tag == "tr":
            self.cells.append([])
        if tag == "td":
            self.cells[-1].append(found.get("class") or "")

    def handle_data(self, data: str) -> None:
        self._words.append(data)


def text_of(page: Rendered | None) -> str:
    """Return a page as text."""
    assert page is not None
    return b"".join(page.plain().parts).decode()


def scene(shown: Snapshot, rows: list[Observation] | None = None, now: float = NOW) -> PageContext:
    """Return what pages are rendered from; `rows` are in the store."""

    def columns(key: JobKey, shas: object) -> list[Column] | None:
        del key
        order = shown.trunks[0].order
        at = [row for row in rows or () if row.sha in shas]  # type: ignore[operator]
        return build_columns(at, order, EvidenceRules(), Count.COMMITS, NOW)

    return PageContext(shown, COMPARE, columns, now)


def landing(shown: Snapshot, now: float = NOW) -> Page:
    """Return the landing page."""
    return Page(text_of(HtmlPages("1.2.3").landing(scene(shown, now=now))))


def trunk_page(state: TrunkState, choice: Choice | None = None, now: float = NOW) -> Page:
    """Return the page of a trunk."""
    shown = Snapshot(NOW, (state,), (), complete=True)
    pages = HtmlPages("1.2.3")
    return Page(text_of(pages.trunk(scene(shown, now=now), state, choice or Choice())))


def job_page(
    state: TrunkState,
    name: str,
    rows: list[Observation] | None = None,
    first_bad: str | None = None,
) -> Page:
    """Return the page of a job, or of one of its outages."""
    shown = Snapshot(NOW, (state,), (), complete=True)
    (job,) = (each for each in state.jobs if each.key.job_name == name)
    pages = HtmlPages("1.2.3")
    return Page(text_of(pages.job(scene(shown, rows), state, job, first_bad)))
