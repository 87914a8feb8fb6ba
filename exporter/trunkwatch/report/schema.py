"""The JSON Schema of the object of trunks, report/trunk.schema.json."""

import json
from functools import cache
from importlib.resources import files


@cache
def schema_text() -> str:
    """Return the schema as JSON."""
    return files("trunkwatch.report").joinpath("trunk.schema.json").read_text("utf-8")


@cache
def job_field_names() -> frozenset[str]:
    """Return the fields that `check --json` prints: those of a job, and two of its group."""
    jobs = json.loads(schema_text())["properties"]["jobs"]
    return frozenset({*jobs["items"]["required"], "team", "priority"})
