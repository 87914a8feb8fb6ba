"""Shards, ignored jobs and groups of a proposed configuration."""

from collections.abc import Mapping

import pytest
from trunkwatch.config import parse_config
from trunkwatch.config.policy import policy_of
from trunkwatch.config.proposal import Evaluated, Read, Survey, plan_of, text_of
from trunkwatch.config.proposal.literal import scalar
from trunkwatch.config.proposal.shards import Named
from trunkwatch.config.schema import Config
from trunkwatch.config.sources import GithubSource

SOURCE = GithubSource(name="github", type="github", repo="o/r")
READ = Read(SOURCE, "trunk")


def survey(
    *names: str,
    allowed: tuple[str, ...] = (),
    runs: Mapping[str, Mapping[str, int]] | None = None,
    others: tuple[Named, ...] = (),
) -> Survey:
    jobs = {Named("ci", name) for name in names}
    failed = frozenset(Named("ci", name) for name in allowed)
    found = {"ci": {"push": 9}} if runs is None else runs
    return Survey("o/r", "main", 9, found, frozenset(jobs | {*others} | failed), failed)


def config_of(found: Survey) -> Config:
    """Return the proposed configuration, which passes every check."""
    return parse_config(text_of(found, plan_of(found), READ, Evaluated()), "t.yml")


def watched(found: Survey) -> dict[str, str | None]:
    """Return the watched name of each job under the proposed configuration."""
    naming = policy_of(config_of(found)).naming
    return {each.name: naming.resolve(*each) for each in sorted(found.names)}


@pytest.mark.parametrize(
    ("names", "folded"),
    [
        (["test (1)", "test (2)", "test (3)"], "test"),
        (["test (0)", "test (1)", "test (2)"], "test"),
        (["test (1/2)", "test (2/2)"], "test"),
        (["test 1/2", "test 2/2"], "test"),
        (["test (1, 2)", "test (2, 2)"], "test"),
        (["test 1 of 2", "test 2 of 2"], "test"),
        (["test (shard 1)", "test (shard 2)"], "test"),
        (["test [Shard 1/2]", "test [Shard 2/2]"], "test"),
        (["test shard-0", "test shard-1"], "test"),
        (["test (ubuntu, 1, 2)", "test (ubuntu, 2, 2)"], "test (ubuntu)"),
        (["test (1, 2, ubuntu)", "test (2, 2, ubuntu)"], "test (ubuntu)"),
        (["test (ubuntu, 1/2)", "test (ubuntu, 2/2)"], "test (ubuntu)"),
        (["test (1/2, ubuntu)", "test (2/2, ubuntu)"], "test (ubuntu)"),
        (["test (ubuntu, part 1)", "test (ubuntu, part 2)"], "test (ubuntu)"),
        (["test (part 1, ubuntu)", "test (part 2, ubuntu)"], "test (ubuntu)"),
        (
            ["a / test (x, 1, 2, linux.4xlarge)", "a / test (x, 2, 2, linux.4xlarge)"],
            "a / test (x)",
        ),
    ],
)
def test_shards_are_folded_into_their_job(names: list[str], folded: str) -> None:
    """However the number of a part is written, the parts become one job; others stay."""
    found = watched(survey(*names, "lint", "build (3.11)"))
    expected = {**dict.fromkeys(names, folded), "lint": "lint", "build (3.11)": "build (3.11)"}
    assert found == expected


@pytest.mark.parametrize(
    "names",
    [
        ["test (3.10)", "test (3.11)", "test (3.12)"],
        ["test (18)", "test (20)", "test (22)"],
        ["test (py3, 11)", "test (py3, 12)"],
        ["test (1)", "test (2)"],
        ["test (1)", "test (2)", "test (4)"],
        ["test v1", "test v2", "test v3"],
        ["test (3, 11)", "test (3, 12)"],
        ["test (1)", "test (2)", "test (3)", "test"],
        ["stage 1", "stage 2"],
        # More digits than Python reads.
        [f"test ({'1' * 5000})", "test (2)", "test (3)"],
        [f"test (a, {'1' * 5000}, {'1' * 5000}, linux)", "test (a, 2, 2, linux)"],
    ],
)
def test_versions_and_gaps_are_no_shards(names: list[str]) -> None:
    """Numbers that do not count the parts of one job stay in its name."""
    assert watched(survey(*names)) == {name: name for name in names}


def test_one_rule_never_folds_what_is_not_a_shard() -> None:
    """Where the general rule would fold another job too, each job has a rule of its own."""
    shards = ["test (1)", "test (2)", "test (3)"]
    found = watched(survey(*shards, "node (18)", "node (20)"))
    assert found == {
        **dict.fromkeys(shards, "test"),
        "node (18)": "node (18)",
        "node (20)": "node (20)",
    }


def test_jobs_that_may_fail_are_ignored() -> None:
    """They are those that failed in a successful run, and those whose name states it."""
    allowed = ("next (1)", "next (2)", "edge")
    found = survey("lint", "docs (allow failure)", allowed=allowed)
    assert watched(found) == {
        **dict.fromkeys(allowed), "docs (allow failure)": None, "lint": "lint"
    }  # fmt: skip
    assert plan_of(found).ignored[-1].pattern == r"next \(\d+\)"


@pytest.mark.parametrize(
    ("name", "watched_as"),
    [
        ("edge", "edge"),
        ("linux / test (default, 1, 3, linux.2xlarge)", "linux / test (default)"),
        ("linux / test (default, 1, 3)", "linux / test (default)"),
    ],
)
def test_no_job_of_another_workflow_is_ignored(name: str, watched_as: str) -> None:
    """A name that another workflow has too is named in a comment instead, folded or not."""
    shards = [f"linux / test (default, {n}, 3, linux.2xlarge)" for n in (2, 3)]
    ignored = "linux / test (default, 1, 3, linux.2xlarge, unstable)"  # by the preset
    others = (Named("release", name), Named("release", ignored))
    found = survey("lint", *shards, allowed=(name, ignored), others=others)
    assert watched(found)[name] == watched_as
    assert plan_of(found).not_ignored == (Named("ci", name),)
    assert watched(found)[ignored] is None
    comment = f"# ci / {name} is allowed to fail, and is not ignored"
    assert comment in text_of(found, plan_of(found), READ, Evaluated())


@pytest.mark.parametrize(
    ("events", "groups"),
    [
        ({"push": 9}, [("ci", None, 3, "commits", "P2")]),
        ({"push": 9, "workflow_dispatch": 1}, [("ci", None, 3, "commits", "P2")]),
        ({"schedule": 4}, [("ci", None, 2, "runs", "P3")]),
        ({"workflow_dispatch": 4}, [("ci", None, 2, "runs", "P3")]),
        (
            {"push": 9, "schedule": 4},
            [("ci schedule", "schedule", 2, "runs", "P3"), ("ci", None, 3, "commits", "P2")],
        ),
    ],
)
def test_nightly_runs_are_counted_by_themselves(
    events: dict[str, int], groups: list[tuple[object, ...]]
) -> None:
    """Runs by the clock have a lower N, and a group of their own beside those of commits."""
    config = config_of(survey("a", runs={"ci": events}))
    found = [
        (each.name, each.match.event and each.match.event.text, each.failures_to_open,
         str(each.count), each.priority)
        for each in config.groups
    ]  # fmt: skip
    assert found == groups


@pytest.mark.parametrize(
    "name",
    ["yes", "null", "a: b", "it's", "#1", "a\nb", "\u202e", "{x}", "*", "default", " ", "試" * 90],
)
def test_every_workflow_name_makes_a_valid_file(name: str) -> None:
    """A name may be anything; its group matches it alone, and takes no reserved name."""
    runs = {name: {"push": 1, "schedule": 1}, f"{name}{name}": {"push": 1}}
    config = config_of(survey("a", runs=runs))
    patterns = [group.match.workflow for group in config.groups]
    assert [bool(each and each.fullmatch(name)) for each in patterns] == [True, True, False]
    assert "default" not in [group.name for group in config.groups]
    assert "\n" not in scalar(name)
