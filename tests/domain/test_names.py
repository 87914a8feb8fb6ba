"""Raw and watched job names, and display names of workflows."""

import re

import pytest
from trunkwatch.domain.names import (
    PRESETS,
    FoldRule,
    Naming,
    any_full_match,
    display_names,
    matrix_parent,
)

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
    naming = Naming(
        ignore=(re.compile(".*/ filter"),), fold=(FoldRule(re.compile("(.*) 1"), r"\1"),)
    )
    assert naming.resolve("ci", "pull / filter") is None
    assert naming.resolve("ci", "pull / filter 1") == "pull / filter"
    assert naming.resolve("ci", "pull / filters") == "pull / filters"


def test_fold_rules_are_applied_in_order() -> None:
    """Each fold rule must match the full result of the one before."""
    naming = Naming(
        fold=(
            FoldRule(re.compile(r"(?P<name>.*)-py3\.\d+"), r"\g<name>"),
            FoldRule(re.compile(r"(.*) on (linux|mac)"), r"\1"),
        )
    )
    assert naming.resolve("ci", "wheel on mac-py3.12") == "wheel"
    assert naming.resolve("ci", "wheel-py3.12 on mac") == "wheel-py3.12"


def test_aliases_come_last() -> None:
    """An alias renames the folded name, in its workflow only."""
    naming = Naming(fold=(FoldRule(re.compile(r"(.*) \d"), r"\1"),), aliases={("ci", "old"): "new"})
    assert naming.resolve("ci", "old 1") == "new"
    assert naming.resolve("nightly", "old 1") == "old"


def test_an_alias_is_applied_once() -> None:
    """A new name that is itself an old name is not renamed again."""
    naming = Naming(aliases={("ci", "a"): "b", ("ci", "b"): "c"})
    assert naming.resolve("ci", "a") == "b"


@pytest.mark.parametrize(
    ("name", "parent"),
    [
        ("test (gpu)", "test"),
        ("a (3.12) / test (core)", "a (3.12) / test"),
        ("test (gpu, 3.12)", "test"),
        ("test", None),
        ("test (gpu) done", None),
        ("(startup)", None),
    ],
)
def test_the_skipped_parent(name: str, parent: str | None) -> None:
    """A matrix job's parent is its name without the trailing parentheses."""
    assert matrix_parent(name) == parent


def test_a_workflow_is_shown_by_its_name() -> None:
    """A workflow is shown by its newest name, not by its path."""
    assert display_names({".github/workflows/a.yml": "ci", "nightly": "nightly"}) == {
        ".github/workflows/a.yml": "ci",
        "nightly": "nightly",
    }


def test_two_of_one_name_show_their_file() -> None:
    """Two workflows of one name are shown with their file; one without a path keeps the name."""
    assert display_names({"w/a.yml": "ci", "w/b.yml": "ci", "ci": "ci", "w/c.yml": "docs"}) == {
        "w/a.yml": "ci (a.yml)",
        "w/b.yml": "ci (b.yml)",
        "ci": "ci",
        "w/c.yml": "docs",
    }


def test_two_of_one_file_name_show_their_path() -> None:
    """Two workflows with the same name and file name are shown with their whole path."""
    assert display_names({"a/ci.yml": "ci", "b/ci.yml": "ci", "b/d.yml": "ci"}) == {
        "a/ci.yml": "ci (a/ci.yml)",
        "b/ci.yml": "ci (b/ci.yml)",
        "b/d.yml": "ci (d.yml)",
    }


def test_any_full_match() -> None:
    """One pattern of several must match all of the text."""
    patterns = (re.compile("a+"), re.compile("b"))
    assert any_full_match(patterns, "aa")
    assert not any_full_match(patterns, "aab")
    assert not any_full_match((), "a")
