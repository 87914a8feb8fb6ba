"""The pages over one snapshot."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup

from trunkwatch.addresses import trunk_path
from trunkwatch.domain.columns import Column
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import JobKey, Trunk
from trunkwatch.domain.suspects import ranked_suspects
from trunkwatch.engine.cells import NO_ROW, suspect_letters
from trunkwatch.engine.co_failures import CoFailures
from trunkwatch.engine.snapshot import Snapshot, TrunkState
from trunkwatch.engine.triage import NO_TRIAGE, Triage
from trunkwatch.html.details import Detail, details
from trunkwatch.html.filters import JOBS_PER_PAGE, Choice
from trunkwatch.html.grid import CellWriter, Grid, grid_of, worst_first
from trunkwatch.html.outages import Outage, detail_at, newest_shas, outages_of
from trunkwatch.html.rendered import (
    ENTRY_BYTES,
    KEPT_BYTES,
    Kept,
    Rendered,
    Segment,
    rendered,
    segment,
)
from trunkwatch.html.runbooks import runbook
from trunkwatch.html.standing import (
    freshness,
    headline,
    job_standing,
    source_standing,
    trunk_standing,
    worst_trunks_first,
)
from trunkwatch.html.templating import environment
from trunkwatch.html.who import triage_notes, who_is_on
from trunkwatch.report.document import CompareUrls, compare_link
from trunkwatch.report.hints import flakiness, hidden_failures
from trunkwatch.report.notes import is_reliable, source_notes, trunk_notes, workflow_notes
from trunkwatch.report.order import urgency
from trunkwatch.report.triage import note_words

ATTEMPT_COMMITS = 30
"""Commits of which a job's page lists the attempts."""

CARDS_SHOWN = 12
"""Broken jobs that a trunk's page describes above the grid, which has them all."""

ROWS_KEPT = 4 * JOBS_PER_PAGE
"""Rows of grids that are kept, to render only those that have changed."""

ROW_END = "</tr>"
"""The last element of each row, which escaped text does not contain."""

LISTS_KEPT = 1_000
"""Trunks of which lists of jobs are kept."""

COUNTS = (20, 40, 100, 200)
"""Numbers of commits to choose from."""

STATE_WORDS = (
    ("broken", "broken"),
    ("failing", "failing or broken"),
    ("pending", "running or queued"),
    ("flaky", "flaky"),
    ("known", "known broken"),
)

Columns = Callable[[JobKey, Sequence[str]], Sequence[Column] | None]
"""Reads a job's columns at some commits; None where they cannot be read now."""


@dataclass(frozen=True, slots=True)
class PageContext:
    """What a page is rendered from.

    Attributes:
        snapshot: the state.
        compare_urls: per trunk.
        columns: reads details.
        now: seconds since the epoch.
        triage: who is on it.
    """

    snapshot: Snapshot
    compare_urls: CompareUrls
    columns: Columns
    now: float
    triage: Triage = NO_TRIAGE

    def trunk(self, trunk: Trunk) -> TrunkState | None:
        """Return a trunk's state, None where it is not published."""
        return next((each for each in self.snapshot.trunks if each.trunk == trunk), None)

    @property
    def minute(self) -> int:
        """The minute, so that ages on a page are not older."""
        return int(self.now // 60)


class _Lists(NamedTuple):
    """Lists over all jobs of a trunk.

    Attributes:
        broken: the broken jobs, the worst first.
        flaky: a line for each job that is mostly flaky.
        hidden: a line for each event whose failures others hide.
    """

    broken: Sequence[JobState]
    flaky: Sequence[str]
    hidden: Sequence[str]


def _lists(state: TrunkState) -> _Lists:
    return _Lists(
        worst_first(job for job in state.jobs if job.broken),
        list(flakiness(state.jobs)),
        [line for job in state.jobs for line in hidden_failures(job)],
    )


def _basis(context: PageContext, state: TrunkState) -> tuple[object, ...]:
    """Return what every page about a trunk is made from."""
    age = freshness(state, context.now).words
    around = (context.minute, age, context.compare_urls, context.triage)
    return (state.jobs, state.order, state.files, state.sources, *around)


def _worst(state: TrunkState) -> JobState | None:
    return min((job for job in state.jobs if job.failing), key=urgency, default=None)


class HtmlPages:
    """Renders pages and keeps them while nothing changes; any thread may use it."""

    def __init__(self, version: str) -> None:
        """Args:
        version: shown at the end of each page.
        """
        self._environment = environment(version)
        self._kept: Kept[Rendered] = Kept(KEPT_BYTES, lambda page: page.size + ENTRY_BYTES)
        self._lists: Kept[_Lists] = Kept(LISTS_KEPT)
        self._grids: Kept[tuple[Grid, Segment]] = Kept(
            KEPT_BYTES, lambda grid: len(grid[1].text) + ENTRY_BYTES
        )
        self._rows: Kept[dict[JobKey, tuple[JobState, str, Markup]]] = Kept(ROWS_KEPT, len)

    def landing(self, context: PageContext) -> Rendered:
        """Return the list of trunks."""
        ages = ",".join(freshness(state, context.now).words for state in context.snapshot.trunks)
        basis = (context.snapshot, context.minute, ages, context.triage)
        return self._kept.get("/", basis, lambda: self._landing(context))

    def trunk(self, context: PageContext, state: TrunkState, choice: Choice) -> Rendered:
        """Return the page of a trunk."""
        return self._kept.get(
            (state.trunk, choice),
            (state.groups, *_basis(context, state)),
            lambda: self._trunk(context, state, choice),
        )

    def job(
        self, context: PageContext, state: TrunkState, job: JobState, first_bad: str | None = None
    ) -> Rendered | None:
        """Return the page of a job, or of one of its outages; None without this outage."""
        key, basis = ("job", job.key, first_bad), (job, *_basis(context, state))
        kept = self._kept.find(key, basis)
        if kept is not None:
            return kept
        outages = outages_of(job, state.order, first_bad)
        if first_bad is not None and not any(outage.is_chosen for outage in outages):
            return None
        # Read here: while the store is written to, this waits, and other pages must not.
        shas = {
            *newest_shas(job, state.order, ATTEMPT_COMMITS),
            *([first_bad] if first_bad else ()),
        }
        columns = context.columns(job.key, sorted(shas))
        found = None if columns is None else details(columns, state.order)
        text = self._job(context, state, job, outages, found)
        page = rendered(segment(text))
        return page if found is None else self._kept.get(key, basis, lambda: page)

    def details_of(self, job: JobState, found: Detail) -> str:
        """Return what a cell shows when it is pointed at."""
        template = self._environment.get_template("peek.html")
        return template.render(it=found, name=job.key.display_name)

    def runbook(self, name: str) -> Rendered | None:
        """Return the runbook of an alert, None where there is none."""
        html = runbook(name)
        if html is None:
            return None
        return self._kept.get(
            ("runbook", name), (), lambda: self._page("text.html", heading=name, html=html)
        )

    def message(self, heading: str, text: str, links: Sequence[tuple[str, str]] = ()) -> Rendered:
        """Return a page with a sentence and links: (path, name)."""
        return self._page("text.html", heading=heading, html="", text=text, links=links)

    # ------------------------------------------------------------------ rendering

    def _render(self, template: str, **values: Any) -> str:
        return self._environment.get_template(template).render(values)

    def _page(self, template: str, **values: Any) -> Rendered:
        return rendered(segment(self._render(template, reloads=False, **values)))

    def _landing(self, context: PageContext) -> Rendered:
        now = context.now
        trunks = [
            {
                "state": state,
                "standing": standing,
                "fresh": freshness(state, now),
                "path": trunk_path(state.trunk),
                "worst": worst,
                "who": who_is_on(worst, context.triage, now) if worst is not None else None,
                "notes": [note.strip() for note in trunk_notes(state, now)],
            }
            for state, standing in worst_trunks_first(context.snapshot.trunks, now)
            for worst in (_worst(state),)
        ]
        sources = [
            {
                "source": source,
                "standing": source_standing(source, now),
                "problems": [*([source.problem] if source.problem else []), *source_notes(source)],
            }
            for source in context.snapshot.sources
        ]
        text = self._render(
            "landing.html", reloads=True, now=now, trunks=trunks, sources=sources,
            headline=headline(context.snapshot, now), has_triage=any(context.triage.readings()),
        )  # fmt: skip
        return rendered(segment(text))

    def _trunk(self, context: PageContext, state: TrunkState, choice: Choice) -> Rendered:
        reliable = is_reliable(state, context.now)
        current = context.triage.at(context.now)
        notes_of = {job.key: note_words(current.of(job)) for job in state.jobs if job.broken}
        grid, middle = self._grids.get(
            (state.trunk, choice),
            (state.jobs, state.order, state.groups, reliable, repr(notes_of)),
            lambda: self._grid(state, choice, notes_of, reliable=reliable),
        )
        lists = self._lists.get(state.trunk, (state.jobs,), lambda: _lists(state))
        notes = (
            *trunk_notes(state, context.now),
            *workflow_notes(state),
            *triage_notes(context.triage, context.now),
        )
        text = self._render(
            "trunk.html", reloads=True, state=state, choice=choice, grid=grid, now=context.now,
            standing=trunk_standing(state, context.now), fresh=freshness(state, context.now),
            path=trunk_path(state.trunk), api=f"/api/v1{trunk_path(state.trunk)}",
            notes=[note.strip() for note in notes],
            broken=lists.broken[:CARDS_SHOWN], more_broken=max(0, len(lists.broken) - CARDS_SHOWN),
            compare=self._compare(context),
            ranked=lambda blame: ranked_suspects(blame, state.files),
            who=lambda job: who_is_on(job, context.triage, context.now),
            has_triage=any(context.triage.readings()),
            teams=sorted({group.group.team for group in state.groups}),
            groups=[group.group.name for group in state.groups],
            states=STATE_WORDS, counts=sorted({*COUNTS, choice.commits}),
            flaky=lists.flaky,
            hidden=lists.hidden,
        )  # fmt: skip
        head, _, tail = text.partition("<!--grid-->")
        return rendered(segment(head), middle, segment(tail))

    def _grid(
        self, state: TrunkState, choice: Choice, notes_of: Mapping[JobKey, str], *, reliable: bool
    ) -> tuple[Grid, Segment]:
        grid = grid_of(state, choice)
        writer = CellWriter(state.order, choice.commits)
        place = (state.trunk, choice.commits)
        before = self._rows.find(place, (state.order,)) or {}
        rows: dict[JobKey, tuple[JobState, str, Markup]] = {}
        changed: list[tuple[JobState, str]] = []
        for job in (job for section in grid.sections for job in section.jobs):
            known, note = before.get(job.key), notes_of.get(job.key, "")
            if known is not None and known[0] is job and known[1] == note:
                rows[job.key] = known
            else:
                changed.append((job, note))
        # In one rendering: each one costs as much as a row.
        text = self._render("rows.html", rows=[(writer.row(job), note) for job, note in changed])
        for (job, note), row in zip(changed, text.split(ROW_END), strict=False):
            rows[job.key] = job, note, Markup(row + ROW_END)  # noqa: S704 — escaped
        self._rows.put(place, (state.order,), rows)
        html = {key: row for key, (_, _, row) in rows.items()}
        text = self._render("grid.html", grid=grid, rows=html, reliable=reliable)
        return grid, segment(text)

    def _job(
        self,
        context: PageContext,
        state: TrunkState,
        job: JobState,
        outages: Sequence[Outage],
        found: Sequence[Detail] | None,
    ) -> str:
        reliable = is_reliable(state, context.now)
        writer = CellWriter(state.order, COUNTS[1])
        chosen = next((each for each in outages if each.is_chosen and each.closed_by), None)
        return self._render(
            "job.html", reloads=True, state=state, job=job, now=context.now, details=found,
            headline=job_standing(job, reliable=reliable), fresh=freshness(state, context.now),
            trunk_path=trunk_path(state.trunk), compare=self._compare(context),
            notes=[note.strip() for note in trunk_notes(state, context.now)],
            also=CoFailures(state.jobs).with_job(job), outages=outages,
            who=who_is_on(job, context.triage, context.now),
            chosen=chosen, at_first_bad=detail_at(found or (), chosen),
            strip=writer.row(job).cells, commits=state.order.commits[-COUNTS[1]:],
            letters={c.sha: each for c, each in suspect_letters(job) if each != NO_ROW},
            suspects=ranked_suspects(job.blame, state.files) if job.blame else (),
        )  # fmt: skip

    def _compare(self, context: PageContext) -> Callable[[JobState], str | None]:
        def compare(job: JobState) -> str | None:
            template = context.compare_urls.get(Trunk(job.key.repo, job.key.branch))
            return compare_link(job.blame, template)

        return compare
