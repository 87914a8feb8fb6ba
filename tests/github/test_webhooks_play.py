"""Webhooks in any order, twice, late or not at all say the same in the end as polling."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.github.faults import Faults
from tests.github.hearing import BEGIN, END, REPO, Listening, listening, notes_of, told
from tests.github.player import playing, what_differs
from tests.github.story import story
from tests.github.watch import SOURCE, settle
from tests.github.watch import play as play_along
from tests.github.webhooks import deliveries
from tests.support.examples import examples

pytestmark = pytest.mark.slow

SHORT = 14
"""Commits of the story of which webhooks tell: four of them come while it is played."""

# ---------------------------------------------------------------------- the same as polling

PLACES = range(len(told()))


@settings(max_examples=examples(20))
@given(
    order=st.permutations(PLACES),
    lost=st.sets(st.sampled_from(PLACES)),
    twice=st.sets(st.sampled_from(PLACES)),
    polls=st.lists(st.tuples(st.sampled_from(PLACES), st.integers(0, 6)), max_size=3),
)
def test_any_order_twice_and_with_some_missing(
    order: list[int], lost: set[int], twice: set[int], polls: list[tuple[int, int]]
) -> None:
    """Whatever order deliveries come in, some twice, some never, with refreshes between and around
    them: when polling has healed what was lost, everything is as it is.
    """
    arriving = [told()[place] for place in order if place not in lost]
    arriving += [told()[place] for place in sorted(twice)]
    with listening() as play:
        play.player.world.now = END
        inside = dict(polls)
        while arriving:
            if len(arriving) in inside:
                number = inside[len(arriving)]
                play.refresh_while(arriving[:number])
                arriving = arriving[number:] if number else arriving[1:]
            else:
                play.take(arriving.pop(0))
        assert play.healed() == {}


@settings(max_examples=examples(12))
@given(
    delays=st.lists(
        st.sampled_from([0.0, 1.0, 30.0, 300.0, 2000.0, None]),
        min_size=len(told()),
        max_size=len(told()),
    ),
    every=st.sampled_from([60.0, 300.0, 1200.0]),
)
def test_late_deliveries_beside_polls(delays: list[float | None], every: float) -> None:
    """Deliveries that come late or never, while GitHub is polled often or seldom, heal likewise."""
    pairs = zip(told(), delays, strict=True)
    arrivals = [(each.at + late, place) for place, (each, late) in enumerate(pairs)
                if late is not None]  # fmt: skip
    with listening() as play:
        world = play.player.world
        events = sorted(arrivals + [(at, -1) for at in polls_at(every)])
        for world.now, place in events:
            if place < 0:
                play.player.refresh()
            else:
                play.take(told()[place])
        world.now = max(world.now, END)
        assert play.healed() == {}


def polls_at(every: float) -> list[float]:
    """Return the moments at which GitHub is polled."""
    return [BEGIN + every * number for number in range(1, int((END - BEGIN) / every) + 1)]


@pytest.mark.parametrize("seed", [1, 2])
def test_webhooks_beside_polls_that_fail_never_invent(seed: int) -> None:
    """Hours of deliveries of which some are late, some lost and some come twice, and of polls of
    which some fail: no outage opens or closes that did not, and the end is right.
    """
    chance = Random(seed)
    past = story(SHORT, shards=4)
    arriving = [
        (each.at + chance.choice([0, 0, 5, 200, 900]), place, each)
        for place, each in enumerate(deliveries(past.world, past.begin, past.end))
        if each.event != "check_run"
        for _ in range(chance.choice([0, 1, 1, 1, 2]))
    ]
    arriving.sort(reverse=True)
    with playing(past.world, REPO, SOURCE) as player:
        player.refresh_to_the_end()
        player.server.faults = Faults(0.05, seed)
        hearing = Listening(player)

        def step() -> None:
            while arriving and arriving[-1][0] <= player.world.now:
                hearing.take(arriving.pop()[2])
            player.refresh()

        assert play_along(player, past.end, step).wrong == []
        assert settle(player) == {}


def test_without_polls() -> None:
    """While only pushes are followed by a refresh, each of the other deliveries says at once what
    a poll would have said.
    """
    with listening() as play:
        for each in told():
            play.player.world.now = each.at
            looks = play.looks
            play.take(each)
            if play.looks > looks:
                play.player.refresh()
        play.player.world.now = END
        # Only annotations tell which of the cancelled jobs hung: a refresh asks for them.
        assert {key.partition(":")[0] for key in play.differs()} == {"slow / cut", "slow / hangs"}
        play.player.refresh()
        assert play.differs() == {}


def test_what_is_known_already_changes_nothing() -> None:
    """When everything has been read, deliveries that come late, the newest first, leave the rows
    and the notes as they are.
    """
    with listening() as play:
        play.player.world.now = END
        assert play.healed() == {}
        before, state = notes_of(play), play.player.jobs()
        for each in reversed(told()):
            play.take(each)
        assert notes_of(play) == before
        assert what_differs(play.player.jobs(), state) == {}
