"""Reads `policy.yml`, the table of vectors."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.vectors.cases import Case, Name
from tests.vectors.notation import Expected, Vector

TABLE = Path(__file__).with_name("policy.yml")


@cache
def read_table() -> Mapping[str, Any]:
    """Return the table of the file, read once."""
    text = TABLE.read_text(encoding="utf-8")
    # The loader in C takes a tenth of the two seconds that each test process would spend.
    table: Mapping[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    return table


def load_vectors() -> list[Vector]:
    """Return the vectors that are written in the notation."""
    return [
        Vector(
            id=row["id"],
            rule=row["rule"],
            history=row["history"],
            failures_to_open=row.get("N", 3),
            passes_to_close=row.get("M", 1),
            flaky_closes=row.get("flaky_closes", False),
            count=row.get("count", "commits"),
            job=row.get("job", "job"),
            evidence=row.get("evidence", {}),
            expect=None if row["expect"] is None else Expected(**row["expect"]),
        )
        for row in read_table()["histories"]
    ]


def load_names() -> list[Name]:
    """Return the vectors about names."""
    return [
        Name(row["id"], row["rule"], row["raw"], row.get("jobs", {}), row["expect"])
        for row in read_table()["names"]
    ]


def load_cases() -> list[Case]:
    """Return the vectors with explicit lines."""
    return [
        Case(
            id=row["id"],
            rule=row["rule"],
            commits=row["commits"],
            runs=row["runs"],
            config=row.get("config", {}),
            expect_jobs=row["jobs"],
            expect_groups=row.get("groups"),
            workflows=row.get("workflows", ()),
        )
        for row in read_table()["cases"]
    ]
