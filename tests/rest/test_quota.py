"""The quota: used requests, remaining requests, and how they are spread."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trunkwatch.errors import RateLimitedError
from trunkwatch.rest.limits import (
    BATCH_REQUESTS,
    HISTORY_RESERVE_SHARE,
    HOUR,
    MIN_REFRESH_REQUESTS,
    UNKNOWN_WAIT_SECONDS,
    Quota,
    RateLimit,
    RateLimitHeaders,
    RefreshBudget,
)

from tests.support.clock import Clock
from tests.support.examples import examples

INTERVAL = 60.0


class Server:
    """Counts requests as GitHub does, and reports them in headers."""

    def __init__(self, quota: Quota, clock: Clock, limit: int = 5000) -> None:
        self.quota, self.clock, self.limit = quota, clock, limit
        self.used, self.reset = 0, clock.now + HOUR

    def answer(self, requests: int = 1, *, counted: bool = True, ours: bool = True) -> None:
        for _ in range(requests):
            if self.clock.now >= self.reset:
                self.used, self.reset = 0, self.reset + HOUR
            self.used += counted
            if ours:
                self.quota.answered(self.reported(), counted=counted)

    def reported(self) -> RateLimit:
        left = self.limit - self.used
        values = {"limit": self.limit, "remaining": left, "reset": int(self.reset)}
        headers = {f"x-ratelimit-{name}": str(value) for name, value in values.items()}
        return RateLimitHeaders("x-ratelimit-").read(headers, self.clock.now)


def made(share: float = 0.5, limit: int = 5000) -> tuple[Quota, Server, Clock]:
    clock = Clock(1_800_000_000.0)
    quota = Quota(share, clock)
    return quota, Server(quota, clock, limit), clock


def test_nothing_is_held_back_before_a_limit_is_known() -> None:
    """A GitHub Enterprise Server without rate limits reports none."""
    quota, _, _ = made()
    quota.answered(RateLimit(), counted=True)
    assert quota.available() == math.inf
    assert quota.remaining is None


def test_our_share_of_the_limit_is_what_may_be_used() -> None:
    """Half of 5,000 is 2,500 an hour, whoever else uses the rest."""
    quota, server, _ = made()
    server.answer(1)
    assert quota.available() == 2499
    server.answer(2498)
    assert quota.available() == 1
    server.answer(1)
    assert quota.available() == 0


def test_free_answers_use_nothing() -> None:
    """What GitHub does not count, we do not count."""
    quota, server, _ = made()
    server.answer(1000, counted=False)
    assert (quota.available(), quota.counted) == (2500, 0)


def test_what_was_used_comes_back_after_an_hour() -> None:
    """The budget is of any sixty minutes, not of a window that GitHub happens to begin."""
    quota, server, clock = made()
    server.answer(2500)
    clock.now += HOUR - 1
    assert quota.available() == 0
    clock.now += 1
    assert quota.available() == 2500


def test_of_what_others_left_over_our_share_is_used() -> None:
    """Somebody else may have spent most of the token's requests."""
    quota, server, _ = made()
    server.answer(4000, ours=False)
    server.answer(1)
    assert quota.available() == 499


def test_nothing_is_sent_while_github_asks_to_wait() -> None:
    """`Retry-After` and secondary limits hold for every request of the token."""
    quota, server, clock = made()
    server.answer(1)
    quota.block(clock.now + 30)
    assert quota.available() == 0
    assert quota.free_at() == clock.now + 30
    clock.now += 30
    assert quota.available() == 2499


def test_an_empty_window_says_when_it_begins_anew() -> None:
    """GitHub answers nothing before; there is no use in asking."""
    _, server, clock = made(share=1.0, limit=60)
    server.answer(59)
    assert server.reported().wait(clock.now) == UNKNOWN_WAIT_SECONDS
    server.answer(1)
    assert server.reported().wait(clock.now) == int(server.reset) - clock.now
    clock.now = server.reset
    assert server.reported().wait(clock.now) == UNKNOWN_WAIT_SECONDS


@settings(max_examples=examples(20))
@given(st.lists(st.integers(0, 200), min_size=1, max_size=100), st.sampled_from([0.1, 0.5]))
def test_no_hour_costs_more_than_the_budget(wishes: list[int], share: float) -> None:
    """However much is asked for at each refresh, any sixty minutes stay within the share."""
    quota, server, clock = made(share)
    sent: list[float] = []
    for wish in wishes:
        budget = RefreshBudget(quota, INTERVAL)
        for _ in range(wish):
            if budget.for_news():
                server.answer()
                sent.append(clock.now)
        clock.now += INTERVAL
    for end in set(sent):
        assert sum(end - HOUR < moment <= end for moment in sent) <= share * server.limit


def test_a_small_budget_is_spread_over_time() -> None:
    """The less is left, the less a refresh may spend, down to a few requests."""
    quota, server, _ = made()
    server.answer(1)
    first = _spent(RefreshBudget(quota, INTERVAL), server)
    later = [_spent(RefreshBudget(quota, INTERVAL), server) for _ in range(20)]
    assert 150 <= first <= 170
    assert later == sorted(later, reverse=True)
    assert later[-1] >= MIN_REFRESH_REQUESTS


def _spent(budget: RefreshBudget, server: Server) -> int:
    spent = 0
    while budget.for_news():
        server.answer()
        spent += 1
    return spent


def test_history_is_read_in_batches_and_leaves_a_reserve() -> None:
    """What happens now must not wait for what happened long ago."""
    quota, server, _ = made()
    server.answer(1)
    batches = 0
    while True:
        budget, spent = RefreshBudget(quota, INTERVAL), 0
        while budget.for_history():
            server.answer()
            spent += 1
        if not spent:
            break
        assert spent <= BATCH_REQUESTS
        batches += 1
    assert batches > 30
    assert quota.available() == HISTORY_RESERVE_SHARE * 2500


def test_a_restart_does_not_forget_what_was_spent() -> None:
    """Any sixty minutes stay within the budget, whatever is restarted in between."""
    quota, server, clock = made()
    for _ in range(30):
        server.answer(40)
        clock.now += INTERVAL
    again = Quota(0.5, clock)
    again.restore(quota.spent())
    again.answered(server.reported(), counted=False)
    assert again.available() <= quota.available() == 1300
    clock.now += HOUR + INTERVAL
    assert again.available() == 2500


@pytest.mark.parametrize("restart", [False, True])
def test_a_clock_that_was_ahead_leaves_nothing_behind(*, restart: bool) -> None:
    """Requests, resets and pauses of a future that was none are forgotten, over a restart too."""
    quota, server, clock = made()
    clock.now += 14 * HOUR
    server.answer(1250)
    quota.block(clock.now + HOUR, "GET /x: Retry-After: 3600")
    spent = quota.spent()
    clock.now -= 14 * HOUR
    if restart:
        quota = Quota(0.5, clock)
        quota.restore({**spent, 10**12: 10**12})
    quota.answered(RateLimit(5000, 5000, clock.now + HOUR), counted=False)
    assert quota.available() == 2500
    quota.check()


def test_a_pause_that_the_server_asked_for_is_not_called_our_share() -> None:
    """The error names the answer, and when the server is asked again."""
    quota, _, clock = made()
    quota.block(clock.now + 90, "GET /x: Retry-After: 90")
    with pytest.raises(RateLimitedError, match=r"GET /x: Retry-After: 90; .* again after 90 s"):
        quota.check()
