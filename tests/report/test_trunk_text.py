"""The JSON object as text: the same as rendered at once, and rendered only where it changed."""

import gzip
import json
import threading
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trunkwatch.blocks import blocks, tree
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Commit, TrunkOrder
from trunkwatch.domain.suspects import ChangedFiles, Span
from trunkwatch.engine.snapshot import Snapshot, TrunkState
from trunkwatch.report import trunk_text
from trunkwatch.report.document import document_of_trunks, job_object
from trunkwatch.report.trunk_text import TrunkText, TrunkTexts

from tests.domain.builders import NOW, TRUNK, evaluate_histories
from tests.metrics.courses import courses, trunks_of
from tests.report.sample import COMPARE, SOURCE
from tests.support.examples import examples
from tests.vectors.notation import sha_of


def at_once(
    snapshot: Snapshot, shown: tuple[TrunkState, ...], urls: Any = COMPARE, cells: int = 0
) -> bytes:
    content = document_of_trunks(snapshot, shown, urls, NOW, cells)
    return json.dumps(content, ensure_ascii=False, indent=2).encode() + b"\n"


def read(text: TrunkText) -> bytes:
    """Return the text, which is the same compressed, and as long as it was announced."""
    sent = b"".join(text.plain().parts)
    packed = b"".join(text.zipped().parts)
    assert (len(sent), len(packed)) == (text.plain().size, text.zipped().size)
    assert gzip.decompress(packed) == sent
    return sent


@settings(max_examples=examples(100))
@given(
    courses(),
    courses(),
    st.lists(st.tuples(st.sampled_from(["here", "there", "both"]), st.integers(0, 3)), min_size=5),
)
def test_steps_end_where_one_rendering_does(
    here: list[list[JobState]], there: list[list[JobState]], asked: list[tuple[str, int]]
) -> None:
    """After every change a trunk's text is that of its object, and its tag that of its text."""
    texts = TrunkTexts()
    tags: dict[bytes, str] = {}
    small = mock.patch.multiple
    with small(blocks, BLOCK_ITEMS=2, PAUSE_SECONDS=0), small(tree, CHILDREN=2):
        for mine, others, (name, cells) in zip(here, there, asked, strict=False):
            trunks = trunks_of(mine, others)
            shown = {"here": trunks[:1], "there": trunks[1:], "both": trunks}[name]
            found = texts.text(Snapshot(NOW, trunks), shown, COMPARE, NOW, cells)
            assert read(found) == at_once(Snapshot(NOW, trunks), shown, cells=cells)
            assert tags.setdefault(read(found), found.etag) == found.etag
    assert len(set(tags.values())) == len(tags)


class Counted:
    """The texts of one trunk, and the names of the jobs that were rendered."""

    def __init__(self, **histories: str) -> None:
        self.rendered: list[str] = []
        self.state = evaluate_histories(histories)
        self.texts = TrunkTexts()
        self.as_of = NOW

    def job_object(self, job: JobState, *rest: Any) -> dict[str, Any]:
        self.rendered.append(job.key.job_name)
        return job_object(job, *rest)

    def snapshot(self) -> Snapshot:
        return Snapshot(self.as_of, (self.state,), (SOURCE,), complete=True)

    def text(self, urls: Any = COMPARE) -> TrunkText:
        """Return the text, which is as of now."""
        self.rendered.clear()
        with mock.patch.object(trunk_text, "job_object", self.job_object):
            found = self.texts.text(self.snapshot(), [self.state], urls, NOW)
        assert read(found) == at_once(self.snapshot(), (self.state,), urls)
        return found

    def change(self, name: str, **changes: Any) -> None:
        jobs = self.state.jobs
        changed = (replace(job, **changes) if job.key.job_name == name else job for job in jobs)
        self.state = replace(self.state, jobs=tuple(changed))


def test_files_change_the_text() -> None:
    """A text is rendered again once the files of suspects are read."""
    counted = Counted(a="P . F F F")
    counted.text()
    files = {Span(sha_of(1)): ChangedFiles(("README.md",), is_complete=True)}
    counted.state = replace(counted.state, files=files)
    counted.as_of += 1
    assert b'"evidence": "other"' in read(counted.text())
    assert counted.rendered == ["a"]


@pytest.fixture
def counted() -> Counted:
    """Three jobs, of which one repaired an outage."""
    return Counted(a="P P P P", b="F F F P", c="P F F F")


def test_a_job_is_rendered_when_it_changes(counted: Counted) -> None:
    """The first request renders all jobs, a later one those that changed."""
    counted.text()
    assert counted.rendered == ["c", "a", "b"]
    counted.text()
    assert counted.rendered == []
    counted.change("b", pending=7)
    counted.text()
    assert counted.rendered == ["b"]
    counted.change("b", consecutive_failures=1)
    counted.text()
    assert counted.rendered == ["b"]


def test_a_newer_snapshot_renders_no_job(counted: Counted) -> None:
    """Another time and other data ages change the head and the tag alone."""
    before = counted.text().etag
    counted.as_of += 1
    counted.state = replace(counted.state, data_at=NOW - 1, missing=3)
    assert counted.text().etag != before
    assert counted.rendered == []


def test_more_commits_render_no_job(counted: Counted) -> None:
    """Commits at the tip change no job; a rewritten trunk may change the commits of each."""
    counted.text()
    commits = (*counted.state.order.commits, Commit(sha_of(9)))
    counted.state = replace(counted.state, order=TrunkOrder(TRUNK, commits))
    counted.text()
    assert counted.rendered == []
    commits = tuple(replace(commit, title="rewritten") for commit in commits)
    counted.state = replace(counted.state, order=TrunkOrder(TRUNK, commits))
    counted.text()
    assert counted.rendered == ["c", "a", "b"]


def test_another_compare_url_renders_all_jobs(counted: Counted) -> None:
    """A reloaded configuration may have another address that compares commits."""
    counted.text()
    counted.text({})
    assert counted.rendered == ["c", "a", "b"]


def test_many_clients_share_a_rendering(counted: Counted) -> None:
    """Requests at one time render each job once, all together."""
    gate = threading.Barrier(8, timeout=30)
    found: list[TrunkText] = []
    snapshot = counted.snapshot()

    def ask() -> None:
        gate.wait()
        found.append(counted.texts.text(snapshot, snapshot.trunks, COMPARE, NOW))

    with mock.patch.object(trunk_text, "job_object", counted.job_object):
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert counted.rendered == ["c", "a", "b"]
    assert len(found) == 8
    assert all(text is found[0] for text in found)
