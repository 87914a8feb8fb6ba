"""Repositories and branches of a source, named in full or by globs."""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ValidationError, model_validator

from trunkwatch.config.fields import AtLeastOne, label_name
from trunkwatch.config.section import Section
from trunkwatch.patterns import Pattern
from trunkwatch.quoting import quoted

DEFAULT_BRANCH = "HEAD"
"""The entry that stands for a repository's default branch, whatever its name is."""

_REPO_GLOB = re.compile(r"[\w.*?-]+/[\w.*?-]+")

_PROJECT_GLOB = re.compile(r"[\w.+-]+(?:/[\w.+*?-]+)+")
"""https://docs.gitlab.com/user/reserved_names/#rules-for-usernames-project-and-group-names-and-slugs"""

_NO_BRANCH = re.compile(r"[\s~^:\\\[\x00-\x1f\x7f\ud800-\udfff]|\.\.|@\{|//|^[/-]|[/.]$|^refs/")
"""https://git-scm.com/docs/git-check-ref-format, without its rule about wildcards."""


def is_glob(name: str) -> bool:
    """Return whether a name has a wildcard: no repository and no branch has one in its name."""
    return "*" in name or "?" in name


@cache
def _compiled(glob: str) -> Pattern:
    wildcards = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*|\*|\?)", glob)
    return Pattern("(?s)" + "".join(wildcards.get(part, re.escape(part)) for part in parts))


def glob_matches(glob: str, name: str) -> bool:
    """Return whether a glob matches a name in full.

    `*` and `?` stand for anything but a slash, `**` also for slashes.
    """
    return _compiled(glob).fullmatch(name)


def repo_matches(glob: str, repo: str) -> bool:
    """Return whether a glob matches a repository; upper and lower case are the same on GitHub."""
    return glob_matches(glob.lower(), repo.lower())


def _repo_glob(value: str) -> str:
    if not _REPO_GLOB.fullmatch(value):
        raise ValueError(f"must be owner/name, or a glob such as acme/* (got {quoted(value)})")
    if is_glob(value.partition("/")[0]):
        raise ValueError(f"the owner must be named in full, as in acme/* (got {quoted(value)})")
    return label_name(value)


def _excluded(value: str) -> str:
    if not _REPO_GLOB.fullmatch(value):
        raise ValueError(f"must be owner/name, or a glob such as acme/old-* (got {quoted(value)})")
    return value


def _project_glob(value: str) -> str:
    if not _PROJECT_GLOB.fullmatch(value):
        raise ValueError(
            "must be the path of a project such as group/sub/project, or a glob below a group such"
            f" as group/* or group/** (got {quoted(value)})"
        )
    return label_name(value)


def _branch_glob(value: str) -> str:
    if not value or _NO_BRANCH.search(value):
        raise ValueError(
            "must be a branch such as main, a glob such as release/*, or"
            f" {DEFAULT_BRANCH} for the default branch (got {quoted(value)})"
        )
    return label_name(value)


def _or_text(section: type[Section]) -> Callable[[Any], Any]:
    """Return a validator that takes a text as a mapping with the key `name` alone."""

    def read(value: Any) -> Any:
        if isinstance(value, dict | section):
            return value
        if not isinstance(value, str):
            raise ValueError("must be a name or a glob in quotes, or a mapping with the key name")
        try:
            return section.model_validate({"name": value})
        except ValidationError as error:
            raise ValueError(str(error.errors()[0]["ctx"]["error"])) from None

    return read


class BranchSection(Section):
    """Branches to watch.

    Attributes:
        name: of one branch, or a glob; `HEAD` is the default branch.
        newest: the most branches that a glob selects, those with the newest commits.
    """

    name: Annotated[str, AfterValidator(_branch_glob)]
    newest: AtLeastOne | None = None

    @model_validator(mode="after")
    def _limits_a_glob(self) -> "BranchSection":
        if self.newest is not None and not self.is_glob:
            raise ValueError(
                f"newest: limits a glob such as release/*, and {self.name} is one branch"
            )
        return self

    @property
    def is_glob(self) -> bool:
        """Whether it may select several branches."""
        return is_glob(self.name)

    @property
    def is_default(self) -> bool:
        """Whether it selects the default branch."""
        return self.name == DEFAULT_BRANCH

    def may_select(self, branch: str) -> bool:
        """Return whether a branch is one of these, as far as its name shows it."""
        return self.is_default or glob_matches(self.name, branch)


BranchEntry = Annotated[BranchSection, BeforeValidator(_or_text(BranchSection))]
"""A branch or a glob as text, or a mapping."""

DEFAULT_ONLY = (BranchSection(name=DEFAULT_BRANCH),)
"""The branches of a repository for which none are configured."""


class RepoSection(Section):
    """Repositories to read.

    Attributes:
        name: owner/name, or a glob of an owner's repositories.
        branches: to watch in each; those of the source when empty.
    """

    name: Annotated[str, AfterValidator(_repo_glob)]
    branches: tuple[BranchEntry, ...] = ()

    @property
    def is_glob(self) -> bool:
        """Whether it may select several repositories."""
        return is_glob(self.name)

    @property
    def owner(self) -> str:
        """The owner's login."""
        return self.name.partition("/")[0]


RepoEntry = Annotated[RepoSection, BeforeValidator(_or_text(RepoSection))]
"""A repository or a glob as text, or a mapping."""

ExcludeEntry = Annotated[str, AfterValidator(_excluded)]
"""A repository to leave out, or a glob."""


ProjectGlob = Annotated[str, AfterValidator(_project_glob)]
"""A project of GitLab by its path, or a glob of a group's."""

OwnerGlob = Annotated[str, AfterValidator(_repo_glob)]
"""A repository of Gitea, or a glob of an owner's."""


def contradiction(repos: Sequence[RepoSection], exclude: Sequence[str]) -> str | None:
    """Return the contradiction between `repos` and `exclude`, if there is one."""
    for place, glob in enumerate(exclude):
        for entry in repos:
            if not entry.is_glob and repo_matches(glob, entry.name):
                return (
                    f"exclude[{place}]: {quoted(glob)} leaves out {entry.name}, which repos names;"
                    " remove one of the two"
                )
        owner = glob.partition("/")[0]
        if not any(entry.is_glob and repo_matches(owner, entry.owner) for entry in repos):
            return (
                f"exclude[{place}]: {quoted(glob)} leaves out nothing, since no glob of repos has"
                " that owner; remove it"
            )
    return None
