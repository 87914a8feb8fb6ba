"""Raw and watched job names, and display names of workflows."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.domain.names import (
    PRESETS,
    FoldRule,
    Naming,
    any_full_match,
    callers,
    event_label,
    free_label,
    is_workflow_file,
)
from trunkwatch.patterns import Pattern

PYTORCH = Naming(ignore=PRESETS["pytorch"].ignore, fold=PRESETS["pytorch"].fold)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (
            "linux-focal-py3.8-clang10 / test (default, 1, 3, linux.2xlarge)",
            "linux-focal-py3.8-clang10 / test (default)",
        ),
        (
            "linux-focal-cuda11.8-py3.9-gcc9 / test (distributed, 2, 3, linux.8xlarge.nvidia.gpu)",
            "linux-focal-cuda11.8-py3.9-gcc9 / test (distributed)",
        ),
        (
            "cuda12.1-py3.10-gcc9-sm86 / test (inductor_torchbench, 2, 2, linux.g5.4xlarge)",
            "cuda12.1-py3.10-gcc9-sm86 / test (inductor_torchbench)",
        ),
        (
            "win-vs2019-cpu-py3 / test (functorch, 1, 1, windows.4xlarge.nonephemeral)",
            "win-vs2019-cpu-py3 / test (functorch)",
        ),
        ("a (3.12) / test (core, 1, 2, r)", "a (3.12) / test (core)"),
        ("Test collect_env (without_torch)", "Test collect_env (without_torch)"),
        ("linux-focal-cpu-py3.10-gcc9-bazel-test / filter",) * 2,
        ("manywheel-py3_10-cuda12_1-build / build",) * 2,
        ("build (linux, 3.12)",) * 2,
        ("lintrunner-noclang / linux-job",) * 2,
    ],
)
def test_the_preset_drops_the_shard(raw: str, name: str) -> None:
    """The preset pytorch drops shard, shards and runner, and changes no other name."""
    assert PYTORCH.resolve("pull", raw) == name


@pytest.mark.parametrize("flag", ["unstable", "rerun_disabled_tests", "mem_leak_check"])
def test_the_preset_ignores_flagged_jobs(flag: str) -> None:
    """A name with one of three flags anywhere behind its shard is ignored."""
    assert PYTORCH.resolve("pull", f"a / test (default, 1, 5, linux, {flag})") is None
    assert PYTORCH.resolve("pull", f"a / test (default, 1, 5, linux, {flag}, other)") is None


@pytest.mark.parametrize(
    "raw", ["unstable / build", "a-unstable / test (unstable, 1, 5, linux)", "a (unstable)"]
)
def test_a_flag_is_not_just_a_word(raw: str) -> None:
    """The word of a flag elsewhere in a name has no effect."""
    assert PYTORCH.resolve("pull", raw) is not None


SHARD = re.compile(
    r"(.*\((?:(?!, \d+[,)])[^()])*), \d+(?=[,)])[^()]*(\)(?:(?!\([^()]*, \d+[,)]).)*)"
)
FLAGGED = re.compile(
    r".*\([^()]*, \d+(?=[,)])[^()]*"
    r", (?:unstable|rerun_disabled_tests|mem_leak_check)(?=[,)])[^()]*\).*"
)
"""The preset with look-around, which is easier to read and may backtrack."""


@given(
    st.lists(
        st.sampled_from(["(", ")", ",", " ", ", ", "1", "a", ", 1", ", 2)", "(a, 1, 2, x)", "\n"])
        | st.sampled_from([", unstable", ", mem_leak_check)", " / "]),
        max_size=14,
    ).map("".join)
)
def test_the_preset_is_what_look_around_matches(raw: str) -> None:
    """The last parentheses with a number lose all from it on; flagged names are ignored."""
    shard = SHARD.fullmatch(raw)
    name = shard.expand(r"\1\2") if shard else raw
    assert PYTORCH.resolve("pull", raw) == (None if FLAGGED.fullmatch(raw) else name)


def test_shards_become_one_job() -> None:
    """All shards of one config are one job; two configs stay two."""
    names = [f"a / test ({config}, {n}, 3, r)" for config in ("core", "dist") for n in (1, 2, 3)]
    assert {PYTORCH.resolve("pull", name) for name in names} == {
        "a / test (core)",
        "a / test (dist)",
    }


def test_nothing_is_folded_by_default() -> None:
    """Without a configuration every raw name is a job of its own."""
    raw = "a / test (default, 1, 5, r)"
    assert Naming().resolve("pull", raw) == raw


def test_ignoring_is_a_full_match_on_raw_names() -> None:
    """An ignore pattern must match all of the raw name, before any folding."""
    naming = Naming(ignore=(Pattern(".*/ filter"),), fold=(FoldRule(Pattern("(.*) 1"), r"\1"),))
    assert naming.resolve("ci", "pull / filter") is None
    assert naming.resolve("ci", "pull / filter 1") == "pull / filter"
    assert naming.resolve("ci", "pull / filters") == "pull / filters"


def test_fold_rules_are_applied_in_order() -> None:
    """Each fold rule must match the full result of the one before."""
    naming = Naming(
        fold=(
            FoldRule(Pattern(r"(?P<name>.*)-py3\.\d+"), r"\g<name>"),
            FoldRule(Pattern(r"(.*) on (linux|mac)"), r"\1"),
        )
    )
    assert naming.resolve("ci", "wheel on mac-py3.12") == "wheel"
    assert naming.resolve("ci", "wheel-py3.12 on mac") == "wheel-py3.12"


def test_aliases_come_last() -> None:
    """An alias renames the folded name, in its workflow only."""
    naming = Naming(fold=(FoldRule(Pattern(r"(.*) \d"), r"\1"),), aliases={("ci", "old"): "new"})
    assert naming.resolve("ci", "old 1") == "new"
    assert naming.resolve("nightly", "old 1") == "old"


def test_an_alias_is_applied_once() -> None:
    """A new name that is itself an old name is not renamed again."""
    naming = Naming(aliases={("ci", "a"): "b", ("ci", "b"): "c"})
    assert naming.resolve("ci", "a") == "b"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("test (gpu)", {"test"}),
        ("test (gpu, 3.12)", {"test"}),
        ("nightly / test", {"nightly"}),
        ("a / b / c", {"a", "a / b"}),
        ("a / b (x)", {"a", "a / b"}),
        ("a (3.12) / test (core)", {"a", "a (3.12)", "a (3.12) / test"}),
        ("test ((gpu)", {"test"}),
        ("test (g++ (old), x)", {"test", "test (g++"}),
        ("test (a) (b)", {"test", "test (a)"}),
        ("test (a long list of va...", {"test"}),
        ("test (a\nb)", {"test"}),
        ("test", set()),
        ("test (gpu) done", set()),
        ("nightly-test", set()),
        ("nightly/test", set()),
        ("test(gpu)", set()),
        ("(startup)", set()),
        (" / test", set()),
    ],
)
def test_the_names_that_stand_for_a_job(name: str, found: set[str]) -> None:
    """A skipped row stands for the jobs that begin with its name and go on one level down."""
    assert callers(name) == found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (".github/workflows/ci.yml", True),
        (".github/workflows/ci.yaml", True),
        (".github/workflows/ci.yml@refs/heads/main", True),
        ("CI", False),
        ("w/ci.yml", False),
        (".github/workflows/a/ci.yml", False),
        (".github/workflows/ci.yml is broken", False),
    ],
)
def test_a_workflow_named_by_its_file(name: str, expected: bool) -> None:
    """GitHub names a run by the workflow's file where it cannot read the name."""
    assert is_workflow_file(name) is expected


def test_a_workflow_is_shown_by_its_name() -> None:
    """A workflow is shown by its name, and by name and file where another one has that name."""
    assert free_label("ci", "w/a.yml", {"docs"}) == "ci"
    assert free_label("ci", "w/a.yml", {"ci"}) == "ci (a.yml)"


def test_a_label_is_never_shared() -> None:
    """Where the file is ambiguous too the whole path is added, and then a number."""
    taken = ["ci", "ci (a.yml)"]
    assert free_label("ci", "w/a.yml", taken) == "ci (w/a.yml)"
    assert free_label("ci", "w/a.yml", [*taken, "ci (w/a.yml)"]) == "ci (w/a.yml 2)"
    assert free_label("ci", "ci", ["ci"]) == "ci (ci)"


def test_the_runs_of_one_event_have_a_label() -> None:
    """The runs of one event are shown as the workflow with the event."""
    assert event_label("CI", "schedule") == "CI [schedule]"


def test_any_full_match() -> None:
    """One pattern of several must match all of the text."""
    patterns = (Pattern("a+"), Pattern("b"))
    assert any_full_match(patterns, "aa")
    assert not any_full_match(patterns, "aab")
    assert not any_full_match((), "a")
