"""The bytes of /metrics: formats, compression, and the time of rendering."""

import gzip
import threading
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.blocks import Piece, blocks, deflate
from trunkwatch.domain.job import JobState
from trunkwatch.engine.shown import Alert
from trunkwatch.engine.snapshot import Snapshot
from trunkwatch.metrics import collector, exposition
from trunkwatch.metrics.catalogue import BY_NAME, FAMILIES
from trunkwatch.metrics.collector import job_families
from trunkwatch.metrics.exposition import OPENMETRICS, PLAIN, Exposition, Format, choose_format
from trunkwatch.metrics.facts import Facts, ended_facts
from trunkwatch.metrics.lines import Labels, job_texts

from tests.domain.builders import NOW, evaluate_histories
from tests.domain.scripts import bounded
from tests.metrics.reading import openmetrics, plain, samples_of
from tests.metrics.sample import HOSTILE_TITLE, snapshot, totals, triage

FORMATS = pytest.mark.parametrize("form", [PLAIN, OPENMETRICS], ids=["plain", "openmetrics"])

TIMEOUT = 30.0
"""Seconds after which another thread counts as hung."""


class Shown:
    """Records which jobs are rendered and which texts are compressed."""

    def __init__(self) -> None:
        self.snapshot = snapshot()
        self.rendered: list[str] = []
        self.compressed: list[bytes] = []
        self.before_rendering: Callable[[], object] = bool

    def exposition(self) -> Exposition:
        labels = Labels(external_url="https://trunkwatch.example.com")
        return Exposition(lambda: self.snapshot, totals, "1.2.3", labels, triage, lambda: NOW)

    def job_texts(self, job: JobState, labels: Labels) -> list[str]:
        self.before_rendering()
        self.rendered.append(job.key.job_name)
        return job_texts(job, labels)

    def deflate(self, text: bytes) -> Piece:
        self.compressed.append(text)
        return deflate(text)

    def change(self, job_name: str, **changes: Any) -> None:
        """Change fields of one job in the snapshot."""
        main, *others = self.snapshot.trunks
        jobs = tuple(
            replace(job, **changes) if job.key.job_name == job_name else job for job in main.jobs
        )
        trunks = (replace(main, jobs=jobs), *others)
        self.snapshot = replace(self.snapshot, trunks=trunks)

    @property
    def names(self) -> list[str]:
        return [job.key.job_name for trunk in self.snapshot.trunks for job in trunk.jobs]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """An exposition whose rendered jobs are recorded."""
    found = Shown()
    monkeypatch.setattr(exposition, "job_texts", found.job_texts)
    monkeypatch.setattr(blocks, "deflate", found.deflate)
    return found


def read(body: bytes, form: Format) -> dict[str, list[tuple[dict[str, str], float]]]:
    parse = openmetrics if form is OPENMETRICS else plain
    families = samples_of(parse(body.decode()))
    return {
        name: [(sample.labels, sample.value) for sample in samples]
        for name, samples in families.items()
        if not name.startswith("process_")
    }


# ---------------------------------------------------------------------- formats


@FORMATS
def test_every_family_is_read_back(shown: Shown, form: Format) -> None:
    """prometheus_client's own parsers read both formats, with every family of the catalogue."""
    found = read(shown.exposition().body(form, zipped=False), form)
    assert set(found) == {family.name for family in FAMILIES}
    assert all(found.values())


def test_both_formats_say_the_same(shown: Shown) -> None:
    """The two formats have the same samples."""
    served = shown.exposition()
    texts = [served.body(form, zipped=False) for form in (PLAIN, OPENMETRICS)]
    assert read(texts[0], PLAIN) == read(texts[1], OPENMETRICS)


def test_openmetrics_ends_once(shown: Shown) -> None:
    """OpenMetrics has exactly one end mark, and it stands last; plain text has none."""
    served = shown.exposition()
    assert served.body(OPENMETRICS, zipped=False).count(b"# EOF") == 1
    assert served.body(OPENMETRICS, zipped=False).endswith(b"\n# EOF\n")
    assert b"# EOF" not in served.body(PLAIN, zipped=False)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("application/openmetrics-text; version=1.0.0,text/plain;q=0.5", OPENMETRICS),
        ("text/plain;version=0.0.4;q=0.5, Application/OpenMetrics-Text;q=0.1", OPENMETRICS),
        ("text/plain", PLAIN),
        ("*/*", PLAIN),
        ("application/openmetrics", PLAIN),
        ("", PLAIN),
    ],
)
def test_the_client_chooses_the_format(accept: str, form: Format) -> None:
    """OpenMetrics is for who asks for it, plain text for everybody else."""
    assert choose_format(accept) is form


def test_content_types_have_a_version() -> None:
    """Prometheus 3 insists on a content type that it knows."""
    assert PLAIN.content_type.startswith("text/plain; version=0.0.4")
    assert OPENMETRICS.content_type.startswith("application/openmetrics-text; version=")


@FORMATS
def test_the_process_tells_of_itself(shown: Shown, form: Format) -> None:
    """The exporter's own memory and processor time are beside the rest."""
    assert b"process_resident_memory_bytes" in shown.exposition().body(form, zipped=False)


# ---------------------------------------------------------------------- compression


def without_process(body: bytes) -> list[bytes]:
    return [line for line in body.splitlines() if not line.startswith(b"process_")]


@FORMATS
def test_gzip_says_the_same(shown: Shown, form: Format) -> None:
    """The compressed body unpacks to the plain one."""
    served = shown.exposition()
    unpacked = gzip.decompress(served.body(form, zipped=True))
    assert without_process(unpacked) == without_process(served.body(form, zipped=False))


@FORMATS
def test_gzip_is_one_member(shown: Shown, form: Format) -> None:
    """The stream is one member, which readers unpack faster than many, and ends with it."""
    unpacker = zlib.decompressobj(wbits=31)
    unpacker.decompress(shown.exposition().body(form, zipped=True))
    assert unpacker.eof
    assert unpacker.unused_data == b""


@FORMATS
@pytest.mark.parametrize("zipped", [False, True])
def test_the_length_is_known_before_the_body(shown: Shown, form: Format, *, zipped: bool) -> None:
    """The announced size is that of the parts, of which none is the whole body."""
    answer = shown.exposition().answer(form, zipped=zipped)
    parts = list(answer.parts)
    assert answer.size == sum(map(len, parts))
    assert max(map(len, parts)) < answer.size / 2


def test_own_families_are_compressed_when_they_change(
    shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scrape compresses those of the exporter's own families that changed since the last."""
    served = shown.exposition()
    monkeypatch.setattr(exposition, "deflate", shown.deflate)
    served.body(PLAIN, zipped=True)
    shown.compressed.clear()
    ci, other = shown.snapshot.sources
    shown.snapshot = replace(shown.snapshot, sources=(replace(ci, quota_remaining=7), other))
    served.update()
    served.body(PLAIN, zipped=True)
    quota, process = shown.compressed
    assert quota == b'trunkwatch_source_quota_remaining{source="ci"} 7.0\n'
    assert process.startswith(b"# HELP process_")


def test_the_facts_of_an_end_are_written_once(
    shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is scraped; they change with the address of the pages and with the ends."""
    written: list[Alert] = []

    def facts(alert: Alert, external_url: str) -> Facts:
        written.append(alert)
        return ended_facts(alert, external_url)

    monkeypatch.setattr(collector, "ended_facts", facts)
    served = shown.exposition()
    for _ in range(2):
        served.body(PLAIN, zipped=False)
    assert written == [*shown.snapshot.ended] != []
    served.use(Labels(external_url="https://other.example.com"))
    assert b"https://other.example.com/trunk/" in served.body(PLAIN, zipped=False)
    shown.snapshot = replace(shown.snapshot, ended=())
    served.update()
    assert b"\nci_job_last_outage_info{" not in served.body(PLAIN, zipped=False)


# ---------------------------------------------------------------------- when the text is rendered


def test_jobs_are_rendered_once(shown: Shown) -> None:
    """However often it is scraped, compressed or not, each job is rendered once."""
    served = shown.exposition()
    for zipped in (False, True, False):
        served.body(PLAIN, zipped=zipped)
    served.update()
    assert shown.rendered == shown.names != []


def test_a_refresh_without_news_renders_no_jobs(shown: Shown) -> None:
    """A new snapshot of the same jobs shows its new times, and renders no job."""
    served = shown.exposition()
    served.body(PLAIN, zipped=False)
    main, bare = shown.snapshot.trunks
    shown.snapshot = replace(shown.snapshot, trunks=(replace(main, data_at=77.0), bare))
    shown.rendered.clear()
    served.update()
    found = read(served.body(PLAIN, zipped=False), PLAIN)
    assert [value for _, value in found["ci_branch_data_timestamp_seconds"]] == [77.0]
    assert shown.rendered == []


def test_a_changed_job_is_rendered(shown: Shown) -> None:
    """A change of one job renders that job alone, once for both formats."""
    served = shown.exposition()
    for form in (PLAIN, OPENMETRICS):
        served.body(form, zipped=False)
    shown.rendered.clear()
    shown.change("lint", consecutive_failures=7)
    served.update()
    assert shown.rendered == ["lint"]
    for form in (PLAIN, OPENMETRICS):
        found = read(served.body(form, zipped=False), form)["ci_job_consecutive_failures"]
        assert [value for labels, value in found if labels["job_name"] == "lint"] == [7]
    assert shown.rendered == ["lint"]


def test_only_what_changed_is_compressed(shown: Shown) -> None:
    """A change of one number compresses that family's lines around the job, and no others."""
    served = shown.exposition()
    served.body(PLAIN, zipped=True)
    shown.compressed.clear()
    shown.change("lint", consecutive_failures=7)
    served.update()
    (text,) = shown.compressed
    lines = text.splitlines()
    assert all(line.startswith(b"ci_job_consecutive_failures{") for line in lines)
    assert [line for line in lines if line.endswith(b" 7.0")]


def test_an_equal_state_is_not_rendered(shown: Shown) -> None:
    """A job with an equal state after evaluation is neither rendered nor compressed."""
    served = shown.exposition()
    served.body(PLAIN, zipped=True)
    shown.rendered.clear()
    shown.compressed.clear()
    shown.change("lint")
    served.update()
    assert (shown.rendered, shown.compressed) == ([], [])


def test_other_jobs_are_shown_instead(shown: Shown) -> None:
    """An update to wholly other jobs shows these and none of those before."""
    served = shown.exposition()
    for form in (PLAIN, OPENMETRICS):
        served.body(form, zipped=False)
    shown.snapshot = replace(shown.snapshot, trunks=(evaluate_histories({"fresh": "P"}),))
    served.update()
    for form in (PLAIN, OPENMETRICS):
        assert jobs(served, form) == ["fresh"]


def test_a_format_is_rendered_when_it_is_asked_for(shown: Shown) -> None:
    """A format that was not requested is not rendered."""
    served = shown.exposition()
    served.update()
    assert shown.rendered == []
    served.body(PLAIN, zipped=False)
    assert shown.rendered == shown.names


def test_a_scrape_does_not_wait_for_an_update(shown: Shown) -> None:
    """A scrape during an update is answered at once, with the state before the update."""
    served = shown.exposition()
    before = jobs(served, PLAIN)
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert go_on.wait(TIMEOUT)

    shown.before_rendering = wait
    shown.snapshot = replace(shown.snapshot, trunks=(evaluate_histories({"fresh": "P"}),))
    update = threading.Thread(target=served.update)
    update.start()
    assert begun.wait(TIMEOUT)
    for zipped in (False, True):
        body = served.body(PLAIN, zipped=zipped)
        found = read(gzip.decompress(body) if zipped else body, PLAIN)["ci_job_broken"]
        assert [labels["job_name"] for labels, _ in found] == before
    go_on.set()
    update.join(TIMEOUT)
    assert jobs(served, PLAIN) == ["fresh"]


def test_a_snapshot_is_shown_only_after_its_update(shown: Shown) -> None:
    """A new snapshot is shown from its update on, and not before."""
    served = shown.exposition()
    before = jobs(served, PLAIN)
    shown.snapshot = replace(shown.snapshot, trunks=())
    assert jobs(served, PLAIN) == before != []
    served.update()
    assert jobs(served, PLAIN) == []


def test_a_removed_trunk_is_gone(shown: Shown) -> None:
    """A trunk that is no longer watched has no series after the update."""
    served = shown.exposition()
    before = jobs(served, PLAIN)
    shown.snapshot = replace(shown.snapshot, trunks=shown.snapshot.trunks[1:])
    served.update()
    assert before
    assert jobs(served, PLAIN) == []


@FORMATS
def test_an_incomplete_snapshot_has_no_ci_series(shown: Shown, form: Format) -> None:
    """An incomplete snapshot has no CI series, only Trunkwatch's own metrics."""
    shown.snapshot = replace(shown.snapshot, complete=False)
    found = read(shown.exposition().body(form, zipped=False), form)
    assert not any(found[name] for name in found if name.startswith("ci_"))
    assert found["trunkwatch_source_up"]


def test_a_snapshot_may_be_empty(shown: Shown) -> None:
    """Without trunks and sources the exposition can still be read."""
    shown.snapshot = Snapshot(as_of=0.0, complete=True)
    for form in (PLAIN, OPENMETRICS):
        assert set(read(shown.exposition().body(form, zipped=False), form)) == set(BY_NAME)


def jobs(served: Exposition, form: Format) -> list[str]:
    found = read(served.body(form, zipped=False), form)
    return [labels["job_name"] for labels, _ in found["ci_job_broken"]]


# ---------------------------------------------------------------------- hostile texts


@FORMATS
def test_a_hostile_title_is_read_back(shown: Shown, form: Format) -> None:
    """Quotes, backslashes, line ends and letters of any script survive the way to the parser."""
    found = read(shown.exposition().body(form, zipped=False), form)
    assert HOSTILE_TITLE in {labels["title"] for labels, _ in found["ci_job_suspect_info"]}


@bounded
@given(st.text(st.characters(codec="utf-8"), max_size=12), st.sampled_from((PLAIN, OPENMETRICS)))
def test_any_text_is_read_back(text: str, form: Format) -> None:
    """Any text that CI may give as a name comes back as it was, and adds no series."""
    state = evaluate_histories({"job": "P F F F"})
    (job,) = state.jobs
    renamed = replace(job, key=job.key._replace(job_name=text))
    body = form.bytes_of(job_families([replace(state, jobs=(renamed,))])) + form.end
    found = read(body, form)
    assert [labels["job_name"] for labels, _ in found["ci_job_broken"]] == [text]
    assert len(found["ci_job_suspect_info"]) == 1
