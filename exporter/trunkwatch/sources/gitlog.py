"""A trunk's order from a local clone: `git log --first-parent`."""

import os
import re
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from trunkwatch.domain.model import Commit, Trunk, TrunkOrder
from trunkwatch.errors import GitError
from trunkwatch.sources.hashes import full_hash

GIT_SECONDS = 120.0
"""Seconds that one git command may take; a fetch of a large repository is slow."""

_FIELDS = "%H%x00%ct%x00%an%x00%s"

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
"""Credentials in a remote's address, which git may print and no error may show."""

_INHERITED = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE"})
"""Variables that git sets for its hooks; they would override the path of the clone."""


@dataclass(frozen=True, slots=True)
class GitLog:
    """Reads the first-parent history of branches of one clone.

    Attributes:
        path: the clone; bare or not.
        fetch: whether to fetch `origin`, where there is one, before reading.
    """

    path: str
    fetch: bool = True

    def update(self, branches: Collection[str]) -> frozenset[str]:
        """Fetch some branches of `origin`, where the clone has one.

        They are named because a clone made with `--bare` is configured to fetch none: it would keep
        the commits it was made with.

        Returns:
            The branches that `origin` lacks, of which the clone may have old commits.

        Raises:
            GitError: the clone cannot be read, or the remote does not answer.
        """
        if not self.fetch or "origin" not in self._git("remote").split():
            return frozenset()
        try:
            self._fetch(branches)
        except GitError as error:
            # git fetches nothing at all if one of the branches is missing.
            missing = self._missing(branches)
            if not missing:
                raise error from None
            if present := [name for name in branches if name not in missing]:
                self._fetch(present)
            return missing
        return frozenset()

    def _fetch(self, branches: Collection[str]) -> None:
        refs = [f"+refs/heads/{name}:refs/remotes/origin/{name}" for name in branches]
        self._git("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "origin", *refs)

    def _missing(self, branches: Collection[str]) -> frozenset[str]:
        """Return the branches that `origin` lacks; none where it does not answer."""
        try:
            lines = self._git("ls-remote", "--heads", "origin").splitlines()
        except GitError:
            return frozenset()
        return frozenset(branches) - {line.partition("\trefs/heads/")[2] for line in lines}

    def order(self, trunk: Trunk, window: int, missing: Collection[str] = ()) -> TrunkOrder:
        """Return the newest `window` commits of a branch.

        Args:
            trunk: the branch.
            window: the greatest number of commits.
            missing: branches that `update` did not find.

        Raises:
            GitError: the clone cannot be read, or it or its origin does not have the branch.
        """
        if trunk.branch in missing:
            raise GitError(f"the origin of the clone {self.path} has no branch {trunk.branch!r}")
        ref = self._ref(trunk.branch)
        text = self._git(
            "log", "--first-parent", f"--max-count={window + 1}", f"--format={_FIELDS}", ref, "--"
        )
        commits = [self._commit(line) for line in text.split("\n") if line]
        newest = commits[:window]
        older_unread = len(commits) > window or self._is_shallow()
        return TrunkOrder(trunk, tuple(reversed(newest)), older_unread)

    def orders(
        self, trunks: Collection[Trunk], window: int
    ) -> tuple[list[TrunkOrder], dict[Trunk, GitError]]:
        """Return the orders of the trunks, and the errors of those that cannot be read.

        Args:
            trunks: branches of the repository.
            window: the greatest number of commits of each.

        Raises:
            GitError: no trunk can be read.
        """
        missing = self.update([trunk.branch for trunk in trunks])
        orders, errors = [], {}
        for trunk in trunks:
            try:
                orders.append(self.order(trunk, window, missing))
            except GitError as error:
                errors[trunk] = error
        if not orders:
            raise next(iter(errors.values()))
        return orders, errors

    def expand(self, prefixes: Collection[str]) -> dict[str, str]:
        """Return the full hashes of abbreviated ones, of which the clone has exactly one commit.

        Raises:
            GitError: the clone cannot be read.
        """
        asked = list(prefixes)
        if not asked:
            return {}
        text = self._git(
            "cat-file",
            "--batch-check=%(objectname)",
            stdin="".join(f"{prefix}^{{commit}}\n" for prefix in asked),
        )
        pairs = zip(asked, text.splitlines(), strict=True)
        # A branch may have a name of hex digits, which git reads as the branch.
        return {prefix: sha for prefix, sha in pairs if full_hash(sha) and sha.startswith(prefix)}

    def _is_shallow(self) -> bool:
        """Whether the clone was made with `--depth`: its oldest commit is not the first."""
        return self._git("rev-parse", "--is-shallow-repository").strip() == "true"

    def _ref(self, branch: str) -> str:
        """Return the ref of a branch; a clone's own branch may lag behind the fetched one."""
        for ref in (f"refs/remotes/origin/{branch}", f"refs/heads/{branch}"):
            if self._git("for-each-ref", "--count=1", "--format=%(refname)", ref).strip() == ref:
                return ref
        raise GitError(f"the clone {self.path} has no branch {branch!r}")

    def _commit(self, line: str) -> Commit:
        try:
            sha, committed_at, author, title = line.split("\0", 3)
            # Not left out: the commits around it would seem adjacent.
            if full_hash(sha) is None:
                raise ValueError("no hash")
            return Commit(sha, float(int(committed_at)), author, title)
        except (ValueError, OverflowError):
            shown = ascii(line[:100])
            raise GitError(f"git log in {self.path}: a line is no commit: {shown}") from None

    def _git(self, *arguments: str, stdin: str = "") -> str:
        settings = ["-c", "i18n.logOutputEncoding=UTF-8", "-c", "log.showSignature=false"]
        command = ["git", "-C", self.path, *settings, *arguments]
        environment = {key: value for key, value in os.environ.items() if key not in _INHERITED}
        # Without the ceiling, a path that is no repository but lies inside one would mean that one.
        environment["GIT_CEILING_DIRECTORIES"] = str(Path(self.path).resolve().parent)
        environment.update(GIT_TERMINAL_PROMPT="0", LC_ALL="C")
        try:
            done = subprocess.run(
                command,
                env=environment,
                input=stdin.encode(),
                capture_output=True,
                timeout=GIT_SECONDS,
                check=True,
            )
        except FileNotFoundError:
            raise GitError("git is not installed") from None
        except OSError as error:  # such as a lack of file descriptors, memory or processes
            raise GitError(f"git cannot be started: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise GitError(
                f"git {arguments[0]} in {self.path} took over {GIT_SECONDS:g} s"
            ) from None
        except subprocess.CalledProcessError as error:
            said = _complaint(error.stderr.decode(errors="replace"))
            failed = f"git {arguments[0]} in {self.path} failed"
            if arguments[0] in ("fetch", "ls-remote"):  # an answer of the server
                raise GitError(f"{failed}, see the log", detail=said) from None
            raise GitError(f"{failed}: {said}") from None
        return done.stdout.decode(errors="replace")


def _complaint(said: str) -> str:
    """Return the line with the error; progress precedes it, advice follows it."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return _CREDENTIALS.sub("", (fatal or lines or ["it did not say why"])[0])
