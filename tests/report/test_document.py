"""The JSON object, key by key."""

import json
from dataclasses import replace
from typing import Any

import pytest
from trunkwatch.domain.model import Trunk
from trunkwatch.engine.snapshot import TrunkSource, unread_trunk
from trunkwatch.patterns import Pattern
from trunkwatch.report.document import compare_link, document, document_of_trunks

from tests.domain.builders import NOW, TRUNK, evaluate_histories, job_state, row
from tests.report.sample import COMPARE, POLICY, SOURCE, snapshot, state
from tests.vectors.notation import sha_of

SLOW = TrunkSource("ci", True, NOW, 120.0)
DOCUMENT = document(snapshot(), COMPARE, NOW)


def job(name: str) -> dict[str, Any]:
    (found,) = [each for each in DOCUMENT["jobs"] if each["job_name"] == name]
    return dict(found)


def test_the_whole_of_a_broken_job() -> None:
    """A job has exactly these keys, in this order, with numbers in commits and times in UTC."""
    assert list(job("a / broken").items()) == [
        ("repo", "o/r"),
        ("branch", "main"),
        ("workflow", "ci"),
        ("job_name", "a / broken"),
        ("group", "g"),
        ("failures_to_open", 3),
        ("consecutive_failures", 3),
        ("stopped_by", "pass"),
        ("truncated", False),
        ("broken", True),
        ("failures_in_outage", 3),
        ("first_bad", sha_of(3)),
        ("last_good", sha_of(1)),
        ("suspects", 2),
        ("tested_suspects", 1),
        (
            "suspect_commits",
            [
                {
                    "sha": sha_of(2),
                    "author": "author-2",
                    "title": "change 2",
                    "state": ".",
                    "rank": 2,
                    "evidence": "unknown",
                    "reason": None,
                },
                {
                    "sha": sha_of(3),
                    "author": "author-3",
                    "title": "change 3",
                    "state": "F",
                    "rank": 1,
                    "evidence": "failed",
                    "reason": "failed there",
                },
            ],
        ),
        ("broken_since", "2026-03-01T09:16:00Z"),
        ("url", "https://ci.example/401/1/1"),
        ("compare_url", f"https://git.example/compare/{sha_of(1)}...{sha_of(3)}"),
        ("failed_step", None),
        ("annotations", []),
        ("same_step", None),
        ("infra", False),
        ("confirmed", False),
        ("next_test", {"sha": sha_of(2), "state": ".", "results": 1}),
        ("also_broken_since", []),
        ("pending_commits", 0),
        ("flaky_commits", 0),
        ("mostly_flaky", False),
        ("last_verdict", "FAIL"),
        ("known_broken", None),
        ("last_outage", None),
    ]


def test_the_whole_of_a_group() -> None:
    """A group has exactly these keys: its longest streak, and how many jobs make it fire."""
    assert DOCUMENT["groups"][1] == {
        "repo": "o/r",
        "branch": "main",
        "group": "g",
        "team": "team-g",
        "priority": "P2",
        "consecutive_failures": 3,
        "failure_threshold": 1,
        "jobs_failing": 1,
        "firing": True,
    }


def test_the_whole_of_a_source() -> None:
    """A source has its status and its last success, which is null if it never succeeded."""
    never = replace(SOURCE, name="other", up=False, last_success=None, problem="refused")
    assert document(snapshot(SOURCE, never), {}, NOW)["sources"] == [
        {"source": "ci", "up": True, "last_success": "2026-03-01T11:59:00Z"},
        {"source": "other", "up": False, "last_success": None},
    ]


def test_the_whole_of_a_trunk() -> None:
    """A trunk has its head, the age of its data, and whether they can be relied on."""
    policy = replace(POLICY, green={TRUNK: (Pattern("ci / a"),)})
    green = replace(evaluate_histories({"a": "P P F"}, policy), data_at=NOW - 300.0)
    assert document(replace(snapshot(), trunks=(green,)), {}, NOW)["trunks"] == [
        {
            "repo": "o/r",
            "branch": "main",
            "head": sha_of(2),
            "data": "fresh",
            "data_at": "2026-03-01T11:55:00Z",
            "up": True,
            "problem": None,
            "missing_results": 0,
            "inactive_workflows": [],
            "mass_breakage": False,
            "commits_since_green": 1,
            "last_green": sha_of(1),
        }
    ]


@pytest.mark.parametrize(
    ("changes", "data"),
    [
        ({"data_at": NOW - 300.0}, "fresh"),
        ({"data_at": NOW - 301.0}, "stale"),
        ({"data_at": None}, "stale"),
        ({"missing": 3}, "doubtful"),
        ({"missing": 3, "data_at": None}, "doubtful"),
        ({"data_at": NOW - 600.0, "sources": (SLOW,)}, "fresh"),
        ({"data_at": NOW - 601.0, "sources": (SLOW,)}, "stale"),
    ],
)
def test_data_are_fresh_stale_or_doubtful(changes: dict[str, Any], data: str) -> None:
    """Data older than five polls and five minutes are stale; without results, doubtful."""
    shown = replace(snapshot(), trunks=(replace(state(), **changes),))
    assert document(shown, {}, NOW)["trunks"][0]["data"] == data


def test_a_trunk_that_was_never_read() -> None:
    """It is listed with nulls and its problem."""
    unread = replace(unread_trunk(TRUNK), sources=(replace(SLOW, up=False, problem="empty"),))
    (found,) = document(replace(snapshot(), trunks=(unread,)), {}, NOW)["trunks"]
    assert (found["head"], found["data_at"], found["last_green"]) == (None, None, None)
    assert (found["up"], found["problem"], found["data"]) == (False, "empty", "stale")


def test_the_sources_of_one_trunk() -> None:
    """The object of one trunk has its own sources alone, up where they have read this trunk."""
    other = replace(SOURCE, name="other")
    mine = replace(state(), sources=(TrunkSource("ci", False, NOW, 60.0, "gone"),))
    shown = replace(snapshot(SOURCE, other), trunks=(mine,))
    found = document_of_trunks(shown, [mine], {}, NOW)["sources"]
    assert [(each["source"], each["up"]) for each in found] == [("ci", False)]


def test_the_whole() -> None:
    """The object has seven keys, is plain JSON, and its jobs are in the order of urgency."""
    assert list(DOCUMENT) == [
        "as_of",
        "external_url",
        "triage",
        "sources",
        "trunks",
        "groups",
        "jobs",
    ]
    assert DOCUMENT["as_of"] == "2026-03-01T12:00:00Z"
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT
    names = [each["job_name"] for each in DOCUMENT["jobs"]]
    assert names == ["a / broken", "d / exempt", "b / failing", "c / well"]
    assert [each["group"] for each in DOCUMENT["groups"]] == ["default", "g"]


def test_a_streak_is_described_without_an_outage() -> None:
    """With no outage open, first bad, last good and suspects are those of the streak."""
    found = job("b / failing")
    assert (found["broken"], found["failures_in_outage"]) == (False, 0)
    assert (found["first_bad"], found["last_good"], found["suspects"]) == (sha_of(4), sha_of(3), 1)


def test_nothing_to_describe_is_null() -> None:
    """A job that is well has nulls where an outage would be described, and no suspects."""
    found = job("c / well")
    described = (
        "first_bad", "last_good", "suspects", "tested_suspects", "next_test", "broken_since", "url",
        "compare_url", "failed_step", "same_step", "infra", "confirmed",
    )  # fmt: skip
    assert {key: found[key] for key in described} == dict.fromkeys(described)
    assert found["suspect_commits"] == found["also_broken_since"] == found["annotations"] == []


def test_what_the_first_failing_run_says_is_told() -> None:
    """Its annotations are a list of lines."""
    rows = [row(1, "a / x", "failure", annotations=("out of memory", "killed"))]
    trunks = (evaluate_histories({"c": "P F"}, POLICY, extra=rows),)
    found = document(replace(snapshot(), trunks=trunks), {}, NOW)["jobs"]
    assert [each["annotations"] for each in found] == [["out of memory", "killed"], []]


def test_hints_are_told() -> None:
    """The object has the retry at first bad, the common step and the jobs of other groups."""
    rows = [
        *(row(place, "a / x", "failure", failed_step="Set up job") for place in (1, 2, 3)),
        row(1, "a / x", "failure", attempt=2, failed_step="Set up job"),
    ]
    trunks = (evaluate_histories({"c": "P F F F"}, POLICY, extra=rows),)
    found = document(replace(snapshot(), trunks=trunks), {}, NOW)["jobs"]
    keys = "confirmed", "same_step", "infra", "also_broken_since"
    assert [[each[key] for key in keys] for each in found] == [
        [True, "Set up job", True, ["ci / c"]],
        [False, None, False, ["ci / a / x"]],
    ]


def test_an_unknown_last_good_is_null() -> None:
    """Without a last good the suspects are null and not zero, and nothing is compared."""
    found = job("d / exempt")
    assert found["first_bad"] == sha_of(0)
    assert found["last_good"] is found["suspects"] is found["compare_url"] is None
    assert found["tested_suspects"] is None
    assert found["suspect_commits"] == []


def test_an_exemption_is_told() -> None:
    """A known-broken job gives the reason and the end, and its group does not fire for it."""
    assert job("d / exempt")["known_broken"] == {
        "reason": "no runner",
        "until": "2026-03-02T12:00:00Z",
    }
    assert job("d / exempt")["broken"]
    assert DOCUMENT["groups"][0]["firing"] is False


def test_an_exemption_without_an_end_is_told() -> None:
    """An exemption for ever has a null for its end."""
    (each,) = [each for each in state().jobs if each.known_broken]
    endless = replace(each, known_broken=("no runner", None))
    shown = replace(snapshot(), trunks=(replace(state(), jobs=(endless,)),))
    assert document(shown, {}, NOW)["jobs"][0]["known_broken"] == {
        "reason": "no runner",
        "until": None,
    }


def test_a_job_without_a_verdict() -> None:
    """A job that never answered is listed, its last verdict is null."""
    found = document(replace(snapshot(), trunks=(evaluate_histories({"job": "- ?"}),)), {}, NOW)[
        "jobs"
    ][0]
    assert (found["last_verdict"], found["stopped_by"], found["pending_commits"]) == (
        None,
        "window",
        1,
    )


def test_one_trunk_alone() -> None:
    """Asked for some trunks the object has no jobs or groups of others."""
    other = evaluate_histories({"x": "P"})
    both = replace(snapshot(), trunks=(state(), other))
    found = document_of_trunks(both, [other], COMPARE, NOW)
    assert [each["job_name"] for each in found["jobs"]] == ["x"]
    assert [each["group"] for each in found["groups"]] == ["default"]
    assert len(document(both, COMPARE, NOW)["jobs"]) == len(state().jobs) + 1


def test_all_suspects_are_named() -> None:
    """The object names every suspect, also where metrics show the first ten only."""
    many = evaluate_histories({"job": f"P {'. ' * 30}F F F"})
    found = document(replace(snapshot(), trunks=(many,)), {}, NOW)["jobs"][0]
    assert found["suspects"] == len(found["suspect_commits"]) == 31


@pytest.mark.parametrize("text", ["P F F F", "F F F", "P P"])
def test_a_comparison_needs_both_ends(text: str) -> None:
    """A compare link exists where the trunk has a template and both ends exist."""
    blame, template = job_state(text).blame, COMPARE[Trunk("o/r", "main")]
    linked = compare_link(blame, template)
    assert (linked is not None) == (text == "P F F F")
    assert compare_link(blame, None) is None


def test_the_commit_that_ended_the_newest_outage_is_named() -> None:
    """Neither failures too few for an outage nor one that is open again name any."""
    histories = {
        "a": "P F F F P P F F F F P",
        "b": "P F F P P P P P P P P",
        "c": "P F F F P P P P F F F",
        "d": "P P P P P P P P P P P",
    }
    trunks = (evaluate_histories(histories, POLICY),)
    found = document(replace(snapshot(), trunks=trunks), {}, NOW)["jobs"]
    ended_by = {"sha": sha_of(10), "author": "author-10", "title": "change 10"}
    assert {each["job_name"]: each["last_outage"] for each in found} == {
        "a": {"first_bad": sha_of(6), "ended_by": ended_by},
        **dict.fromkeys("bcd"),
    }
