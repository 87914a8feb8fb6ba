"""Incremental rendering gives the same bytes as prometheus_client gives at once."""

import gzip
from dataclasses import replace
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from trunkwatch.blocks import blocks, tree
from trunkwatch.domain.job import JobState
from trunkwatch.engine.snapshot import Snapshot
from trunkwatch.metrics.collector import branch_families, job_families, own_families
from trunkwatch.metrics.exposition import OPENMETRICS, PLAIN, Exposition, Format

from tests.metrics.courses import HOSTILE, courses, trunks_of
from tests.metrics.sample import totals
from tests.support.examples import examples

SMALL = 2
"""Jobs in a block, and blocks that are joined: a dozen jobs are several levels."""

VERSION = "1.2.3"


def at_once(snapshot: Snapshot, form: Format) -> bytes:
    """Return all families as prometheus_client writes them."""
    families = [
        *job_families(snapshot.trunks),
        *branch_families(snapshot.trunks),
        *own_families(snapshot, totals(), VERSION),
    ]
    return form.bytes_of(families) + form.end


def without_process(body: bytes) -> bytes:
    lines = body.split(b"\n")
    about = (b"process_", b"# HELP process_", b"# TYPE process_")
    return b"\n".join(line for line in lines if not line.startswith(about))


@settings(max_examples=examples(100))
@given(courses(), courses(), st.sampled_from((PLAIN, OPENMETRICS)))
def test_steps_end_where_one_rendering_does(
    here: list[list[JobState]], there: list[list[JobState]], form: Format
) -> None:
    """After every change the exposition is the bytes that prometheus_client writes at once, packed
    and unpacked.
    """
    shown = Snapshot(0.0, complete=True)
    small = mock.patch.multiple
    with small(blocks, BLOCK_ITEMS=SMALL, PAUSE_SECONDS=0), small(tree, CHILDREN=SMALL):
        served = Exposition(lambda: shown, totals, VERSION)
        for mine, others in zip(here, there, strict=False):
            shown = replace(shown, trunks=trunks_of(mine, others))
            served.update()
            expected = at_once(shown, form)
            assert without_process(served.body(form, zipped=False)) == expected
            unpacked = gzip.decompress(served.body(form, zipped=True))
            assert without_process(unpacked) == expected


def test_the_texts_are_hostile() -> None:
    """The texts contain escaped characters and characters that only resemble a line's end."""
    assert {'"', "\\", "\n", "\r", "\u2028"} <= set("".join(HOSTILE))
