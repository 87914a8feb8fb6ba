"""The versions of Prometheus and Alertmanager with which a test runs.

The oldest supported pair is the one that `make tools` unpacks, or that is on PATH.
`tools/fetch-engines` adds the newest versions that the machine can have, and VictoriaMetrics with
vmalert.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.binaries import find_binary

FOLDER = Path(__file__).resolve().parents[2] / ".engines"

OLDEST, NEWEST, VMALERT = "oldest", "newest", "vmalert"
PAIRS = (OLDEST, pytest.param(NEWEST, marks=pytest.mark.engines))
"""The parameters of a test that runs with each pair; `make test` runs the oldest one only."""

LTS = "lts"
"""Prometheus 3.5, which is supported for longest, with the newest Alertmanager."""

ENGINES = (*PAIRS, pytest.param(VMALERT, marks=pytest.mark.engines))
"""The same, and vmalert with VictoriaMetrics and the newest Alertmanager."""


def find_engine(pair: str, program: str) -> Path:
    """Return the path of a program; skip the test if `tools/fetch-engines` has not fetched it.

    Args:
        pair: `oldest`, or else the newest; VictoriaMetrics' programs have one version only.
        program: `prometheus`, `alertmanager`, their tools, `vmalert` or `victoria-metrics`.
    """
    if pair == OLDEST:
        path: Path = find_binary(program)
        return path
    found = [
        path
        for folder in FOLDER.glob("*-*")
        for path in (folder / program, folder / "usr" / "bin" / program)
        if path.is_file()
        and (pair != LTS or program != "prometheus" or _version(path)[:2] == (3, 5))
    ]
    if not found:
        pytest.skip(f"no {program} in .engines/: {_reason()}")
    return max(found, key=_version)


def finder(pair: str) -> Callable[[str], Path]:
    """Return a function that finds the programs of a pair."""
    return lambda program: find_engine(pair, program)


def _version(path: Path) -> tuple[int, ...]:
    """Return the version in the name of the path's folder of `.engines`."""
    name = path.relative_to(FOLDER).parts[0]
    return tuple(int(number) for number in re.findall(r"\d+", name))


def _reason() -> str:
    said = [file.read_text().strip() for file in sorted(FOLDER.glob("*.missing"))]
    return "; ".join(said) or "run tools/fetch-engines"
