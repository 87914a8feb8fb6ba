"""Prometheus' settings, which compose, the demo and the tests share."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.deploy.files import PROJECT, PROMETHEUS, load, run
from tests.support.engines import OLDEST, PAIRS, find_engine


def seconds(duration: str) -> int:
    """Return a Prometheus duration of whole seconds or minutes in seconds."""
    return int(duration[:-1]) * {"s": 1, "m": 60}[duration[-1]]


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    """Return the config as compose mounts it, with rules/ beside it."""
    shutil.copy(PROMETHEUS, tmp_path)
    (tmp_path / "rules").symlink_to(PROJECT / "rules")
    return tmp_path / PROMETHEUS.name


@pytest.mark.parametrize("pair", PAIRS)
def test_promtool_accepts_the_config_with_every_rule_file(pair: str, mounted: Path) -> None:
    """The mounted config is valid and loads each rule file of the project."""
    checked = run(find_engine(pair, "promtool"), "check", "config", mounted)
    assert checked.returncode == 0, checked.stderr
    for rules in (PROJECT / "rules").glob("*.rules.yml"):
        assert f"Checking {mounted.parent / 'rules' / rules.name}" in checked.stdout


def test_promtool_refuses_a_key_it_does_not_know(mounted: Path) -> None:
    """The check refuses an unknown key."""
    mounted.write_text(mounted.read_text() + "\nno_such_key: true\n")
    assert run(find_engine(OLDEST, "promtool"), "check", "config", mounted).returncode != 0


def test_every_rule_file_is_loaded() -> None:
    """The glob of the config matches every YAML file directly in rules/."""
    files = {path.name for path in (PROJECT / "rules").glob("*.y*ml")}
    assert files == {path.name for path in (PROJECT / "rules").glob("*.rules.yml")}
    assert files
    assert load(PROMETHEUS)["rule_files"] == ["rules/*.rules.yml"]


def test_the_values_named_in_the_header_can_be_replaced(tmp_path: Path) -> None:
    """Replacing the values that the file's header lists gives a valid config."""
    config = load(PROMETHEUS)
    config["global"] |= {
        "scrape_interval": "1s",
        "evaluation_interval": "1s",
        "scrape_timeout": "1s",
    }
    config["scrape_configs"][0]["static_configs"][0]["targets"] = ["127.0.0.1:1"]
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = ["127.0.0.1:2"]
    config["rule_files"] = [str(PROJECT / "rules" / "*.rules.yml")]
    rendered = tmp_path / "elsewhere.yml"
    rendered.write_text(yaml.safe_dump(config))
    checked = run(find_engine(OLDEST, "promtool"), "check", "config", rendered)
    assert checked.returncode == 0, checked.stderr


def test_the_job_name_is_the_one_that_the_rules_select() -> None:
    """The scrape job is called `trunkwatch`, which the alerts about the exporter select."""
    assert [job["job_name"] for job in load(PROMETHEUS)["scrape_configs"]] == ["trunkwatch"]


def test_one_lost_scrape_is_not_a_gap() -> None:
    """Two scrapes fit into Prometheus' look-back of five minutes."""
    pace = load(PROMETHEUS)["global"]
    assert 2 * seconds(pace["scrape_interval"]) < 300
    assert seconds(pace["scrape_timeout"]) <= seconds(pace["scrape_interval"])
    assert seconds(pace["evaluation_interval"]) <= seconds(pace["scrape_interval"])
