"""/metrics: what real Prometheus servers ask for, and what they get."""

import gzip
import re
import zlib

import pytest
import requests
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from tests.support.rows import history, named
from tests.web.conftest import SOURCE, MakeSite, Site

PROMETHEUS_2_42 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3_PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;"
    f"q=0.7,{PROMETHEUS_3}"
)
TEXT_ONLY = "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"

OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PLAIN_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OWN = re.compile(r"^(process_|# (HELP|TYPE) process_|python_).*\n", re.MULTILINE)
"""The process's own numbers differ from scrape to scrape."""


def scrape(site: Site, accept: str | None = None, encoding: str | None = None) -> requests.Response:
    """Ask like a scraper: exactly these headers, where None is no such header at all."""
    return site.ask("/metrics", headers={"Accept": accept, "Accept-Encoding": encoding})


def raw_scrape(site: Site, accept: str) -> bytes:
    """Return the bytes as they were sent for gzip."""
    headers = {"Accept": accept, "Accept-Encoding": "gzip"}
    url = f"http://127.0.0.1:{site.port}/metrics"
    with requests.get(url, headers=headers, timeout=30, stream=True) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        body: bytes = answer.raw.read(decode_content=False)
        assert int(answer.headers["Content-Length"]) == len(body)
    return body


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (PROMETHEUS_2_42, OPENMETRICS_TYPE),
        (PROMETHEUS_3, OPENMETRICS_TYPE),
        (PROMETHEUS_3_PROTOBUF, OPENMETRICS_TYPE),
        (TEXT_ONLY, PLAIN_TYPE),
        ("text/html,application/xhtml+xml,*/*;q=0.8", PLAIN_TYPE),
        ("*/*", PLAIN_TYPE),
        ("", PLAIN_TYPE),
        (None, PLAIN_TYPE),
    ],
    ids=["2.42", "3", "3 protobuf", "text only", "browser", "curl", "empty", "none"],
)
def test_the_format_is_what_was_asked_for(
    site: Site, accept: str | None, content_type: str
) -> None:
    """Prometheus gets OpenMetrics, other clients plain text, with the matching content type."""
    site.ingest(*history("P F F F"))
    answer = scrape(site, accept)
    assert answer.headers["Content-Type"] == content_type
    assert answer.headers["Vary"] == "Accept, Accept-Encoding"
    parse = openmetrics if content_type == OPENMETRICS_TYPE else plain
    values = {
        sample.name: sample.value for family in parse(answer.text) for sample in family.samples
    }
    assert values["ci_job_consecutive_failures"] == 3.0
    assert values["trunkwatch_source_up"] == 1.0


def test_the_end_mark_stands_once_and_last(site: Site) -> None:
    """OpenMetrics ends with `# EOF`; plain text knows no such thing."""
    for _ in range(2):
        text = scrape(site, PROMETHEUS_3).text
        assert text.endswith("# EOF\n")
        assert text.count("# EOF") == 1
        assert "# EOF" not in scrape(site, TEXT_ONLY).text
        site.ingest(*history("P F F F"))


@pytest.mark.parametrize("accept", [PROMETHEUS_3, TEXT_ONLY], ids=["openmetrics", "plain"])
def test_gzip_says_the_same(site: Site, accept: str) -> None:
    """A compressed scrape is one gzip member and decodes to the uncompressed text."""
    site.ingest(*history("P F F F"), *history("P P P P", named("lint"))[1:])
    zipped = raw_scrape(site, accept)
    text = scrape(site, accept, "identity").text
    assert OWN.sub("", gzip.decompress(zipped).decode()) == OWN.sub("", text)
    member = zlib.decompressobj(wbits=31)
    member.decompress(zipped)
    assert (member.eof, member.unused_data) == (True, b"")


@pytest.mark.parametrize(
    ("header", "zipped"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=1.0, *;q=0.5", True),
        ("*", True),
        ("*;q=0, gzip", True),
        ("gzip;q=0.001", True),
        ("gzip;q=?", True),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("gzip;q=0", False),
        ("gzip; q=0.0, identity", False),
        ("identity", False),
        ("br", False),
        ("", False),
        (None, False),
    ],
)
def test_gzip_only_for_those_who_ask(site: Site, header: str | None, *, zipped: bool) -> None:
    """Whoever does not accept gzip gets plain bytes."""
    answer = scrape(site, TEXT_ONLY, header)
    assert (answer.headers.get("Content-Encoding") == "gzip") is zipped
    assert "trunkwatch_build_info" in answer.text


def test_ci_families_come_when_every_source_has_answered(make_site: MakeSite) -> None:
    """A part of the picture would look like fixed jobs, so that there is none of it before."""
    site = make_site(SOURCE, SOURCE.replace("name: ci", "name: other"))
    assert ci_lines(site.text("/metrics")) == []
    site.ingest(*history("P F F F"))
    early = site.text("/metrics")
    assert ci_lines(early) == []
    assert 'trunkwatch_source_up{source="ci"} 1.0' in early
    assert 'trunkwatch_source_up{source="other"} 0.0' in early
    site.fail("it is gone", source="other")
    assert "ci_job_consecutive_failures{" in site.text("/metrics")
    assert "ci_job_consecutive_failures{" in site.text("/metrics", PROMETHEUS_3)


def test_a_failed_refresh_takes_nothing_away(site: Site) -> None:
    """Both formats keep every CI series when a source fails, with both kinds of `up` at 0."""
    site.ingest(*history("P F F F"))
    before = {
        accept: ci_lines(site.text("/metrics", accept)) for accept in (TEXT_ONLY, PROMETHEUS_3)
    }
    site.fail("it is gone")
    for accept, lines in before.items():
        text = site.text("/metrics", accept)
        up = re.compile(r"^(ci_branch(?:_source)?_up\{.*) 1\.0$")
        assert ci_lines(text) == [up.sub(r"\1 0.0", line) for line in lines]
        assert 'trunkwatch_source_up{source="ci"} 0.0' in text


def ci_lines(text: str) -> list[str]:
    """Return the samples that come from the snapshot; retired jobs are counted by the process."""
    lines = [line for line in text.splitlines() if line.startswith("ci_")]
    return [line for line in lines if not line.startswith("ci_job_retired_total")]


def test_hostile_names_are_escaped_in_labels(site: Site) -> None:
    """A job's name may hold quotes, backslashes and line breaks; no line of its own comes of it."""
    hostile = 'x"} 1\nci_job_broken{job_name="forged\\'
    site.ingest(*history("P F F F", named(hostile)))
    for accept, parse in ((TEXT_ONLY, plain), (PROMETHEUS_3, openmetrics)):
        families = {family.name: family for family in parse(site.text("/metrics", accept))}
        (sample,) = families["ci_job_broken"].samples
        assert sample.labels["job_name"] == hostile
