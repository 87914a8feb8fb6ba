"""Dashboards as Grafana's own libraries from npm read them: types, units, transformations."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.dashboards import model, server
from tests.dashboards.conftest import FLEETS
from tests.dashboards.incident import END

PROJECT = Path(__file__).resolve().parents[2]
LIBRARIES = PROJECT / ".grafana"
SCRIPT = Path(__file__).with_name("grafana.cjs")
TIMEOUT_SECONDS = 120

DASHBOARDS = [model.load(file) for file in model.FILES]
# Of Prometheus' annotations; Grafana's type lacks them, and its data source reads them.
UNTYPED = ("expr", "step", "target", "titleFormat", "textFormat")
TYPES = {
    "stat": "Stat",
    "table": "Table",
    "timeseries": "TimeSeries",
    "state-timeline": "StateTimeline",
}
# A literal of JSON is no enum of TypeScript, so each enum stands for its values.
LOOSE = """
type Loose<T> = T extends string ? (string extends T ? string : `${T}`)
  : T extends number | boolean | null | undefined ? T
  : T extends (infer U)[] ? Loose<U>[]
  : T extends object ? { [K in keyof T]: Loose<T[K]> } : T;
"""

OPTIONS = {
    "lib": ["es2022", "dom"],
    "module": "esnext",
    "moduleResolution": "bundler",
    "noEmit": True,
    "skipLibCheck": True,
    "strict": True,
    "types": [],
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not on PATH"),
    pytest.mark.skipif(
        not (LIBRARIES / "version").exists(), reason="no .grafana/: run tools/fetch-grafana"
    ),
]


def typescript() -> str:
    """Return a program that has every dashboard, and each panel's options, as a typed literal."""
    lines = ['import type { Dashboard } from "@grafana/schema";']
    for kind, name in TYPES.items():
        module = f"raw/composable/{kind.replace('-', '')}/panelcfg/x/{name}PanelCfg_types.gen"
        members = f"Options as {name}"
        if kind != "stat":
            members += f", FieldConfig as {name}Field"
        lines.append(f'import type {{ {members} }} from "@grafana/schema/dist/esm/{module}";')
    lines.append(LOOSE)

    def typed(kind: str, value: Any) -> None:
        lines.append(f"export const v{len(lines)}: Loose<{kind}> = {json.dumps(value)};")

    for dashboard in DASHBOARDS:
        notes = [
            {k: v for k, v in each.items() if k not in UNTYPED}
            for each in dashboard["annotations"]["list"]
        ]
        typed("Dashboard", dashboard | {"annotations": {"list": notes}})
        for shown in model.panels(dashboard):
            typed(TYPES[shown["type"]], shown["options"])
            custom = shown["fieldConfig"]["defaults"].get("custom")
            if custom:
                typed(f"Partial<{TYPES[shown['type']]}Field>", custom)
    return "\n".join(lines)


def compiled(folder: Path, program: str) -> str:
    """Return what the compiler finds in a program."""
    (folder / "check.ts").write_text(program)
    (folder / "node_modules").symlink_to(LIBRARIES / "node_modules")
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": OPTIONS}))
    result = subprocess.run(
        [LIBRARIES / "node_modules/.bin/tsc"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    return result.stdout


def test_dashboards_have_grafana_s_types(tmp_path: Path) -> None:
    """No member is unknown or has a wrong value, in dashboards, options and custom settings."""
    assert compiled(tmp_path, typescript()) == ""


def test_a_wrong_member_is_found(tmp_path: Path) -> None:
    """The compiler refuses an option that a panel does not have."""
    assert '"mergeValues"' in typescript()
    found = compiled(tmp_path, typescript().replace('"mergeValues"', '"mergedValues"'))
    assert "mergedValues" in found


@pytest.mark.live
def test_grafana_makes_the_same_tables(prometheus: server.Prometheus) -> None:
    """Units, transformations and matchers exist; each row of a table has all its columns."""
    tables = [
        {
            "panel": model.panel(dashboard, shown["title"]),
            "results": {
                target["refId"]: prometheus.query(
                    model.filled(target["expr"], **FLEETS["few"].chosen()), END
                )
                for target in shown["targets"]
            },
        }
        for dashboard in DASHBOARDS
        for shown in dashboard["panels"]
        if shown["type"] == "table"
    ]
    result = subprocess.run(
        ["node", SCRIPT, LIBRARIES],
        input=json.dumps({"dashboards": DASHBOARDS, "tables": tables}),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert answer["findings"] == []
    titles = [table["panel"]["title"] for table in tables]
    rows = dict(zip(titles, answer["tables"], strict=True))
    first = next(row for row in rows["Broken now"] if row["Job"] == "few / test (shard, 0)")
    assert {name: first[name] for name in ("Since", "Failures", "N", "Commit", "Run", "State")} == {
        "Since": "1d 0h",
        "Failures": "3",
        "N": "3",
        "Commit": "0000000000 ↗",
        "Run": "open ↗",
        "State": "broken",
    }
    assert len(rows["Broken now"]) == 25
    offered = dict(zip(titles, answer["links"], strict=True))
    # A click opens a single link; several are a menu.
    assert max(len(some) for columns in offered.values() for some in columns.values()) == 1
    assert offered["Broken now"]["Job"][0].startswith("/d/trunkwatch-job?")
    assert offered["Broken now"]["Run"] == ["${__value.raw:raw}"]
    assert [list(row.values()) for row in rows["Trunks"]] == [
        ["org/repo-0", "✖ broken", "25", "not configured", "0m", "main"]
    ]
