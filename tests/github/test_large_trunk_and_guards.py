"""The large trunk has its stated size, and unsupported requests fail a test."""

import time
from itertools import pairwise

import pytest

from tests.github.client import Client
from tests.github.fake import T0, TOKEN, FakeGitHub
from tests.github.large_trunk import large_trunk
from tests.github.schema import SchemaError, Validator
from tests.github.server import serving_github
from tests.github.workflows import Job, Workflow

CI = Workflow("ci", ".github/workflows/ci.yml")


def test_the_large_trunk_has_its_stated_size() -> None:
    """Job names are unique, and a new commit's jobs end spread over its duration."""
    made = large_trunk(commits=12, workflows=20, jobs=450)
    assert len({(slot.workflow, slot.name) for slot in made.slots}) == 450
    rows = made.fake.expected_facts(made.repo)[1]
    assert len({(row.sha, row.job) for row in rows}) == 12 * 450
    assert all(row.finished for row in rows)
    assert {row.conclusion for row in rows} >= {"success", "failure", "timed_out"}
    tip = made.new_commit(made.fake.now, 3600, quiet=True)
    ended = []
    for minutes in (0, 15, 30, 45, 60):
        made.fake.now = tip.date + 60 * minutes
        ended.append(
            sum(r.finished for r in made.fake.expected_facts(made.repo)[1] if r.sha == tip.sha)
        )
    assert ended[0] == 0
    assert ended[-1] == 450
    assert all(before < after for before, after in pairwise(ended))


def test_the_large_trunk_is_reproducible() -> None:
    """The seed determines all random choices."""
    one, two, other = (large_trunk(8, 3, 40, seed=seed) for seed in (1, 1, 2))
    assert one.fake.expected_facts(one.repo) == two.fake.expected_facts(two.repo)
    assert one.fake.expected_facts(one.repo) != other.fake.expected_facts(other.repo)


def test_a_page_of_the_large_trunk_is_rendered_fast() -> None:
    """A page is rendered within 0.1 s, since each row is validated only once."""
    made = large_trunk(commits=2)
    with serving_github(made.fake) as server:
        client = Client(server, TOKEN, made.repo.full_name)
        client.get("/commits/main/check-runs", per_page=100)
        begun = time.process_time()
        for _ in range(20):
            client.get("/commits/main/check-runs", per_page=100)
        client.close()
        # Ten times the usual duration, so that the test passes on a busy machine.
        assert (time.process_time() - begun) / 20 < 0.1


# ---------------------------------------------------------------------- guards


def ask(fake: FakeGitHub, path: str) -> None:
    """Serve a fake GitHub for one request."""
    with serving_github(fake) as server:
        client = Client(server)
        assert client.response(path).status_code == 501
        client.close()


@pytest.mark.parametrize("path", ["/pulls", "/actions/runs?sort=asc", "/commits?path=x"])
def test_what_it_does_not_know_fails_the_test(fake: FakeGitHub, path: str) -> None:
    """An unsupported request fails the test when the server stops."""
    fake.repo("o/r").commit("first")
    with pytest.raises(AssertionError, match="/repos/o/r/"):
        ask(fake, path)


def test_an_answer_that_is_not_as_described_fails_the_test(
    fake: FakeGitHub,
) -> None:
    """A conclusion that GitHub's description does not have fails the test."""
    repo = fake.repo("o/r")
    repo.run(repo.commit("first", at=T0 - 9), CI, [Job("a", 0, 1, "on_fire")], at=T0 - 9)
    with pytest.raises(AssertionError, match="on_fire"):
        ask(fake, "/commits/main/check-runs")


def test_the_validator_checks_every_text() -> None:
    """The validity of one text does not carry over to another one."""
    validator = Validator()
    validator.check("GitUser", '{"name":"n"}')
    with pytest.raises(SchemaError, match="name"):
        validator.check("GitUser", '{"name":1}')
