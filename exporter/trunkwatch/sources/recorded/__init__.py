"""Recorded results: a file of one JSON object a line (docs/recorded.md).

It is the demo's source, the tests' source, what `trunkwatch record` writes, and the way in for a
CI that Trunkwatch does not know.
"""

from trunkwatch.sources.recorded.source import TRAITS, RecordedFile, recorded_source
from trunkwatch.sources.recorded.writing import recorded_lines

__all__ = ["TRAITS", "RecordedFile", "recorded_lines", "recorded_source"]
