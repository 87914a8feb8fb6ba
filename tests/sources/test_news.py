"""Which trunks a refresh reads when webhooks report news of some."""

import pytest
from trunkwatch.sources.news import News

KEYS = ("a", "b", "c")
NOW = 1_700_000_000.0


@pytest.fixture
def news() -> News:
    """Return what follows a poll of all trunks at `NOW`."""
    news = News(60.0)
    assert news.take(KEYS, NOW) == (frozenset(KEYS), None)
    return news


def test_without_news_all_are_read(news: News) -> None:
    """A refresh that no webhook asked for reads every trunk, however early it is."""
    assert news.take(KEYS, NOW + 1) == (frozenset(KEYS), None)


def test_a_trunk_with_news_is_read_alone(news: News) -> None:
    """The poll of the others keeps its time; a trunk that is not read any more is no news."""
    news.add("b")
    news.add("gone")
    assert news.take(KEYS, NOW + 15) == (frozenset("b"), 45.0)


@pytest.mark.parametrize(("seconds", "read", "wait"), [(9.0, "", 1.0), (10.0, "a", 50.0)])
def test_news_wait_ten_seconds(news: News, seconds: float, read: str, wait: float) -> None:
    """Events of one trunk in quick succession share a refresh."""
    news.add("a")
    assert news.take(KEYS, NOW + seconds) == (frozenset(read), wait)
    later = frozenset("a") if not read else frozenset(KEYS)
    assert news.take(KEYS, NOW + seconds + wait)[0] >= later


@pytest.mark.parametrize("now", [NOW + 60, NOW - 5000])
def test_a_poll_that_is_due_reads_all(news: News, now: float) -> None:
    """News do not put off the poll, nor does a clock that was set back."""
    news.add("a")
    assert news.take(KEYS, now) == (frozenset(KEYS), None)
