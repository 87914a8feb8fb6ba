"""The product agrees with the letter: each vector, by way of the command line."""

import pytest

from tests.reference.compare import main, product_answer
from tests.support.each import for_each
from tests.support.examples import examples
from tests.vectors import NOW, Case, Name, Vector, load_cases, load_names, load_vectors

RANDOM_HISTORIES = 250
"""The usual number of histories (`examples`); `make test-all` compares ten thousand more."""


@for_each("vector", load_vectors(), ids=lambda vector: vector.id)
def test_history(vector: Vector) -> None:
    """`check --format json` gives the hand-checked answer for each history."""
    answer = product_answer(vector.lines(), vector.config(), NOW)
    assert vector.read_answer(answer) == vector.expect, vector.rule


@for_each("name", load_names(), ids=lambda name: name.id)
def test_name(name: Name) -> None:
    """`check --format json` shows each raw name under its hand-checked name, or not at all."""
    answer = product_answer(name.lines(), {"jobs": dict(name.jobs)}, NOW)
    assert name.read_answer(answer) == name.expect, name.rule


@for_each("case", load_cases(), ids=lambda case: case.id)
def test_case(case: Case) -> None:
    """`check --format json` gives the hand-checked jobs and groups of explicit lines."""
    answer = product_answer(case.lines(), case.config, NOW)
    assert case.read_answer(answer) == case.wanted(), case.rule
    if case.expect_groups is not None:
        assert case.read_groups(answer) == list(case.expect_groups), case.rule


@pytest.mark.slow
def test_random_histories(capsys: pytest.CaptureFixture[str]) -> None:
    """On random histories the product and the naive reading of the policy agree in everything."""
    disagreements = main(["--count", str(examples(RANDOM_HISTORIES)), "--show", "1"])
    assert disagreements == 0, capsys.readouterr().out
