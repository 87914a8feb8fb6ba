"""A trunk's order from real git repositories."""

import resource
from pathlib import Path

import pytest
from trunkwatch.domain.model import Trunk
from trunkwatch.errors import GitError
from trunkwatch.sources.gitlog import GitLog

from tests.sources.reading import REPO, TRUNK
from tests.support.gitrepo import FIRST_DATE, GitRepo, git

WINDOW = 100


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    return GitRepo(tmp_path)


def order(path: Path, trunk: Trunk = TRUNK, *, fetch: bool = True) -> list[str]:
    """Update a clone and return the hashes of a trunk, oldest first."""
    log = GitLog(str(path), fetch)
    missing = log.update([trunk.branch])
    return [commit.sha for commit in log.order(trunk, WINDOW, missing).commits]


def error(path: Path, branch: str = "main") -> str:
    """Return the one line with which reading a clone fails, and the detail of the log."""
    with pytest.raises(GitError) as caught:
        order(path, Trunk(REPO, branch))
    assert len(str(caught.value).splitlines()) == 1
    return ": ".join(filter(None, (str(caught.value), caught.value.detail)))


def pushed(repo: GitRepo, count: int) -> list[str]:
    """Commit and push so many commits; return their hashes, oldest first."""
    commits = [repo.commit(f"change {number}") for number in range(count)]
    repo.push()
    return commits


# ---------------------------------------------------------------------- which commits


def test_commits_stand_oldest_first(repo: GitRepo) -> None:
    """A straight history is read as it was made."""
    commits = pushed(repo, 3)
    assert order(repo.bare) == commits


def test_only_first_parents_are_the_trunk(repo: GitRepo) -> None:
    """Of a merged branch the merge alone is on the trunk, not the commits that it brought."""
    base = repo.commit("base")
    repo.checkout("topic", base)
    topic = repo.commit("on a topic branch", {"topic": ""})
    repo.checkout("main")
    direct = repo.commit("directly", {"direct": ""})
    merge = repo.merge("topic")
    after = repo.commit("after")
    repo.push()
    assert topic not in order(repo.bare)
    assert order(repo.bare) == [base, direct, merge, after]


def test_dates_do_not_order_commits(repo: GitRepo) -> None:
    """A commit with the date of long ago stays where it was made."""
    commits = [repo.commit("a", date=FIRST_DATE), repo.commit("b", date=FIRST_DATE - 10**8)]
    repo.push()
    assert order(repo.bare) == commits


def test_a_commit_has_its_date_author_and_title(repo: GitRepo) -> None:
    """The date is the one at which it was committed, the title the subject alone."""
    repo.commit("Fix the thing\n\nAnd say why.", author="author-b", date=FIRST_DATE)
    repo.push()
    (commit,) = GitLog(str(repo.bare)).order(TRUNK, WINDOW).commits
    assert (commit.committed_at, commit.author) == (FIRST_DATE, "author-b")
    assert commit.title == "Fix the thing"


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("", ""),
        ("Größe ≥ 3 · 修正 😀", "Größe ≥ 3 · 修正 😀"),
        ('say "so" \\ and\ttab', 'say "so" \\ and\ttab'),
        ("a subject\nof two lines", "a subject of two lines"),
        ("-x --flag %H", "-x --flag %H"),
        ("line\u2028separator", "line\u2028separator"),
    ],
)
def test_odd_titles_are_read_as_they_are(repo: GitRepo, message: str, title: str) -> None:
    """Whatever stands in a message, neither it nor its neighbours are torn apart."""
    shas = [repo.commit("before"), repo.commit(message), repo.commit("after")]
    repo.push()
    commits = GitLog(str(repo.bare)).order(TRUNK, WINDOW).commits
    assert [commit.sha for commit in commits] == shas
    assert [commit.title for commit in commits] == ["before", title, "after"]


@pytest.mark.parametrize(("window", "unread"), [(2, True), (3, False), (4, False)])
def test_the_window_cuts_off_what_is_old_and_says_so(
    repo: GitRepo, window: int, unread: bool
) -> None:
    """Exactly as many commits as the window holds leave nothing unread."""
    commits = pushed(repo, 3)
    read = GitLog(str(repo.bare)).order(TRUNK, window)
    assert [commit.sha for commit in read.commits] == commits[-window:]
    assert read.older_unread is unread


def test_a_shallow_clone_has_older_commits_that_nobody_read(repo: GitRepo, tmp_path: Path) -> None:
    """A clone made with --depth ends before the history does."""
    commits = pushed(repo, 3)
    clone = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=2", f"file://{repo.bare}", str(clone))
    read = GitLog(str(clone)).order(TRUNK, WINDOW)
    assert [commit.sha for commit in read.commits] == commits[-2:]
    assert read.older_unread


def test_each_branch_is_a_trunk_of_its_own(repo: GitRepo) -> None:
    """A name may hold slashes, and names a branch even where a tag has it too."""
    base = repo.commit("base")
    repo.push()
    repo.checkout("release/1", base)
    release = repo.commit("release")
    repo.push("release/1")
    git(repo.bare, "tag", "main", release)
    assert order(repo.bare) == [base]
    assert order(repo.bare, Trunk(REPO, "release/1")) == [base, release]


# ---------------------------------------------------------------------- which clone


def test_the_bare_repository_itself_needs_no_fetch(repo: GitRepo) -> None:
    """A pushed commit is read at the next refresh."""
    commits = pushed(repo, 1)
    assert order(repo.bare) == commits
    commits += pushed(repo, 1)
    assert order(repo.bare) == commits


@pytest.mark.parametrize("kind", ["--no-bare", "--bare", "--mirror", "--single-branch"])
def test_a_clone_follows_its_origin(repo: GitRepo, tmp_path: Path, kind: str) -> None:
    """A commit pushed to the origin is read at the next refresh, for every kind of clone."""
    commits = pushed(repo, 1)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", kind, str(repo.bare), str(clone))
    assert order(clone) == commits
    commits += pushed(repo, 2)
    assert order(clone) == commits


def test_a_clone_may_be_kept_up_to_date_by_somebody_else(repo: GitRepo, tmp_path: Path) -> None:
    """With `git_fetch: false` it is read as it is, and the remote is left alone."""
    commits = pushed(repo, 1)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(repo.bare), str(clone))
    more = pushed(repo, 1)
    assert order(clone, fetch=False) == commits
    git(clone, "fetch", "--quiet")
    assert order(clone, fetch=False) == commits + more


def test_a_force_push_is_followed(repo: GitRepo, tmp_path: Path) -> None:
    """The order is that of the new tip, in the repository and in its clone."""
    kept, dropped = pushed(repo, 2)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(repo.bare), str(clone))
    assert order(clone) == [kept, dropped]
    git(repo.work, "reset", "--quiet", "--hard", kept)
    replaced = pushed(repo, 1)
    assert order(repo.bare) == [kept, *replaced]
    assert order(clone) == [kept, *replaced]


def test_the_clones_own_branch_is_not_the_trunk(repo: GitRepo, tmp_path: Path) -> None:
    """What somebody commits in the clone, and never pushes, is not on the trunk."""
    commits = pushed(repo, 1)
    folder = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(repo.bare), str(folder))
    git(folder, "commit", "--quiet", "--allow-empty", "--message=mine")
    assert order(folder) == commits


# ---------------------------------------------------------------------- what goes wrong


def test_a_branch_that_is_missing_is_an_error(repo: GitRepo, tmp_path: Path) -> None:
    """It is named, in a repository and in a clone of it."""
    pushed(repo, 1)
    text = f"the clone {repo.bare} has no branch 'release'"
    assert error(repo.bare, "release") == text
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(repo.bare), str(clone))
    assert error(clone, "release") == f"the origin of the clone {clone} has no branch 'release'"


def test_a_branch_that_its_origin_lost_does_not_stop_the_others(
    repo: GitRepo, tmp_path: Path
) -> None:
    """The others are fetched, and the old commits of the lost one are not taken for its newest."""
    base = repo.commit("base")
    repo.push()
    git(repo.bare, "branch", "release", base)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(repo.bare), str(clone))
    git(repo.bare, "branch", "--quiet", "-D", "release")
    news = pushed(repo, 1)
    log = GitLog(str(clone))
    missing = log.update(["release", "main"])
    assert missing == {"release"}
    assert [c.sha for c in log.order(TRUNK, WINDOW, missing).commits] == [base, *news]
    with pytest.raises(GitError, match="has no branch 'release'"):
        log.order(Trunk(REPO, "release"), WINDOW, missing)


def test_a_repository_without_commits_is_an_error(repo: GitRepo) -> None:
    """Nothing was pushed yet: the branch is missing."""
    assert error(repo.bare) == f"the clone {repo.bare} has no branch 'main'"


def test_what_is_no_repository_is_an_error(tmp_path: Path) -> None:
    """The folder is named."""
    text = error(tmp_path)
    assert f"in {tmp_path} failed: fatal: not a git repository" in text


def test_a_folder_inside_a_repository_is_no_repository(repo: GitRepo) -> None:
    """A mistake in the path must not mean whatever repository lies around it."""
    repo.commit("base", {"sub/file": ""})
    assert "not a git repository" in error(repo.work / "sub")


def test_a_path_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """The path is named."""
    assert f"cannot change to '{tmp_path / 'nowhere'}'" in error(tmp_path / "nowhere")


def test_an_origin_that_is_gone_is_an_error_that_says_so(repo: GitRepo, tmp_path: Path) -> None:
    """Of git's output, the error contains the line that names the cause."""
    pushed(repo, 1)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(repo.bare), str(clone))
    repo.bare.rename(tmp_path / "elsewhere.git")
    text = error(clone)
    assert text.startswith(f"git fetch in {clone} failed, see the log: fatal: ")
    assert "does not appear to be a git repository" in text


def test_a_password_in_the_address_of_origin_is_not_told(repo: GitRepo) -> None:
    """An error may name the host, never what opens it."""
    pushed(repo, 1)
    git(repo.bare, "remote", "add", "origin", "http://user:hunter2@127.0.0.1:1/r.git")
    text = error(repo.bare)
    assert "127.0.0.1:1" in text
    assert "hunter2" not in text
    assert "user:" not in text


def test_a_git_that_repeats_the_password_is_cut_short(
    repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not every version of git, nor every helper of it, hides what stands in an address."""
    talkative = tmp_path / "bin" / "git"
    talkative.parent.mkdir()
    said = "fatal: unable to access 'https://user:hunter2@host/r.git/'"
    talkative.write_text(f'#!/bin/sh\necho "{said}" >&2\nexit 128\n')
    talkative.chmod(0o755)
    monkeypatch.setenv("PATH", str(talkative.parent))
    assert error(repo.bare).endswith("fatal: unable to access 'https://host/r.git/'")


def test_a_machine_without_git_is_told_to_install_it(
    repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the missing part."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert error(repo.bare) == "git is not installed"


def test_a_lack_of_descriptors_is_an_error_of_the_source(repo: GitRepo) -> None:
    """Git cannot be started without pipes."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, files[1]))
    try:
        assert error(repo.bare) == "git cannot be started: Too many open files"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, files)


@pytest.mark.parametrize("key", ["GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR"])
def test_what_git_tells_its_hooks_does_not_lead_astray(
    repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """The configured clone is read even if a hook of another repository starts the process."""
    commits = pushed(repo, 1)
    (tmp_path / "other").mkdir()
    other = GitRepo(tmp_path / "other")
    monkeypatch.setenv(key, str(other.bare))
    assert order(repo.bare) == commits


def test_settings_of_the_machine_do_not_change_what_is_read(
    repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signatures, colours and formats are for people, even where commits are signed."""
    commits = [*pushed(repo, 2), _signed(repo)]
    gpg = tmp_path / "gpg"
    gpg.write_text("#!/bin/sh\necho 'gpg: a bad signature' >&2\nexit 1\n")
    gpg.chmod(0o755)
    settings = tmp_path / "gitconfig"
    settings.write_text(
        "[log]\n showSignature = true\n date = relative\n decorate = full\n"
        "[color]\n ui = always\n[i18n]\n logOutputEncoding = latin1\n"
        f"[format]\n pretty = fuller\n[gpg]\n program = {gpg}\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    assert order(repo.bare) == commits


def _signed(repo: GitRepo) -> str:
    """Push a commit with a signature, for what it is worth; return its hash."""
    plain = git(repo.work, "cat-file", "commit", "HEAD")
    head, _, message = plain.partition("\n\n")
    armour = "-----BEGIN PGP SIGNATURE-----\n \n abc\n -----END PGP SIGNATURE-----"
    path = repo.work / "signed"
    tree, *_, author, committer = head.splitlines()
    lines = [tree, f"parent {repo.tip()}", author, committer, f"gpgsig {armour}", "", message]
    path.write_text("\n".join(lines) + "\n")
    signed = git(repo.work, "hash-object", "-t", "commit", "-w", str(path))
    git(repo.work, "reset", "--quiet", "--hard", signed)
    repo.push()
    return signed


# ---------------------------------------------------------------------- abbreviated hashes


@pytest.mark.parametrize("digits", [7, 12, 39])
def test_an_abbreviated_hash_is_expanded(repo: GitRepo, digits: int) -> None:
    """A prefix of one commit of the clone is that commit."""
    first, second = pushed(repo, 2)
    asked = [first[:digits], second[:digits]]
    assert GitLog(str(repo.bare)).expand(asked) == {asked[0]: first, asked[1]: second}


def test_a_hash_that_is_not_in_the_clone_is_not_expanded(repo: GitRepo) -> None:
    """Nor is a branch whose name is hex digits."""
    (commit,) = pushed(repo, 1)
    git(repo.bare, "branch", "deadbee", commit)
    absent = f"{int(commit[:8], 16) ^ 1:08x}"
    assert GitLog(str(repo.bare)).expand([absent, "deadbee"]) == {}
    assert GitLog(str(repo.bare)).expand([]) == {}


def test_an_abbreviated_hash_of_two_commits_is_not_expanded(repo: GitRepo) -> None:
    """A prefix that two commits share is neither of them."""
    tree = git(repo.work, "write-tree")
    dates = {"GIT_AUTHOR_DATE": "1700000000 +0000", "GIT_COMMITTER_DATE": "1700000000 +0000"}
    # These two titles were searched for: the hashes begin with the same four digits.
    first, second = (
        git(repo.work, "commit-tree", tree, "-m", title, env=dates)
        for title in ("twin 13", "twin 127")
    )
    assert first[:4] == second[:4]
    assert GitLog(str(repo.work)).expand([first[:4], first[:12]]) == {first[:12]: first}
