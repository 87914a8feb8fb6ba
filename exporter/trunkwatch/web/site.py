"""The addresses of the HTML pages and of their files."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote

from trunkwatch.addresses import (
    RUNBOOKS,
    TRUNK,
    Place,
    job_path,
    other_readings,
    read_path,
    trunk_path,
)
from trunkwatch.domain.model import JobKey
from trunkwatch.engine.snapshot import TrunkState
from trunkwatch.html.details import details
from trunkwatch.html.filters import QUERY_LIMIT, read_choice
from trunkwatch.html.grid import commit_by_digits, job_by_id
from trunkwatch.html.pages import HtmlPages, PageContext
from trunkwatch.html.rendered import Rendered
from trunkwatch.html.runbooks import names
from trunkwatch.html.templating import STATIC_PREFIX, static_files
from trunkwatch.report.words import short
from trunkwatch.web.answer import (
    HTML,
    NOT_FOUND,
    TEXT,
    URI_CHARACTERS,
    Answer,
    negotiated,
    redirect_to_shard,
)
from trunkwatch.web.reading import ColumnReader
from trunkwatch.web.view import View

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

JOB_PATH = "/job"
"""Leads to a job's page from the labels of an alert in its query, which a template can write."""

PATHS = (
    "/",
    f"{TRUNK}<repo>/<branch>",
    f"{TRUNK}<repo>/<branch>/job/<workflow>/<job>",
    f"{TRUNK}<repo>/<branch>/outage/<workflow>/<job>/<first bad>",
    JOB_PATH,
    f"{RUNBOOKS}<alert>",
    f"{STATIC_PREFIX}<file>",
)
"""The addresses that are answered here, for people."""

RENDERED_AT_ONCE = 4
"""Pages that are rendered or wait for it: half of the threads that answer scrapes too."""

BUSY = Answer(
    "503 Service Unavailable",
    TEXT,
    b"too many pages at once; load it again\n",
    (("Retry-After", "1"),),
)


class Site:
    """Answers the requests to `PATHS`."""

    def __init__(
        self,
        view: Callable[[], View],
        clock: Callable[[], float],
        version: str,
        reader: ColumnReader,
    ) -> None:
        """Args:
        view: returns the current data.
        clock: seconds since the epoch.
        version: shown on each page.
        reader: reads the columns of jobs.
        """
        self._view = view
        self._clock = clock
        self._pages = HtmlPages(version)
        static_files()  # Reads them: a package without its files must not start.
        self._rendering = threading.BoundedSemaphore(RENDERED_AT_ONCE)
        self._reader = reader

    def answers(self, path: str) -> bool:
        """Return whether a path is one of its own."""
        return path in ("/", JOB_PATH) or path.startswith((TRUNK, RUNBOOKS, STATIC_PREFIX))

    def answer(self, environ: "WSGIEnvironment", path: str) -> Answer:
        """Answer a request.

        Args:
            environ: the request.
            path: decoded.
        """
        if path.startswith(STATIC_PREFIX):
            return _static(environ, path.removeprefix(STATIC_PREFIX))
        if not self._rendering.acquire(blocking=False):
            return BUSY
        try:
            return self._answer(environ, path)
        finally:
            self._rendering.release()

    def _answer(self, environ: "WSGIEnvironment", path: str) -> Answer:
        if path == JOB_PATH:
            return _redirect(_job_of(environ.get("QUERY_STRING", "")))
        if path.startswith(RUNBOOKS):
            return self._runbook(environ, path.removeprefix(RUNBOOKS))
        view = self._view()
        context = PageContext(
            view.snapshot(),
            view.compare_urls,
            lambda *of: self._reader.read(view, *of),
            self._clock(),
            view.triage,
        )
        if path == "/":
            return _sent(environ, self._pages.landing(context))
        return self._trunk(environ, context, view, environ["REQUEST_URI"])

    # ------------------------------------------------------------------ trunks and jobs

    def _trunk(
        self, environ: "WSGIEnvironment", context: PageContext, view: View, raw: str
    ) -> Answer:
        place = read_path(raw)
        state = context.trunk(place.trunk) if place is not None else None
        if place is None or state is None:
            return self._not_a_trunk(environ, context, view, raw, place)
        query: str = environ.get("QUERY_STRING", "")
        if place.job is not None:
            return self._job(environ, context, state, place)
        if query.startswith("cell="):
            return self._cell(context, state, query)
        return _sent(environ, self._pages.trunk(context, state, read_choice(query)))

    def _not_a_trunk(
        self,
        environ: "WSGIEnvironment",
        context: PageContext,
        view: View,
        raw: str,
        place: Place | None,
    ) -> Answer:
        readings = other_readings(raw)
        meant = [trunk for trunk in readings if context.trunk(trunk) is not None]
        if len(meant) == 1:
            return _redirect(trunk_path(meant[0]))
        named = [] if place is None else [place.trunk]
        other = next(filter(None, map(view.other_shard, [*named, *readings])), None)
        if other is not None and not meant:
            if other.address is not None:
                return redirect_to_shard(other.address, environ)
            return _missing(self._pages.message("Another shard", other.text, []))
        shown = meant or [state.trunk for state in context.snapshot.trunks]
        text = (
            "Several trunks are called so." if meant else "No trunk is called so. These are read:"
        )
        links = [(trunk_path(trunk), str(trunk)) for trunk in shown]
        return _missing(self._pages.message("Which trunk?", text, links))

    def _job(
        self, environ: "WSGIEnvironment", context: PageContext, state: TrunkState, place: Place
    ) -> Answer:
        job = next((each for each in state.jobs if each.key == place.job), None)
        above = (trunk_path(state.trunk), str(state.trunk))
        if job is None:
            text = "It was removed or renamed, or has no result on this trunk."
            return _missing(self._pages.message("No such job", text, [above]))
        page = self._pages.job(context, state, job, place.first_bad)
        if page is None:
            text = (
                f"No outage of this job begins at {short(place.first_bad or '')} now: a late result"
                " of an older commit may have moved its first bad commit."
            )
            links = [(job_path(job.key), job.key.display_name), above]
            return _missing(self._pages.message("No such outage", text, links))
        return _sent(environ, page)

    def _cell(self, context: PageContext, state: TrunkState, query: str) -> Answer:
        """Lead to the run behind a cell, or return its details."""
        name, _, digits = query.removeprefix("cell=").partition("&")[0].partition(".")
        job = job_by_id(state, name)
        commit = commit_by_digits(state.order, digits)
        if job is None or commit is None:
            return NOT_FOUND
        columns = context.columns(job.key, [commit.sha])
        if columns is None:
            return BUSY
        found = details(columns, state.order)
        if "&details=1" in query:
            if not found:
                return NOT_FOUND
            text = self._pages.details_of(job, found[0])
            return Answer("200 OK", HTML, text.encode("utf-8", "replace"), _FRESH)
        url = found[0].url if found else None
        return _redirect(url or f"{job_path(job.key)}#c-{commit.sha}")

    # ------------------------------------------------------------------ runbooks

    def _runbook(self, environ: "WSGIEnvironment", name: str) -> Answer:
        page = self._pages.runbook(name)
        if page is None:
            links = [(f"{RUNBOOKS}{each}", each) for each in names()]
            text = "No alert is called so. These have a runbook:"
            return _missing(self._pages.message("Which runbook?", text, links))
        return _sent(environ, page)


_FRESH = (("Cache-Control", "no-cache"),)
"""Ask each time whether it has changed."""


def _sent(
    environ: "WSGIEnvironment",
    page: Rendered,
    content_type: str = HTML,
    cache: str = "no-cache",
) -> Answer:
    encodings = {"gzip": page.zipped, "identity": page.plain}
    answer = negotiated(environ, content_type, encodings, "Accept-Encoding", page.etag)
    return answer._replace(headers=(*answer.headers, ("Cache-Control", cache)))


def _missing(page: Rendered) -> Answer:
    return Answer("404 Not Found", HTML, page.plain())


def _redirect(address: str | None) -> Answer:
    """Return an answer that leads to a page; a URL of CI becomes a valid header here."""
    if address is None:
        return NOT_FOUND
    target = quote(address, safe=URI_CHARACTERS)
    return Answer(
        "302 Found",
        TEXT,
        b"see the address in the header Location\n",
        (("Location", target), *_FRESH),
    )


def _job_of(query: str) -> str | None:
    """Return the path of the job that a query names by the labels of an alert."""
    fields = parse_qs(query[:QUERY_LIMIT], keep_blank_values=True)
    if not set(JobKey._fields) <= fields.keys():
        return None
    return job_path(JobKey(*(fields[name][0] for name in JobKey._fields)))


def _static(environ: "WSGIEnvironment", name: str) -> Answer:
    file = static_files().get(name)
    if file is None:
        return NOT_FOUND
    wanted = f"v={file.version}" == environ.get("QUERY_STRING", "")
    lifetime = "public, max-age=31536000, immutable" if wanted else "no-cache"
    return _sent(environ, file.page, file.content_type, lifetime)
