"""The JSON Schema of the object of trunks, report/trunk.schema.json."""

from functools import cache
from importlib.resources import files


@cache
def schema_text() -> str:
    """Return the schema as JSON."""
    return files("trunkwatch.report").joinpath("trunk.schema.json").read_text("utf-8")
