"""The HTTP kit is safe for threads: one client, one quota and one token serve many requests."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from trunkwatch.errors import CredentialsError, RateLimitedError
from trunkwatch.rest.credentials import FIRST_RETRY_SECONDS, RefusedCredential
from trunkwatch.rest.http import HttpContext
from trunkwatch.rest.limits import Quota, RateLimit
from trunkwatch.rest.lists import ListClient, Listing
from trunkwatch.sources.github.pool import in_parallel

from tests.github.http_server import HttpRequest, HttpResponse, LoopbackServer

NOW = 1_700_000_000.0
THREADS = 8
ROWS: Listing[int] = Listing(lambda row: int(row["id"]), lambda row: row)


def at_once(task: Callable[[int], Any], times: int = THREADS) -> list[Any]:
    """Run a task in several threads, which begin together."""
    barrier = threading.Barrier(times)

    def run(number: int) -> Any:
        barrier.wait()
        return task(number)

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(run, range(times)))


@contextmanager
def serving(answer: Callable[[HttpRequest], HttpResponse]) -> Iterator[str]:
    """Serve answers at an address."""
    server = LoopbackServer(answer)
    try:
        yield server.url
    finally:
        server.stop()


def test_requests_at_once_do_not_exceed_a_quota() -> None:
    """A request is reserved before it is sent, so that the last one is given to one thread."""
    quota = Quota(1.0, lambda: NOW)
    quota.answered(RateLimit(3, 3, NOW + 60), counted=False)
    sent = threading.Barrier(3)

    def send(_number: int) -> bool:
        try:
            with quota.request():
                sent.wait(10)
                quota.answered(RateLimit(), counted=True)
        except RateLimitedError:
            return False
        return True

    assert sum(at_once(send)) == 3
    assert quota.counted == 3


def test_an_older_answer_that_comes_late_returns_no_requests() -> None:
    """Of the answers of one window, the one with the fewest requests left is the newest."""
    quota = Quota(1.0, lambda: NOW)
    for remaining in (5, 3, 4):
        quota.answered(RateLimit(10, remaining, NOW + 60), counted=False)
    assert quota.remaining == 3
    quota.answered(RateLimit(10, 10, NOW + 3660), counted=False)
    assert quota.remaining == 10


def test_new_work_waits_for_the_limit_of_a_minute() -> None:
    """Requests count for a minute, whether the vendor counts them otherwise or not."""
    now = NOW
    quota = Quota(1.0, lambda: now, per_minute=10)
    for _ in range(8):
        with quota.request():
            quota.answered(RateLimit(100, 100, NOW + 3600), counted=False)
        now += 1
    assert quota.pause(1) == pytest.approx(60 - 8)
    assert quota.pause(2) == pytest.approx(60 - 7)
    now += 52
    assert quota.pause(1) == 0.0


def test_refusals_at_once_are_one() -> None:
    """One 401 of each thread makes the first pause, and not that of as many attempts."""
    refusal = RefusedCredential()
    at_once(lambda _: refusal.check("a", NOW))
    at_once(lambda _: refusal.refuse("a", "refused"))
    with pytest.raises(CredentialsError):
        refusal.check("a", NOW + FIRST_RETRY_SECONDS - 1)
    refusal.check("a", NOW + FIRST_RETRY_SECONDS)


def test_a_late_refusal_does_not_concern_a_new_token() -> None:
    """A token that was replaced while a request was under way is not refused with the old one."""
    refusal = RefusedCredential()
    refusal.check("old", NOW)
    refusal.check("new", NOW)
    refusal.refuse("old", "refused")
    refusal.check("new", NOW)


@pytest.mark.slow
def test_a_client_reads_lists_in_many_threads() -> None:
    """Each thread has a session of its own while it needs one, and all share the ETags."""
    sessions: list[requests.Session] = []
    together = threading.Barrier(THREADS)

    def session() -> requests.Session:
        sessions.append(requests.Session())
        return sessions[-1]

    def answer(request: HttpRequest) -> HttpResponse:
        if request.headers.get("if-none-match"):
            return HttpResponse(304)
        together.wait(10)
        number = request.path.rpartition("/")[2]
        return HttpResponse(200, f'[{{"id": {number}}}]'.encode(), {"ETag": '"1"'})

    with serving(answer) as url:
        client = ListClient(url, HttpContext(session=session))
        for _ in range(2):
            found = at_once(lambda n: client.whole_list(f"/{n}", (), ROWS))
            assert found == [(number,) for number in range(THREADS)]
        assert len(sessions) == THREADS
        for each in sessions:
            each.close()


def test_a_pool_yields_results_as_they_come_and_raises_errors() -> None:
    """The caller's thread takes the results; an error of a task is raised there."""
    first = threading.Event()

    def slow() -> str:
        first.wait(10)
        return "slow"

    results = in_parallel([slow, lambda: "fast"])
    assert next(results) == "fast"
    first.set()
    assert list(results) == ["slow"]

    def broken() -> str:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(in_parallel([broken, lambda: "other"]))
    assert list(in_parallel([threading.current_thread])) == [threading.current_thread()]
