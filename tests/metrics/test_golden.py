"""The golden exposition: every family, exactly as Prometheus reads it."""

import re
import subprocess

from trunkwatch.metrics.catalogue import BY_NAME, FAMILIES, Family

from tests.metrics.golden import GOLDEN, exposed
from tests.metrics.reading import plain, samples_of
from tests.support.binaries import binary_path
from tests.support.each import for_each

TEXT = GOLDEN.read_text(encoding="utf-8")
EXPOSED = list(plain(TEXT))
SAMPLES = samples_of(EXPOSED)
HASH = re.compile(r"[0-9a-f]{40}")


def test_the_exposition_is_the_golden_one() -> None:
    """Rendering the sample gives golden.prom; `python -m tests.metrics.golden` writes it anew."""
    assert exposed() == TEXT


def test_promtool_finds_nothing_to_say() -> None:
    """`promtool check metrics` reads the golden exposition and has no remark."""
    checked = subprocess.run(
        [binary_path("promtool"), "check", "metrics"],
        input=TEXT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_promtool_would_complain() -> None:
    """The same check does find a family that breaks a convention."""
    wrong = "# HELP ci_wrong_total Wrong.\n# TYPE ci_wrong_total gauge\nci_wrong_total 1\n"
    checked = subprocess.run(
        [binary_path("promtool"), "check", "metrics"],
        input=wrong,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode != 0
    assert "_total" in checked.stdout + checked.stderr


def test_every_family_is_there() -> None:
    """Each family of the catalogue has a sample in the golden file, and there is no other."""
    assert {name for name, samples in SAMPLES.items() if samples} == set(BY_NAME)
    assert list(SAMPLES) == [family.name for family in sorted(FAMILIES, key=_place)]


def _place(family: Family) -> tuple[int, int]:
    """Families come in the catalogue's order, part by part."""
    scopes = ("job", "branch", "own")
    return scopes.index(family.scope), FAMILIES.index(family)


@for_each("family", FAMILIES, ids=lambda family: family.name)
def test_the_catalogue_is_kept(family: Family) -> None:
    """Help, type and label names of every sample are those of the catalogue."""
    (found,) = [f for f in EXPOSED if f.name == family.name.removesuffix("_total")]
    assert (found.type, found.documentation) == (family.kind, family.help)
    names = {frozenset(sample.labels) for sample in SAMPLES[family.name]}
    assert names == {frozenset(family.labels)}


def test_no_series_is_there_twice() -> None:
    """No two samples have the same name and labels."""
    series = [
        (sample.name, *sorted(sample.labels.items()))
        for samples in SAMPLES.values()
        for sample in samples
    ]
    assert len(series) == len(set(series))


def test_only_info_names_commits() -> None:
    """A commit's hash is in `_info` series only: others keep their identity over commits."""
    assert any(HASH.search(line) for line in TEXT.splitlines() if "_info{" in line)
    assert [line for line in TEXT.splitlines() if "_info{" not in line and HASH.search(line)] == []
