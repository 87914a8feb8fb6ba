"""A release is built by one command from one version, and its notes explain every lost name."""

import subprocess
import sys

import pytest
import yaml
from trunkwatch import __version__

from tests.docs.markdown import PROJECT, read
from tools import release

WORKFLOW = PROJECT / ".github" / "workflows" / "release.yml"
CHANGELOG = f"""# Changelog

How.

## {__version__} (2026-12-01)

- X.

## 0.0.9 (2026-01-01)

- Y.
"""


def test_the_notes_are_the_newest_section() -> None:
    """The notes are the section of the version, and a version without a date is refused."""
    assert release.notes(CHANGELOG, __version__) == "- X.\n"
    for other in (
        CHANGELOG.replace("12-01", "xx"),
        CHANGELOG.replace("## 0.1", "## Unreleased: 0.1"),
    ):
        with pytest.raises(ValueError, match="begins with"):
            release.notes(other, __version__)


def test_a_name_that_is_gone_needs_an_upgrade_note() -> None:
    """A metric, label or key that is gone has to be in the section Upgrade."""
    before, after = "| `ci_old` | `team` |\n| `ci_kept` |\n", "| `ci_kept` | `ci_new` |\n"
    assert release.unexplained(before, after, "- `ci_old` is gone.\n") == {"ci_old", "team"}
    notes = "- X.\n\n### Upgrade\n\n- `ci_old` is now `ci_new`, and `team` is gone.\n"
    assert release.unexplained(before, after, notes) == set()


def test_the_tag_has_to_be_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    """Another tag is refused with both."""
    assert release.main(["v99.0"]) == 1
    assert (
        capsys.readouterr().err == f"release: the tag is v99.0, and the version is {__version__}\n"
    )


def test_the_references_have_the_names_of_the_product() -> None:
    """Metrics, labels, keys and flags are among the names that are compared."""
    names = {name for file in release.REFERENCES for name in release.public_names(read(file))}
    assert {
        "ci_job_consecutive_failures",
        "job_name",
        "--storage.path",
        "groups[].failures_to_open",
    } <= names


@pytest.mark.slow
def test_the_workflow_releases_what_make_dist_builds() -> None:
    """The workflow is valid, runs CI's tests and `make dist`, and has no right by default."""
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.github-workflows",
    ]
    done = subprocess.run([*command, WORKFLOW], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    workflow = yaml.safe_load(WORKFLOW.read_text())
    assert workflow["permissions"] == {}
    ran = [step["run"] for step in workflow["jobs"]["build"]["steps"] if "run" in step]
    assert ran.index(".ci/run") < ran.index("make dist")
    assert workflow["jobs"]["publish"]["needs"] == "build"
