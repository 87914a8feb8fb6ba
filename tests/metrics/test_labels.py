"""Long values of labels are cut in one place, and stay unique."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.metrics.exposition import PLAIN, Exposition
from trunkwatch.metrics.lines import Labels
from trunkwatch.poller.totals import Counters

from tests.metrics.sample import bare_trunk, main_trunk, snapshot

LIMIT = 64


def test_a_value_is_cut_above_the_limit() -> None:
    """A value of the limit is whole; a longer one is as long, and counted once."""
    counted: list[int] = []
    labels = Labels(LIMIT, lambda: counted.append(1))
    assert labels.text("x" * LIMIT) == "x" * LIMIT
    assert labels.text("é" * (LIMIT // 2)) == "é" * (LIMIT // 2)
    assert not counted
    for _ in range(2):
        cut = labels.text("x" * (LIMIT + 1))
        assert cut.startswith("x" * 43 + "~")
        assert len(cut) == LIMIT
    assert len(counted) == 1


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=120), unique=True, max_size=5))
def test_cut_values_stay_unique(values: list[str]) -> None:
    """Different values have different texts of at most the limit, cut texts as values included."""
    labels = Labels(LIMIT)
    plain = [value for value in values if not set(value) & {"\\", '"', "\n"}]
    cut = [labels.text(value) for value in plain]
    every = list(dict.fromkeys([*plain, *cut]))
    texts = [labels.text(value) for value in every]
    assert all(len(text.encode()) <= LIMIT for text in texts)
    changed = [value for value in every if labels.text(value) != value]
    assert len({labels.text(value) for value in changed}) == len(changed)
    kept = set(every) - set(changed)
    assert not kept & {labels.text(value) for value in changed}


def test_every_family_is_cut() -> None:
    """Jobs, trunks and Trunkwatch's own families have no longer value; a new limit is taken."""
    long = "é" * 300
    main = main_trunk()
    jobs = (replace(main.jobs[0], key=main.jobs[0].key._replace(job_name=long)), *main.jobs[1:])
    shown = replace(snapshot(), trunks=(replace(main, jobs=jobs), bare_trunk()))
    counters = Counters()
    counters.add("trunkwatch_unknown_conclusions_total", "o/r", "main", long)
    exposition = Exposition(lambda: shown, counters.totals, "0", Labels(LIMIT))
    text = exposition.body(PLAIN, zipped=False).decode()
    assert long[:30] not in text
    # The facts of an outage, which have a limit of their own, end with a whole line.
    assert "Last good: 0000000000000000000000000000000000000003\\nFirst failing run: " in text
    assert f'job_name="{long[:21]}~' in text
    assert f'conclusion="{long[:21]}~' in text
    exposition.use(Labels(LIMIT * 10))
    exposition.update()
    text = exposition.body(PLAIN, zipped=False).decode()
    assert f'job_name="{long}"' in text
    assert f'conclusion="{long}"' in text
