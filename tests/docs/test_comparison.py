"""docs/comparison.md shows the histories that tools/compare plays, and their right answers."""

import re

import pytest

from tests.docs import markdown
from tests.github.fake import T0, FakeGitHub
from tests.github.scenario import ExpectedOverTime
from tools import compare
from tools.compare_history import TRAPS, github_history

ANSWERS, *_ = (
    table[1:] for table in markdown.tables(markdown.read("docs/comparison.md"))
    if table[0][0] == "trap"
)  # fmt: skip


def test_each_trap_is_a_row() -> None:
    """The table has each trap with its results and its right answer, in the same order."""
    rows = [[row[0], row[1], _numbers(row[2])] for row in ANSWERS]
    assert rows == [
        [name, f"`{trap.results}`", list(map(str, trap.right))] for name, trap in TRAPS.items()
    ]


def test_the_right_answers_follow_from_the_policy() -> None:
    """The jobs of the history on GitHub have the streaks that the table calls right."""
    fake = FakeGitHub(T0)
    repo = fake.repos[github_history(fake, T0)]
    found: dict[str, list[int]] = {}
    for key, job in ExpectedOverTime(fake, repo).now().items():
        found.setdefault(key.job_name, []).append(job.consecutive_failures)
    assert {name: sorted(each) for name, each in found.items()} == {
        name: list(trap.right) for name, trap in TRAPS.items()
    }


@pytest.mark.live
@pytest.mark.slow
@pytest.mark.parametrize("program", ["trunkwatch", "trunkwatch-gitlab"])
def test_the_own_answers_are_those_shown(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The program answers every trap of its stand-in as the table shows."""
    compare.main([program, "--seconds", "8"])
    _, answers = markdown.tables(capsys.readouterr().out)
    source = compare.PROGRAMS[program].source
    wanted = [row for row in ANSWERS if source in TRAPS[row[0]].sources]
    assert [_numbers(row[3]) for row in answers[1:]] == [_numbers(row[3]) for row in wanted]


def _numbers(cell: str) -> list[str]:
    return re.findall(r"\d+", cell)
