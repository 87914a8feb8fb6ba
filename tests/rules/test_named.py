"""The rules of a second Trunkwatch, with a name, alert as those of the only one."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from rules import build
from tests.rules import rulebook
from tests.support.binaries import binary_path

NAME = "staging"
QUICK = {"job_broken", "watcher"}
"""The tests that take a second; all of them take two minutes."""

FILES = [
    pytest.param(file, id=file.name, marks=() if file.name[:-9] in QUICK else pytest.mark.large)
    for file in rulebook.TEST_FILES
    if file.name != "dashboards.test.yml"  # it has no alert
]


class Texts(yaml.SafeLoader):
    """A loader for which all values are texts: 0x30 is thirty samples, and no number."""


Texts.yaml_implicit_resolvers = {"<": [("tag:yaml.org,2002:merge", re.compile("<<"))]}


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_named_rules_alert_as_the_others(file: Path, tmp_path: Path) -> None:
    """Every promtool test of alerts passes for rules with a name, which is a label of alerts."""
    # A recorded series has the label and a scraped one has not, so that `or` may keep both.
    document = yaml.load(file.read_text(), Texts)  # noqa: S506 — a safe loader
    for test in document["tests"]:
        test.pop("promql_expr_test", None)
        for case in test.get("alert_rule_test", ()):
            for expected in case.get("exp_alerts", ()):
                expected["exp_labels"] = {**expected["exp_labels"], "trunkwatch": NAME}
    (tmp_path / "tests").mkdir()
    (tmp_path / build.RULES.name).write_text(build.render(build.Which(name=NAME)))
    changed = tmp_path / "tests" / file.name
    changed.write_text(yaml.safe_dump(document))
    done = subprocess.run(
        [binary_path("promtool"), "test", "rules", changed],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
