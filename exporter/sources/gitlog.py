"""A trunk's order from a local clone: `git log --first-parent`."""

import os
import subprocess
from dataclasses import dataclass

from exporter.domain.model import Commit, Trunk, TrunkOrder
from exporter.errors import GitError

GIT_SECONDS = 120.0
"""How long one git command may take; a fetch of a large repository is slow."""

_FIELDS = "%H%x00%ct%x00%an%x00%s"


@dataclass(frozen=True, slots=True)
class GitLog:
    """Reads the first-parent history of branches of one clone.

    Attributes:
        source: name of the source that asks, for errors.
        path: the clone; bare or not.
        fetch: whether to fetch `origin`, where there is one, before reading.
    """

    source: str
    path: str
    fetch: bool = True

    def update(self) -> None:
        """Fetch `origin` where the clone has one.

        Raises:
            GitError: the clone cannot be read or the remote does not answer.
        """
        if self.fetch and "origin" in self._git("remote").split():
            self._git("fetch", "--quiet", "--no-tags", "origin")

    def order(self, trunk: Trunk, window: int) -> TrunkOrder:
        """Return the newest `window` commits of a branch.

        Raises:
            GitError: the clone cannot be read or does not have the branch.
        """
        ref = self._ref(trunk.branch)
        text = self._git(
            "log", "--first-parent", f"--max-count={window + 1}", f"--format={_FIELDS}", ref, "--"
        )
        commits = [self._commit(line) for line in text.split("\n") if line]
        newest = commits[:window]
        return TrunkOrder(trunk, tuple(reversed(newest)), older_unread=len(commits) > window)

    def _ref(self, branch: str) -> str:
        """A clone's own branch may lag behind what it fetched; what it fetched is the trunk."""
        for ref in (f"refs/remotes/origin/{branch}", f"refs/heads/{branch}"):
            if self._git("for-each-ref", "--count=1", "--format=%(refname)", ref).strip() == ref:
                return ref
        raise GitError(self.source, f"the clone {self.path} has no branch {branch!r}")

    def _commit(self, line: str) -> Commit:
        sha, committed_at, author, title = line.split("\0", 3)
        return Commit(sha, float(committed_at), author, title)

    def _git(self, *arguments: str) -> str:
        command = ["git", "-C", self.path, "-c", "i18n.logOutputEncoding=UTF-8", *arguments]
        environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, timeout=GIT_SECONDS, check=True
            )
        except FileNotFoundError:
            raise GitError(self.source, "git is not installed") from None
        except subprocess.TimeoutExpired:
            raise GitError(
                self.source, f"git {arguments[0]} in {self.path} took over {GIT_SECONDS:g} s"
            ) from None
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace").strip().split("\n")[-1]
            raise GitError(
                self.source, f"git {arguments[0]} in {self.path} failed: {said}"
            ) from None
        return done.stdout.decode(errors="replace")
