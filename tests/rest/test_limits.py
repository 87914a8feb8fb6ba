"""Rate limits as different vendors report them."""

from email.utils import formatdate

import pytest
from trunkwatch.rest.limits import (
    MAX_WAIT_SECONDS,
    UNKNOWN_WAIT_SECONDS,
    RateLimit,
    RateLimitHeaders,
)

NOW = 1_800_000_000.0
GITHUB = RateLimitHeaders("x-ratelimit-")
GITLAB = RateLimitHeaders("ratelimit-")
DRAFT = RateLimitHeaders("ratelimit-", reset_is_epoch=False)


def test_a_reset_is_a_time_or_seconds_from_now() -> None:
    """GitHub and GitLab name a time; the IETF's draft names seconds."""
    reset = {"x-ratelimit-reset": "1800000060", "ratelimit-reset": "1800000060"}
    assert GITHUB.read(reset, NOW).reset == GITLAB.read(reset, NOW).reset == NOW + 60
    assert DRAFT.read({"ratelimit-reset": "60"}, NOW).reset == NOW + 60


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("17", 17.0),
        (formatdate(NOW + 120, usegmt=True), 120.0),
        (formatdate(NOW - 120, usegmt=True), 0.0),
        ("soon", UNKNOWN_WAIT_SECONDS),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    """RFC 9110 allows both; another text is a wait of unknown length."""
    headers = {} if text is None else {"Retry-After": text}
    assert GITHUB.read(headers, NOW).retry_after == seconds


@pytest.mark.parametrize(
    ("limit", "wait"),
    [
        (RateLimit(), UNKNOWN_WAIT_SECONDS),
        (RateLimit(remaining=0, reset=NOW + 600), 600.0),
        (RateLimit(remaining=0, reset=NOW), UNKNOWN_WAIT_SECONDS),
        (RateLimit(remaining=1, reset=NOW + 600), UNKNOWN_WAIT_SECONDS),
        (RateLimit(remaining=0, reset=NOW + 600, retry_after=5.0), 5.0),
    ],
)
def test_the_wait_is_that_of_the_clearest_header(limit: RateLimit, wait: float) -> None:
    """Retry-After decides, then the reset of an exhausted window, then a default."""
    assert limit.wait(NOW) == wait


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1" + "0" * 20, MAX_WAIT_SECONDS),
        ("9" * 5000, MAX_WAIT_SECONDS),
        (str(int(MAX_WAIT_SECONDS)), MAX_WAIT_SECONDS),
        (str(int(MAX_WAIT_SECONDS) - 1), MAX_WAIT_SECONDS - 1),
        ("-5", UNKNOWN_WAIT_SECONDS),
        ("NaN", UNKNOWN_WAIT_SECONDS),
        ("1e400", UNKNOWN_WAIT_SECONDS),
        ("", UNKNOWN_WAIT_SECONDS),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_WAIT_SECONDS),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
        ("Mon, 99 Jan 2100 99:99:99 GMT", UNKNOWN_WAIT_SECONDS),
    ],
)
def test_an_absurd_wait_is_bounded(text: str, seconds: float) -> None:
    """Whatever Retry-After holds, the server is asked again within the hour."""
    limit = GITHUB.read({"Retry-After": text}, NOW)
    assert limit.wait(NOW) == seconds
    shown = "neither a number nor a date" if text in ("NaN", "") else text[:20]
    assert shown in limit.headers


@pytest.mark.parametrize("text", ["1800000060000", "4102444800", "9" * 400, "-1", "x", "٣"])
def test_an_absurd_reset_is_bounded(text: str) -> None:
    """Milliseconds, the year 2100 and numbers that no float holds are a wait of an hour at most."""
    headers = {
        "x-ratelimit-limit": "5000", "x-ratelimit-remaining": "0", "x-ratelimit-reset": text
    }  # fmt: skip
    limit = GITHUB.read(headers, NOW)
    assert 0 < limit.wait(NOW) <= MAX_WAIT_SECONDS
    assert "x-ratelimit-reset: " in limit.headers
