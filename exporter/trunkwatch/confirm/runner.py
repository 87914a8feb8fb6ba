"""The port of a CI that can run jobs again, and the exception of its clients."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import NamedTuple, Protocol

from trunkwatch.confirm.model import Target
from trunkwatch.errors import CredentialsError, RateLimitedError, RequestError
from trunkwatch.status.attempts import Attempt

log = logging.getLogger(__name__)

READ_SECONDS = 600.0
"""After this time the exporter has read the result of a job that has ended."""

MAX_REASON_CHARACTERS = 300
"""Characters of a reason that are kept: it may repeat long names of a workflow file."""


class NotRepeatable(Exception):  # noqa: N818 — a state, not a failure
    """A run must not be repeated now; the text is the reason.

    Attributes:
        is_final: it must not be repeated later either.
    """

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(" ".join(reason.split())[:MAX_REASON_CHARACTERS])
        self.is_final = is_final


class Examined(NamedTuple):
    """A run that may be repeated.

    Attributes:
        target: it, with its newest attempt, which may have other jobs.
        jobs: number of jobs that the request would repeat.
    """

    target: Target
    jobs: int


class Runner(Protocol):
    """One CI.

    All methods that send a request raise RequestError: no answer, or none that the CI documents.
    """

    def check(self) -> None:
        """Send a small request, which fails if the CI or the token cannot be used."""

    def examine(self, target: Target) -> Examined:
        """Look at a run before it is repeated; change nothing.

        Raises:
            NotRepeatable: it must not be repeated, or not now.
        """

    def run(self, target: Target) -> None:
        """Repeat a run.

        Raises:
            NotRepeatable: CI refused it.
        """

    def was_repeated(self, target: Target) -> bool:
        """Return whether CI repeats a run, or has repeated it, since it was examined.

        Raises:
            NotRepeatable: the run was deleted.
        """

    def was_left_out(self, target: Target) -> bool:
        """Return whether the request has ended without a result of the job.

        Raises:
            NotRepeatable: the run was deleted, if it is final; otherwise it goes on.
        """

    def is_repetition(self, target: Target, attempt: Attempt) -> bool:
        """Return whether an attempt began after a run was examined, and is of the same tests.

        Sends nothing.

        Args:
            target: the run.
            attempt: of the job at the commit of the run, as the exporter has read it.
        """


@contextmanager
def refusals(
    vendor: str, target: Target, is_final: Callable[[RequestError], bool]
) -> Iterator[None]:
    """Turn the error of a request that repeats a run into `NotRepeatable` if it is a refusal.

    Args:
        vendor: of the CI.
        target: the run.
        is_final: returns whether the CI would refuse it again.
    """
    try:
        yield
    except RequestError as error:
        if not _is_refusal(error):
            raise
        # The server's own words stay in the log: pages do not show them.
        log.warning("run refused", extra={"run_id": target.run_id, **error.fields()})
        raise NotRepeatable(f"{vendor} refuses it: {error}", is_final=is_final(error)) from None


def _is_refusal(error: RequestError) -> bool:
    """Return whether a CI answered that it does not repeat the run."""
    status = error.status
    return (
        status is not None
        and HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
        and not isinstance(error, CredentialsError | RateLimitedError)
    )
