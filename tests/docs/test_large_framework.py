"""The configuration for a large framework in docs/configuration.md has the documented effect."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from trunkwatch.cli.main import main
from trunkwatch.config import Config, parse_config, policy_of
from trunkwatch.config.sources import GithubSource
from trunkwatch.domain.groups import Group, group_of
from trunkwatch.domain.model import JobKey, Trunk

from tests.docs import markdown

REPO = "pytorch/pytorch"
SHOWN = markdown.section(markdown.read("docs/configuration.md"), "A large framework")


@pytest.fixture(scope="module")
def text() -> str:
    """The configuration as a reader copies it."""
    (block,) = markdown.blocks(SHOWN, "yaml")
    return block.text


@pytest.fixture(scope="module")
def config(text: str) -> Config:
    return parse_config(text, "trunkwatch.yml")


def test_it_passes_check_config(text: str, tmp_path: Path) -> None:
    """The configuration is accepted unchanged."""
    path = tmp_path / "trunkwatch.yml"
    path.write_text(text, encoding="utf-8")
    done = CliRunner().invoke(main, ["check-config", "--config.file", str(path)])
    assert done.exit_code == 0, done.output


def test_its_other_way_to_authenticate_is_valid_too(text: str) -> None:
    """The commented lines are valid in place of the token."""
    changed = text.replace("    token_file:", "    # token_file:").replace("    # app:", "    app:")
    (source,) = parse_config(changed, "trunkwatch.yml").sources
    assert isinstance(source, GithubSource)
    assert source.app is not None


def test_it_reads_the_trunk_of_the_framework(config: Config) -> None:
    """One repository, its main branch, by webhooks as well."""
    (source,) = config.sources
    assert isinstance(source, GithubSource)
    assert source.feeds() == (Trunk(REPO, "main"),)
    assert source.token_file is not None
    assert source.webhook_secret_file is not None


def group(config: Config, workflow: str, raw: str) -> tuple[Group, str]:
    """Return the group and the watched name of a job as GitHub calls it."""
    policy = policy_of(config)
    name = policy.naming.resolve(workflow, raw)
    assert name is not None
    return group_of(JobKey(REPO, "main", workflow, name), policy.groups), name


@pytest.mark.parametrize(
    ("workflow", "raw", "name"),
    [
        ("Lint", "lintrunner-clang / linux-job", "lint"),
        ("inductor", "unit-test / linux-jammy-cpu-py3.12 / test (inductor, 1, 2, linux.12xlarge)",
         "inductor"),
        ("inductor-rocm", "rocm-py3.10-inductor / test (inductor, 1, 2, linux.rocm.gpu.2)",
         "inductor"),
        ("rocm", "linux-jammy-rocm-py3.10 / test (default, 1, 6, linux.rocm.gpu.2)", "rocm"),
        ("trunk", "linux-jammy-rocm-py3.10 / test (default, 1, 6, linux.rocm.gpu.2)", "rocm"),
        ("trunk", "win-vs2022-cpu-py3 / test (default, 1, 3, windows.4xlarge)", "windows"),
        ("trunk", "macos-py3-arm64 / test (default, 1, 3, macos-m1-stable)", "macos"),
        ("mac-mps", "macos-py3-arm64-mps / test (mps, 1, 1, macos-m1-14)", "macos"),
        ("periodic", "linux-jammy-cuda12.8-py3.10 / test (nogpu_AVX512, 1, 3, linux.4xlarge)",
         "nightly"),
        ("pull", "linux-jammy-py3.10-gcc11 / test (default, 1, 5, linux.4xlarge)", "linux"),
        ("pull", "bc_linter", "default"),
    ],
)  # fmt: skip
def test_each_job_has_the_team_it_should(
    config: Config, workflow: str, raw: str, name: str
) -> None:
    """Each job name of the framework's CI is in the group of its platform."""
    found, _ = group(config, workflow, raw)
    assert found.name == name


def test_the_inductor_group_is_that_of_the_incident(config: Config) -> None:
    """Team, priority, N and the jobs needed to fire; perf jobs may fail longer."""
    found, name = group(
        config,
        "inductor",
        "linux-jammy-cpu-py3.8-gcc11-inductor / test (inductor_torchbench, 1, 2, linux.12xlarge)",
    )
    assert name == "linux-jammy-cpu-py3.8-gcc11-inductor / test (inductor_torchbench)"
    assert (found.team, found.priority, found.failure_threshold) == ("broken-inductor", "P2", 1)
    assert found.thresholds_of(name).failures_to_open == 3
    assert (
        found.thresholds_of("cuda12.8 / test (inductor_torchbench_perf_smoketest)").failures_to_open
        == 5
    )
    assert found.thresholds_of("cuda12.8 / test (aot_eager_huggingface)").failures_to_open == 4


@pytest.mark.parametrize(
    ("raw", "watched"),
    [
        ("get-label-type / runner-determinator", False),
        ("linux-jammy-py3.10-gcc11 / filter", False),
        ("before-test / target-determination", False),
        ("linux-jammy-py3.10-gcc11 / build", True),
    ],
)
def test_helpers_of_the_ci_are_no_jobs(config: Config, raw: str, watched: bool) -> None:
    """Jobs that only decide where and what to run are ignored."""
    assert (policy_of(config).naming.resolve("pull", raw) is not None) is watched
