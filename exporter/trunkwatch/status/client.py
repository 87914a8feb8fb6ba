"""The HTTP client of the exporter, without a cache."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

from trunkwatch.addresses import job_path, trunk_path
from trunkwatch.domain.model import JobKey, Trunk
from trunkwatch.errors import ReadingError, RequestError, UnknownTrunkError
from trunkwatch.rest.client import Query, RestClient
from trunkwatch.rest.http import HttpContext
from trunkwatch.rest.json_text import checked_list, int_or_none, text_or_none
from trunkwatch.status.attempts import JobAtCommit, parse_attempts
from trunkwatch.status.shape import unlike_the_document
from trunkwatch.status.trunk_status import TrunkStatus, parse_trunk_status

TIMEOUT_SECONDS = 20.0
"""Limit for the connection and for each read; the JSON of ten thousand jobs takes a few seconds."""

API = "/api/v1"

T = TypeVar("T")


class ExporterClient:
    """Reads the state of trunks."""

    def __init__(self, url: str, http: HttpContext | None = None, *, tries: int = 1) -> None:
        """Args:
        url: address of `trunkwatch serve`.
        http: session, clock and sleep.
        tries: how often a request is sent that fails by accident.
        """
        self._client = RestClient(url, http or HttpContext(), tries=tries, timeout=TIMEOUT_SECONDS)

    def trunk(self, repo: str, branch: str) -> TrunkStatus:
        """Return the exporter's state of a trunk."""
        # A redirect to another shard is followed; the password of an address is not sent there.
        return self._read(trunk_path(Trunk(repo, branch)), parse_trunk_status, UnknownTrunkError)

    def trunks(self) -> Mapping[Trunk, int]:
        """Return the number of failing jobs of every trunk that the exporter reads."""
        return self._read("/trunks", parse_failing_jobs)

    def attempts(self, job: JobKey, shas: Sequence[str]) -> Mapping[str, JobAtCommit]:
        """Return a job's attempts at some commits of its trunk, by their hashes."""
        query = [("sha", sha) for sha in shas]
        return self._read(job_path(job), parse_attempts, UnknownTrunkError, query)

    def check(self) -> None:
        """Ask for a small document that every version of the exporter has.

        Raises:
            ReadingError: it does not answer, or is another server.
        """
        self._read("/schema", bool)

    def _read(
        self,
        path: str,
        parse: Callable[[Any], T],
        not_found: type[ReadingError] = ReadingError,
        query: Query = (),
    ) -> T:
        try:
            return parse(self._client.get(f"{API}{path}", query))
        except RequestError as error:
            kind = not_found if error.status == HTTPStatus.NOT_FOUND else ReadingError
            raise kind(str(error)) from None


def parse_failing_jobs(document: Any) -> Mapping[Trunk, int]:
    """Parse the answer of `/api/v1/trunks`: the number of failing jobs of each trunk.

    Raises:
        ReadingError: it has another shape.
    """
    found: dict[Trunk, int] = {}
    try:
        for row in checked_list(document["trunks"]):
            repo, branch = text_or_none(row["repo"]), text_or_none(row["branch"])
            number = int_or_none(row["streaks"])
            if repo is None or branch is None or number is None:
                raise ValueError("a key of a trunk is missing")
            found[Trunk(repo, branch)] = number
    except (KeyError, TypeError, ValueError) as error:
        raise unlike_the_document(error) from None
    return found
