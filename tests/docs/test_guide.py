"""The walks of CONTRIBUTING.md work: each is followed to the letter on a copy of the tree."""

from pathlib import Path

import pytest

from tests.docs.guide import Copy, changed, steps_of

WALKS = ("Add a source", "Add a metric", "Add an alert")


@pytest.mark.slow
@pytest.mark.parametrize("walk", WALKS)
def test_a_walk_applies(walk: str, tmp_path: Path) -> None:
    """Every block applies to the file of its step."""
    copy = Copy(tmp_path)
    edits = [step for step in steps_of(walk) if step.language != "sh"]
    assert len(edits) > 2
    for step in edits:
        copy.follow(step)


@pytest.mark.slow
@pytest.mark.large
@pytest.mark.parametrize("walk", WALKS)
def test_a_walk_ends_green(walk: str, tmp_path: Path) -> None:
    """The commands of the walk pass, those at the end among them."""
    copy = Copy(tmp_path)
    steps = list(steps_of(walk))
    for step in steps:
        copy.follow(step)
    assert "make lint" in steps[-1].text
    assert "pytest" in steps[-1].text


def test_a_diff_is_applied_where_its_context_is() -> None:
    """Added lines come after the context, removed lines go, in each hunk."""
    diff = " b\n+c\n@@\n-d\n+e\n"
    assert changed("a\nb\nd\n", diff) == "a\nb\nc\ne\n"


@pytest.mark.parametrize("diff", [" x\n+y\n", " a\n+y\n"])
def test_a_diff_without_one_place_is_refused(diff: str) -> None:
    """A context that the text does not have, or has twice, fails the walk."""
    with pytest.raises(AssertionError, match="places look like this"):
        changed("a\na\n", diff)
