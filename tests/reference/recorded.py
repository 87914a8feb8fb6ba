"""The facts of the lines of a recorded file."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from trunkwatch.domain.model import Observation, Trunk, TrunkOrder
from trunkwatch.engine.facts import EMPTY_STATE, AddedCommits, Fact
from trunkwatch.sources.recorded import RecordedFile

from tests.reference.histories import Json


class Recorded(NamedTuple):
    """The rows of a recorded file, and the commits of each trunk."""

    rows: list[Observation]
    orders: dict[Trunk, TrunkOrder]


def recorded(lines: Sequence[Json]) -> Recorded:
    """Read the lines of a recorded file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "history.ndjson")
        file.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
        facts: list[Fact] = list(RecordedFile(file).refresh(EMPTY_STATE).facts)
    orders = {fact.trunk: fact.order for fact in facts if isinstance(fact, AddedCommits)}
    return Recorded([fact for fact in facts if isinstance(fact, Observation)], orders)
