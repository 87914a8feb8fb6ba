"""Flags that are given by environment variables."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from trunkwatch.cli.main import main
from trunkwatch.cli.variables import flags

from tests.support.rows import history, named, write_recorded

VALID = "sources: [{name: a, type: recorded, path: a.ndjson}]\n"


def test_every_flag_has_the_variable_of_its_name() -> None:
    """Each flag with a value or an effect has one; no flag takes a secret."""
    found = {max(option.opts, key=len): option.envvar for option in flags(main)}
    assert len(found) >= 25
    for flag, variable in found.items():
        assert variable == f"TRUNKWATCH_{re.sub('[.-]', '_', flag[2:]).upper()}"
        assert not re.search(r"token$|password|secret", flag)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in a folder with two valid files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.yml").write_text(VALID)
    (tmp_path / "two.yml").write_text(VALID + "groups: [{name: g w, match: {job_name: a}}]\n")
    write_recorded(tmp_path / "a.ndjson", history("P", named("a")), history("P", named("b")))


def output(*arguments: str, **variables: str) -> str:
    environment = {f"TRUNKWATCH_{name}": value for name, value in variables.items()}
    return CliRunner().invoke(main, arguments, env=environment).output


def test_a_variable_stands_for_its_flag_which_wins() -> None:
    """The file is that of the variable, unless the flag names another."""
    assert output("check-config", CONFIG_FILE="one.yml").startswith("one.yml: valid")
    given = output("check-config", "--config.file", "two.yml", CONFIG_FILE="one.yml")
    assert given.startswith("two.yml: valid")
    assert "Invalid value for '--log.level'" in output("check", LOG_LEVEL="loud")


def test_switches_and_lists() -> None:
    """A switch takes 1, a repeated flag a list with commas, whose names may have blanks."""
    shown = output("check", CONFIG_FILE="two.yml", ALL="1", GROUP="g w,default")
    assert "ci / a" in shown
    assert "ci / b" in shown
    assert "ci / a" not in output("check", CONFIG_FILE="two.yml", ALL="1", GROUP="default")
    assert "ci / a" not in output("check", CONFIG_FILE="two.yml", ALL="0")


def test_a_file_that_a_flag_names_wins_over_the_repository_of_a_variable() -> None:
    """Only two flags contradict each other."""
    assert "ci / a" in output("check", "--all", "--config.file", "one.yml", REPO="o/r")
