"""The content of a recorded file, line by line: the new facts, and what later lines depend on."""

from collections import defaultdict
from dataclasses import dataclass, field
from hashlib import blake2b

from trunkwatch.domain.model import Commit, Observation, Trunk, TrunkOrder, WorkflowReport
from trunkwatch.engine.facts import AddedCommits, Fact, FilesReport
from trunkwatch.sources.recorded.careful import LineError
from trunkwatch.sources.recorded.lines import CommitLine, LineParser, OrderLine

NO_COMMITS = (
    "a run of {}, of which the file has no commit line;"
    ' add {{"kind":"commit",...}} lines in trunk order, oldest first'
)

Problem = tuple[int, str]
"""The number of a line, and its problem."""

Problems = dict[Trunk | None, list[Problem]]
"""Per trunk the lines that were left out, or in part; under None those of unknown trunks."""


@dataclass(slots=True)
class News:
    """What some lines add.

    Attributes:
        rows: attempts.
        workflows: the states of workflows, in the order of the file.
        files: of commits.
        commits: of each trunk, oldest first.
        truncated: the trunks of which older commits are not in the file.
        complete: the trunks of which the commits are the whole order.
        dropped: the fingerprints of the lines that were left out.
    """

    rows: list[Observation] = field(default_factory=list)
    workflows: list[WorkflowReport] = field(default_factory=list)
    files: list[FilesReport] = field(default_factory=list)
    commits: dict[Trunk, list[Commit]] = field(default_factory=dict)
    truncated: set[Trunk] = field(default_factory=set)
    complete: set[Trunk] = field(default_factory=set)
    dropped: list[bytes] = field(default_factory=list)

    def facts(self) -> list[Fact]:
        """Return the facts to store."""
        facts: list[Fact] = [*self.rows, *self.workflows, *self.files]
        for trunk, commits in self.commits.items():
            order = TrunkOrder(trunk, tuple(commits), trunk in self.truncated)
            facts.append(order if trunk in self.complete else AddedCommits(order))
        return facts


def fingerprint_of(line: bytes) -> bytes:
    """Return a few bytes that stand for a line, which is not kept in memory to count it once."""
    return blake2b(line, digest_size=16).digest()


class Content:
    """All lines that were read so far."""

    def __init__(self) -> None:
        self.news = News()
        self._parser = LineParser()
        self._problems: Problems = defaultdict(list)
        self._shas: dict[Trunk, set[str]] = {}
        self._first_run: dict[Trunk, int] = {}
        self._announced: set[Trunk] = set()
        self._ends_in_commit = False

    @property
    def is_inside_order(self) -> bool:
        """Whether the last line is a commit, and a complete order may not be whole yet."""
        return self._ends_in_commit and bool(self.news.complete)

    def take_news(self) -> News:
        """Return what the lines since the last call add."""
        news, self.news = self.news, News()
        return news

    def forget_facts(self) -> None:
        """Drop the news of the lines so far, whose facts are stored."""
        self.news = News(dropped=self.news.dropped)

    def trunks(self) -> set[Trunk]:
        """Return every trunk that a line names."""
        named = {trunk for trunk in self._problems if trunk is not None}
        return {*self._shas, *self._first_run, *named}

    def problems(self, *, needs_commits: bool) -> Problems:
        """Return the problems of all lines.

        Args:
            needs_commits: whether a run of a trunk without commits is one.
        """
        problems: Problems = defaultdict(list)
        for trunk, each in self._problems.items():
            problems[trunk] += each
        for at, number in self._first_run.items() if needs_commits else ():
            if not self._shas.get(at):
                problems[at].append((number, NO_COMMITS.format(at)))
        return problems

    def try_line(self, number: int, line: bytes) -> LineError | None:
        """Add a line that may be one of which the end is still to be written.

        Returns:
            The error of a line that cannot be used, which is not added.
        """
        try:
            self._add(number, line)
        except LineError as error:
            return error
        return None

    def add(self, number: int, line: bytes) -> None:
        """Add a line that has ended; one that cannot be used is a problem.

        Args:
            number: of the line, from 1.
            line: without white space at its ends.
        """
        error = self.try_line(number, line)
        if error is not None:
            self.drop(number, line, str(error), error.trunk)

    def drop(self, number: int, line: bytes, problem: str, trunk: Trunk | None = None) -> None:
        """Leave a line out.

        Args:
            number: of the line, from 1.
            line: the line, or its beginning.
            problem: of the line.
            trunk: of the line; None where it is unknown.
        """
        self._problems[trunk].append((number, problem))
        self.news.dropped.append(fingerprint_of(line))

    def _add(self, number: int, line: bytes) -> None:
        parsed, problems = self._parser.parse(line)
        self._ends_in_commit = isinstance(parsed, CommitLine)
        if isinstance(parsed, Observation):
            self.news.rows.append(parsed)
            trunk = parsed.trunk
            self._first_run.setdefault(trunk, number)
        elif isinstance(parsed, CommitLine):
            trunk = parsed.trunk
            self._add_commit(parsed)
        elif isinstance(parsed, OrderLine):
            trunk = parsed.trunk
            self._announced.add(trunk)
        elif isinstance(parsed, FilesReport):
            trunk = parsed.trunk
            self.news.files.append(parsed)
        else:
            trunk = parsed.trunk
            self.news.workflows.append(parsed)
        if problems:
            self._problems[trunk] += [(number, each) for each in problems]

    def _add_commit(self, line: CommitLine) -> None:
        trunk, sha = line.trunk, line.commit.sha
        if trunk in self._announced:
            self._begin_order(trunk)
        known = self._shas.setdefault(trunk, set())
        if sha in known:
            error = LineError(f"sha {sha} is in the order of {trunk} already")
            error.trunk = trunk
            raise error
        known.add(sha)
        self.news.commits.setdefault(trunk, []).append(line.commit)
        if line.older_unread:
            self.news.truncated.add(trunk)

    def _begin_order(self, trunk: Trunk) -> None:
        """Let the commits after an `order` line replace those before it."""
        self._announced.discard(trunk)
        self._shas[trunk] = set()
        self.news.commits.pop(trunk, None)
        self.news.truncated.discard(trunk)
        self.news.complete.add(trunk)
