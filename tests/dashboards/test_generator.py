"""The committed JSON equals the generator's output."""

from pathlib import Path

import pytest

from dashboards import build
from tests.dashboards.model import FILES, load, targets, variables


def test_every_committed_dashboard_equals_the_generator_s_output() -> None:
    """No JSON file was edited by hand or is outdated."""
    assert build.outdated() == []


def test_the_generator_knows_every_dashboard() -> None:
    """The JSON files of the folder are exactly those of the generator's table."""
    assert {file.name for file in FILES} == set(build.DASHBOARDS)


def test_check_passes_on_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The generator writes the files, and --check then exits 0 and writes nothing."""
    monkeypatch.setattr(build, "FOLDER", tmp_path)
    assert build.main([]) == 0
    written = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert build.main(["--check"]) == 0
    assert written == {file.name: file.read_bytes() for file in tmp_path.iterdir()}


@pytest.mark.parametrize("change", ["edited", "missing"])
def test_check_fails_on_a_file_that_differs(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--check exits 1, names the file and the command, and repairs nothing."""
    monkeypatch.setattr(build, "FOLDER", tmp_path)
    build.main([])
    file = tmp_path / "trunk.json"
    if change == "edited":
        file.write_text(file.read_text().replace("Broken now", "Sound now"))
    else:
        file.unlink()
    left = file.read_text() if file.exists() else None
    assert build.main(["--check"]) == 1
    assert capsys.readouterr().err == "trunk.json is outdated: run 'python dashboards/build.py'\n"
    assert (file.read_text() if file.exists() else None) == left


def test_another_trunkwatch_has_dashboards_of_its_own(tmp_path: Path) -> None:
    """Each selector of scraped series gets more matchers, and links lead to other addresses."""
    selector = 'cluster="a\\"b"'
    page = "https://ci.example/trunkwatch"
    assert (
        build.main(["--selector", selector, "--page", f"{page}/", "--output", str(tmp_path)]) == 0
    )
    for file in FILES:
        standard, written = load(file), load(tmp_path / file.name)
        for (_, old), (_, new) in zip(targets(standard), targets(written), strict=True):
            old_expr = old["expr"].replace("http://localhost:10077", page)
            assert new["expr"] == old_expr.replace('job=~"$job"', f'{selector}, job=~"$job"')
        assert variables(written)["page"]["query"] == page
    assert build.outdated() == []


def test_a_selector_is_label_matchers(capsys: pytest.CaptureFixture[str]) -> None:
    """Any other text is an error that shows what would be right."""
    with pytest.raises(SystemExit):
        build.main(["--selector", "cluster"])
    assert 'such as job="ci"' in capsys.readouterr().err
