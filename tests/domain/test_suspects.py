"""The order of suspects by evidence, and the files to read for it."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from trunkwatch.domain.blame import Blame
from trunkwatch.domain.model import RawJob
from trunkwatch.domain.suspects import (
    NO_FILES,
    PATH_CHARACTERS,
    PATHS_CHARACTERS,
    PATHS_LIMIT,
    RANKED_COMMITS,
    RANKED_RANGES,
    UNREADABLE_FILES,
    ChangedFiles,
    FileEvidence,
    Span,
    SuspectEvidence,
    changed_files,
    clues_of,
    ranked_suspects,
    unread_files_of,
)

from tests.domain.builders import job_state
from tests.vectors.notation import sha_of

FAILED, NAMED, WORKFLOW, OTHER, UNKNOWN = SuspectEvidence
MESSAGE = "test/test_ops.py:12: expected 3, got 4"
CI = ".github/workflows/ci.yml"


def blamed(
    history: str = "P . . . F",
    *annotations: str,
    step: str | None = None,
    workflow: str | None = CI,
) -> Blame:
    """Return the blame of a history whose first failing run reports this."""
    blame = job_state(history).blame
    assert blame is not None
    run = blame.run.changed(job=RawJob("ci", workflow, "job"))
    return replace(blame, annotations=annotations, failed_step=step, run=run)


def files(*paths: str) -> ChangedFiles:
    return ChangedFiles(paths, is_complete=True)


def of_commits(**paths: str) -> dict[Span, ChangedFiles]:
    """Return the files of commits, by the letter and place of each, such as `c1`."""
    return {Span(sha_of(int(name[1:]))): files(*text.split()) for name, text in paths.items()}


def ranking(blame: Blame, known: Mapping[Span, ChangedFiles]) -> list[tuple[int, SuspectEvidence]]:
    """Return the places of the suspects in the order of evidence, with that evidence."""
    places = {sha_of(place): place for place in range(100)}
    return [(places[each.commit.sha], each.evidence) for each in ranked_suspects(blame, known)]


# ---------------------------------------------------------------------- the order


def test_each_class_stands_before_the_next() -> None:
    """First bad comes first, then the named file, then the workflow, then the others."""
    known = of_commits(c1="README.md", c2=CI, c3="test/test_ops.py", c4="README.md")
    assert ranking(blamed("P . . . F", MESSAGE), known) == [
        (4, FAILED),
        (3, NAMED),
        (2, WORKFLOW),
        (1, OTHER),
    ]


def test_the_class_counts_before_the_place() -> None:
    """An old commit with evidence stands before newer ones without."""
    known = of_commits(c1="test/test_ops.py", c2=CI, c3="README.md")
    order = [place for place, _ in ranking(blamed("P . . . F", MESSAGE), known)]
    assert order == [4, 1, 2, 3]


def test_of_the_same_class_the_newest_comes_first() -> None:
    """Suspects with equal evidence keep the order of the trunk, the newest first."""
    known = of_commits(c1="test/test_ops.py", c2="x", c3="test/test_ops.py")
    order = [place for place, _ in ranking(blamed("P . . . F", MESSAGE), known)]
    assert order == [4, 3, 1, 2]


def test_nothing_known_changes_no_order() -> None:
    """Without any files the suspects stand newest first, and only first bad has evidence."""
    assert ranking(blamed(), NO_FILES) == [(4, FAILED), (3, UNKNOWN), (2, UNKNOWN), (1, UNKNOWN)]


def test_unknown_files_are_as_others() -> None:
    """A commit of unknown files is ranked with those that change nothing of interest."""
    known = of_commits(c1="x", c3="x")
    assert ranking(blamed(), known) == [(4, FAILED), (3, OTHER), (2, UNKNOWN), (1, OTHER)]


def test_incomplete_files_exonerate_no_commit() -> None:
    """A commit of which some files are missing may change the named one."""
    blame = blamed("P . F", MESSAGE)
    some = ChangedFiles(("README.md",), is_complete=False)
    assert ranking(blame, {Span(sha_of(1)): some}) == [(2, FAILED), (1, UNKNOWN)]
    named = ChangedFiles(("test/test_ops.py",), is_complete=False)
    assert ranking(blame, {Span(sha_of(1)): named}) == [(2, FAILED), (1, NAMED)]


def test_a_range_without_evidence_shows_it_of_each() -> None:
    """If all suspects together change no file of interest, none of them does."""
    span = Span(sha_of(2), sha_of(0))
    blame = blamed("P . F", MESSAGE)
    assert ranking(blame, {span: files("README.md")}) == [(2, FAILED), (1, OTHER)]
    assert ranking(blame, {span: files("test/test_ops.py")}) == [(2, FAILED), (1, UNKNOWN)]
    assert ranking(blame, {span: UNREADABLE_FILES}) == [(2, FAILED), (1, UNKNOWN)]


def test_no_suspects_have_no_order() -> None:
    """Without last good there is nothing to rank, and nothing to read."""
    blame = blamed("F F F", MESSAGE)
    assert ranking(blame, of_commits(c1="x")) == []
    assert unread_files_of([blame], NO_FILES) == []


# ---------------------------------------------------------------------- named files


@pytest.mark.parametrize(
    "text",
    [
        "test/test_ops.py:12: AssertionError",
        'File "/home/runner/work/r/r/test/test_ops.py", line 12, in test_sum',
        r"D:\a\r\r\test\test_ops.py(12): error C2065",
        "./test/test_ops.py failed",
        "../test/test_ops.py failed",
        "FAILED test_ops.py::test_sum.",
        "see test/test_ops.py.",
        "https://git.example/o/r/blob/main/test/test_ops.py#L12",
    ],
)
def test_a_file_is_named_in_many_ways(text: str) -> None:
    """A path from the root, a place on disk, a link and a bare name mean the file."""
    found = clues_of(blamed("P . F", text)).evidence_of(files("README.md", "test/test_ops.py"))
    assert found == FileEvidence(NAMED, "test/test_ops.py")


@pytest.mark.parametrize(
    "text",
    [
        "test/test_ops.pyc",
        "other/test_ops.py:12",
        "/usr/lib/python3/test_ops.py",
        "Process completed with exit code 1.",
        "test",
        "ops.py",
        "/",
        "...",
        "",
    ],
)
def test_another_name_means_another_file(text: str) -> None:
    """A file of another folder, a part of a name and a plain word are no evidence."""
    found = clues_of(blamed("P . F", text)).evidence_of(files("test/test_ops.py", "test"))
    assert found == FileEvidence(OTHER)


def test_the_failed_step_names_files_too() -> None:
    """A step such as `Run ci/test.sh` names a file as an annotation does."""
    found = clues_of(blamed("P . F", step="Run ci/test.sh")).evidence_of(files("ci/test.sh"))
    assert found == FileEvidence(NAMED, "ci/test.sh")


def test_a_whole_path_is_meant_before_an_end() -> None:
    """If a name is the path of one file and the end of another, it means the first."""
    clues = clues_of(blamed("P . F", "setup.py: error"))
    assert clues.evidence_of(files("a/setup.py", "setup.py")).path == "setup.py"


# ---------------------------------------------------------------------- the workflow


@pytest.mark.parametrize(
    ("workflow", "paths", "found"),
    [
        (CI, (".github/actions/a.yml", CI), CI),
        (CI, ("x", ".github/actions/a.yml"), ".github/actions/a.yml"),
        (CI, ("docs/.github/x", ".github"), None),
        (".gitlab-ci.yml", (".gitlab-ci.yml",), ".gitlab-ci.yml"),
        (".gitlab-ci.yml", (".gitignore", "x/.gitlab-ci.yml"), None),
        ("ci/build.yml", ("ci/build.yml",), "ci/build.yml"),
        ("ci/build.yml", ("ci/other.yml",), None),
        (None, (CI, "x"), None),
    ],
)
def test_the_workflow_and_what_stands_beside_it(
    workflow: str | None, paths: tuple[str, ...], found: str | None
) -> None:
    """The workflow's own file counts, and each file of its hidden top folder."""
    clues = clues_of(blamed("P . F", workflow=workflow))
    kind = OTHER if found is None else WORKFLOW
    assert clues.evidence_of(files(*paths)) == FileEvidence(kind, found)


# ---------------------------------------------------------------------- bounds


def test_paths_are_bounded() -> None:
    """Texts that are too long, too many or cannot be shown are left out, and are missed."""
    long = "x" * PATH_CHARACTERS
    assert changed_files(["a", long, "a", ""], is_complete=True) == files("a", long)
    for path in (long + "x", "a\x1b[31m", "a\nb", None, 7):
        assert changed_files(["a", path], is_complete=True) == ChangedFiles(("a",), False)
    many = [str(number) for number in range(PATHS_LIMIT)]
    assert changed_files(many, is_complete=True) == files(*many)
    assert changed_files([*many, "a"], is_complete=True) == ChangedFiles(tuple(many), False)
    large = [f"{number:0{PATH_CHARACTERS}}" for number in range(PATHS_LIMIT)]
    kept = changed_files(large, is_complete=True)
    assert (len(kept.paths), kept.is_complete) == (PATHS_CHARACTERS // PATH_CHARACTERS, False)
    assert not changed_files(["a"], is_complete=False).is_complete


# ---------------------------------------------------------------------- what to read


def test_the_range_is_read_first_and_each_commit_where_it_helps() -> None:
    """One comparison comes first, and the files of each suspect only if they may discriminate."""
    blame, span = blamed("P . F", MESSAGE), Span(sha_of(2), sha_of(0))
    assert unread_files_of([blame], NO_FILES) == [span]
    assert unread_files_of([blame], {span: files("README.md")}) == []
    for together in (files("test/test_ops.py"), files(CI), UNREADABLE_FILES):
        known = {span: together}
        assert unread_files_of([blame], known) == [Span(sha_of(2)), Span(sha_of(1))]
        known[Span(sha_of(2))] = UNREADABLE_FILES
        assert unread_files_of([blame], known) == [Span(sha_of(1))]


def test_a_single_suspect_needs_no_files() -> None:
    """Nothing is read where one suspect is left."""
    assert unread_files_of([blamed("P F")], NO_FILES) == []


def test_only_the_newest_suspects_are_read() -> None:
    """Of many suspects, those nearest to first bad are read."""
    history = f"P{' .' * RANKED_COMMITS} F"
    blame, span = blamed(history), Span(sha_of(RANKED_COMMITS + 1), sha_of(0))
    found = unread_files_of([blame], {span: UNREADABLE_FILES})
    assert found == [Span(sha_of(place)) for place in range(RANKED_COMMITS + 1, 1, -1)]


def test_outages_with_the_same_suspects_share_a_comparison() -> None:
    """One range is read once, and its commits if any of its outages needs them."""
    blames, span = [blamed("P . F"), blamed("P . F", MESSAGE)], Span(sha_of(2), sha_of(0))
    assert unread_files_of(blames, NO_FILES) == [span]
    assert len(unread_files_of(blames, {span: files("test/test_ops.py")})) == 2


def test_only_the_newest_ranges_are_read() -> None:
    """Of many outages that began at different commits, the newest are ranked."""
    histories = [f"P{' .' * length} F" for length in range(1, RANKED_RANGES + 2)]
    found = unread_files_of(map(blamed, [*histories, histories[-1]]), NO_FILES)
    newest = range(RANKED_RANGES + 2, 2, -1)
    assert found == [Span(sha_of(place), sha_of(0)) for place in newest]
