"""Lines with the files that commits change."""

import pytest
from trunkwatch.domain.suspects import PATHS_LIMIT, ChangedFiles, Span
from trunkwatch.sources.recorded import recorded_lines

from tests.sources.reading import TRUNK
from tests.sources.recorded.file import COMMIT, MISSING, A, B, File, changed

FILES = {**COMMIT, "kind": "files", "files": ["a/b.py", "c d.py"]}
KNOWN = {Span(A): ChangedFiles(("a/b.py", "c d.py"), is_complete=True)}


def stored(file: File) -> object:
    """Return the files that are stored after a refresh."""
    file.reader.refresh()
    return file.reader.store.load().files.get(TRUNK)


def test_files_are_read_and_written_again(file: File) -> None:
    """A commit's files, those of several together, and incomplete ones read back as written."""
    some = {**FILES, "since": B, "files": ["x"], "more_files": True}
    file.write(FILES, COMMIT, some)
    known = {**KNOWN, Span(A, B): ChangedFiles(("x",), is_complete=False)}
    assert stored(file) == known
    order = file.reader.store.load().orders[TRUNK]
    again = File(file.path.with_name("again.ndjson"))
    again.path.write_text("".join(recorded_lines(order, [], {}, known)), encoding="utf-8")
    assert stored(again) == known


def test_files_may_come_later(file: File) -> None:
    """A line that is appended adds files to a commit that was read before."""
    file.write(COMMIT)
    assert stored(file) is None
    file.write(COMMIT, FILES)
    assert stored(file) == KNOWN


def test_unknown_keys_do_not_matter(file: File) -> None:
    """A line with another key, or with a key that is null, is read all the same."""
    file.write(COMMIT, {**FILES, "since": None, "more_files": None, "note": "x"})
    assert stored(file) == KNOWN


def test_too_many_files_are_not_all(file: File) -> None:
    """Beyond the limit the rest is left out, and the files count as incomplete."""
    file.write(COMMIT, {**FILES, "files": [str(number) for number in range(PATHS_LIMIT + 1)]})
    stored(file)
    (files,) = file.reader.store.load().files[TRUNK].values()
    assert (len(files.paths), files.is_complete) == (PATHS_LIMIT, False)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("files", MISSING, "files is missing; it must be a list of texts"),
        ("files", None, "files must be a list of texts"),
        ("files", "a.py", "files must be a list of texts"),
        ("files", [1], "files must be a list of texts"),
        ("sha", "x", "sha must be a full hash"),
        ("since", "x", "since must be a full hash"),
        ("since", 5, "since must be a full hash"),
        ("more_files", "yes", "more_files must be true or false"),
    ],
)
def test_a_wrong_value_is_named(file: File, key: str, value: object, problem: str) -> None:
    """An error names the line, the key and the expected value."""
    file.write(COMMIT, changed(FILES, key, value))
    assert file.error().startswith(f"{file.path}:2: {problem}")
