"""The requests to one Buildbot master (https://docs.buildbot.net/latest/developer/rest.html)."""

from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Any

from trunkwatch.config.sources import BuildbotSource
from trunkwatch.errors import BadAnswerError, CredentialsError
from trunkwatch.rest.client import Query, RestClient
from trunkwatch.rest.http import HttpContext
from trunkwatch.rest.json_text import int_or_none
from trunkwatch.rest.lists import page_numbers
from trunkwatch.sources.buildbot.builds import (
    PROPERTIES,
    RequestedSources,
    first_failed_step,
    parse_sources,
    text,
)
from trunkwatch.urls import without_credentials

PAGE = 200
"""Builds per request; the master queries properties per build, so more is not faster."""

MAX_PAGES = 2000
"""Pages of completed builds: 400,000, more than a month of the largest public master has."""

IDS = 200
"""Ids in the address of one request, which a server or a proxy limits to a few KiB."""


class BuildbotApi:
    """The REST API of one master; each method that reads a list may raise RequestError."""

    def __init__(self, config: BuildbotSource, http: HttpContext) -> None:
        """Args:
        config: the source's section of the configuration.
        http: session, counter and clock.
        """
        self._master = without_credentials(config.url).rstrip("/")
        url = f"{config.url.rstrip('/')}/api/v2"
        self._rest = RestClient(url, http, timeout=config.timeout)

    def page(self, builder_id: int, number: int | None) -> str | None:
        """Return the address of a build's page; None if its number is unknown."""
        return None if number is None else f"{self._master}/#/builders/{builder_id}/builds/{number}"

    # ------------------------------------------------------------------ builds

    def unfinished(self, started_since: int) -> list[object]:
        """Return the unfinished builds that started at or after a time (s since the epoch).

        Builds that a killed master left unfinished for ever cost nothing then.
        """
        return self._builds([("complete", "false"), ("started_at__ge", started_since)])

    def completed(self, since: int) -> Iterator[object]:
        """Yield the builds that completed at or after a time (s since the epoch).

        The filter is on the time of completion: ids are assigned at the start, so a cursor over ids
        loses slow builds. `meta.total` is only the length of the page, so a page that is not full
        is the last. The second order is for builds that completed in one second: pages must not
        split them at random.
        """
        before: list[object] = []
        for number in page_numbers(f"GET {self._rest.address('/builds')}", MAX_PAGES):
            page = self._builds(
                [
                    ("complete", "true"),
                    ("complete_at__ge", since),
                    ("order", "complete_at"),
                    ("order", "buildid"),
                    ("limit", PAGE),
                    ("offset", (number - 1) * PAGE),
                ]
            )
            yield from page
            if len(page) < PAGE:
                return
            if page == before:
                raise self.unlike_buildbot("/builds", "the same page twice")
            before = page

    def builds(self, ids: Iterable[int]) -> list[object]:
        """Return the builds with these ids that exist."""
        return [row for chunk in _chunks(ids) for row in self._builds(_equal("buildid", chunk))]

    def _builds(self, query: Query) -> list[object]:
        query = [*query, *(("property", name) for name in PROPERTIES)]
        try:
            return self._list("/builds", query)
        except BadAnswerError as error:
            if error.status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                raise
            raise CredentialsError(
                f"{error}; the user:password@ of url, or everybody without it, must be allowed to"
                " read builds: www.authz of the master, and a proxy before it, decide that",
                status=error.status,
                detail=error.detail,
            ) from None

    # ------------------------------------------------------------------ builders, sources, steps

    def builders(self) -> dict[int, str]:
        """Return the name of every builder, virtual ones and removed ones included, by its id."""
        rows = _objects(self._list("/builders", []))
        pairs = ((int_or_none(row.get("builderid")), text(row.get("name"))) for row in rows)
        return {number: name for number, name in pairs if number is not None and name is not None}

    def sources(self, requests: Iterable[int]) -> dict[int, RequestedSources]:
        """Return the sources of build requests that exist, by the request's id.

        A build names its request, a request its build set, and only that has the source stamps: two
        lists for any number of builds. The real server leaves the text of a patch out.
        """
        sets: dict[int, int] = {}
        for row in self._of_ids("/buildrequests", "buildrequestid", "buildsetid", requests):
            request, bsid = int_or_none(row.get("buildrequestid")), row.get("buildsetid")
            if request is not None and (number := int_or_none(bsid)) is not None:
                sets[request] = number
        found: dict[int, RequestedSources] = {}
        for row in self._of_ids("/buildsets", "bsid", "sourcestamps", set(sets.values())):
            if (number := int_or_none(row.get("bsid"))) is not None:
                found[number] = parse_sources(row.get("sourcestamps"))
        return {request: found[bsid] for request, bsid in sets.items() if bsid in found}

    def failed_step(self, build_id: int) -> str | None:
        """Return the name of a build's first failed step, or None where no step failed."""
        query = [("order", "number"), *(("field", f) for f in ("name", "number", "results"))]
        return first_failed_step(self._list(f"/builds/{build_id}/steps", query))

    def _of_ids(
        self, path: str, key: str, value: str, ids: Iterable[int]
    ) -> Iterator[dict[str, Any]]:
        for chunk in _chunks(ids):
            fields = [("field", key), ("field", value)]
            yield from _objects(self._list(path, [*_equal(key, chunk), *fields]))

    def _list(self, path: str, query: Query) -> list[object]:
        key = path.rpartition("/")[2]
        items = self._rest.object("GET", path, query).get(key)
        if not isinstance(items, list):
            raise self.unlike_buildbot(path, f"no list of {key!r} in the answer")
        return items

    def unlike_buildbot(self, path: str, problem: str) -> BadAnswerError:
        """Return the error for an answer that no Buildbot gives."""
        address = self._rest.address(path)
        return BadAnswerError(f"GET {address}: {problem}; is it the address of a Buildbot master?")


def is_refused(error: BadAnswerError) -> bool:
    """Return whether the server refuses an address, or does not have it."""
    status = error.status or HTTPStatus.OK
    return HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR


def _objects(rows: Iterable[object]) -> list[dict[str, Any]]:
    return [row for row in rows if isinstance(row, dict)]


def _equal(key: str, values: Sequence[int]) -> list[tuple[str, str | int]]:
    """Return a filter that several values pass; Buildbot reads a repeated key so."""
    return [(key, value) for value in values]


def _chunks(ids: Iterable[int]) -> Iterator[Sequence[int]]:
    ordered = sorted(ids)
    for begin in range(0, len(ordered), IDS):
        yield ordered[begin : begin + IDS]
