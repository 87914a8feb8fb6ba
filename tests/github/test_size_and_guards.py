"""The stand-in plays a trunk of a framework's size, and lets nothing pass that it must not."""

import time
from itertools import pairwise

import pytest

from tests.github.client import Client
from tests.github.framework import framework
from tests.github.plan import Job, Workflow
from tests.github.server import serving_github
from tests.github.validate import NotAsDescribedError, Validator
from tests.github.world import T0, TOKEN, World

CI = Workflow("ci", ".github/workflows/ci.yml")


def test_the_framework_is_as_large_as_it_says() -> None:
    """Every job has a name of its own, and a new commit's jobs end spread over its duration."""
    made = framework(commits=12, workflows=20, jobs=450)
    assert len({(slot.workflow, slot.name) for slot in made.slots}) == 450
    rows = made.world.truth(made.repo)[1]
    assert len({(row.sha, row.job) for row in rows}) == 12 * 450
    assert all(row.finished for row in rows)
    assert {row.conclusion for row in rows} >= {"success", "failure", "timed_out"}
    tip = made.new_commit(made.world.now, 3600, quiet=True)
    ended = []
    for minutes in (0, 15, 30, 45, 60):
        made.world.now = tip.date + 60 * minutes
        ended.append(sum(r.finished for r in made.world.truth(made.repo)[1] if r.sha == tip.sha))
    assert ended[0] == 0
    assert ended[-1] == 450
    assert all(before < after for before, after in pairwise(ended))


def test_the_framework_is_the_same_every_time() -> None:
    """The seed decides all that is left to chance."""
    one, two, other = (framework(8, 3, 40, seed=seed) for seed in (1, 1, 2))
    assert one.world.truth(one.repo) == two.world.truth(two.repo)
    assert one.world.truth(one.repo) != other.world.truth(other.repo)


def test_a_framework_s_page_is_rendered_fast() -> None:
    """A thousand pages cost seconds, since a row that was validated is not validated again."""
    made = framework(commits=2)
    with serving_github(made.world) as server:
        client = Client(server, TOKEN, made.repo.full_name)
        client.get("/commits/main/check-runs", per_page=100)
        begun = time.process_time()
        for _ in range(20):
            client.get("/commits/main/check-runs", per_page=100)
        client.close()
        # Ten times what it takes, so that a busy machine does not fail it.
        assert (time.process_time() - begun) / 20 < 0.1


# ---------------------------------------------------------------------- guards


def ask(world: World, path: str) -> None:
    """Serve a world for one request."""
    with serving_github(world) as server:
        client = Client(server)
        assert client.answer(path).status_code == 501
        client.close()


@pytest.mark.parametrize("path", ["/pulls", "/actions/runs?sort=asc", "/commits?path=x"])
def test_what_it_does_not_know_fails_the_test(world: World, path: str) -> None:
    """A request that the stand-in can only guess at is an error at the end."""
    world.repo("o/r").commit("first")
    with pytest.raises(AssertionError, match="/repos/o/r/"):
        ask(world, path)


def test_an_answer_that_is_not_as_described_fails_the_test(
    world: World,
) -> None:
    """GitHub's own description knows no such conclusion of a job."""
    repo = world.repo("o/r")
    repo.run(repo.commit("first", at=T0 - 9), CI, [Job("a", 0, 1, "on_fire")], at=T0 - 9)
    with pytest.raises(AssertionError, match="on_fire"):
        ask(world, "/commits/main/check-runs")


def test_the_validator_looks_at_every_text() -> None:
    """A valid text does not make another one valid."""
    validator = Validator()
    validator.check("GitUser", '{"name":"n"}')
    with pytest.raises(NotAsDescribedError, match="name"):
        validator.check("GitUser", '{"name":1}')
