"""Git repositories that tests create, commit by commit."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

BRANCH = "main"
FIRST_DATE = 1_700_000_000
"""The default date of the first commit (seconds since the epoch); each later one is 60 s later."""


def git(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """Run git in a folder, independent of this machine's git configuration."""
    settings = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_COMMITTER_NAME": "tests",
        "GIT_COMMITTER_EMAIL": "tests@example.com",
        "GIT_AUTHOR_NAME": "author-a",
        "GIT_AUTHOR_EMAIL": "author-a@example.com",
    }
    done = subprocess.run(
        ["git", "-C", str(folder), "-c", f"init.defaultBranch={BRANCH}", *arguments],
        env={**os.environ, **settings, **(env or {})},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


class GitRepo:
    """A bare repository for readers, and a working copy in which commits are created."""

    def __init__(self, folder: Path) -> None:
        """Args:
        folder: an existing folder, for `bare.git` and `work`.
        """
        self.bare = folder / "bare.git"
        self.work = folder / "work"
        git(folder, "init", "--quiet", "--bare", str(self.bare))
        git(folder, "init", "--quiet", str(self.work))
        git(self.work, "remote", "add", "origin", str(self.bare))
        self._commits = 0

    def commit(
        self,
        title: str = "change",
        files: Mapping[str, str | None] | None = None,
        author: str = "author-a",
        date: int | None = None,
    ) -> str:
        """Commit on the current branch; return the full hash.

        Args:
            title: may be empty.
            files: contents by path; None deletes the file.
            author: a handle.
            date: seconds since the epoch; by default a minute after the commit before.
        """
        for name, content in (files or {}).items():
            path = self.work / name
            if content is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content, encoding="utf-8")
        git(self.work, "add", "--all")
        git(
            self.work,
            "commit",
            "--quiet",
            "--allow-empty",
            "--allow-empty-message",
            f"--message={title}",
            env={"GIT_AUTHOR_NAME": author, **self._dated(date)},
        )
        return self.tip()

    def merge(self, branch: str, title: str = "merge") -> str:
        """Merge a branch into the current one, with a merge commit; return its hash."""
        git(
            self.work,
            "merge",
            "--quiet",
            "--no-ff",
            f"--message={title}",
            branch,
            env=self._dated(None),
        )
        return self.tip()

    def checkout(self, branch: str, start: str | None = None) -> None:
        """Check out a branch; with `start`, create or reset it there."""
        if start is None:
            git(self.work, "checkout", "--quiet", branch)
        else:
            git(self.work, "checkout", "--quiet", "-B", branch, start)

    def orphan(self, branch: str) -> None:
        """Check out a new branch without history."""
        git(self.work, "checkout", "--quiet", "--orphan", branch)
        git(self.work, "rm", "-r", "-f", "--quiet", "--ignore-unmatch", ".")

    def push(self, branch: str = BRANCH) -> None:
        """Force-push the current commit to a branch of the bare repository."""
        git(self.work, "push", "--quiet", "--force", "origin", f"{branch}:refs/heads/{branch}")

    def tip(self) -> str:
        """Return the hash of the current commit."""
        return git(self.work, "rev-parse", "HEAD")

    def _dated(self, date: int | None) -> dict[str, str]:
        self._commits += 1
        moment = f"@{FIRST_DATE + 60 * self._commits if date is None else date} +0000"
        return {"GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment}
