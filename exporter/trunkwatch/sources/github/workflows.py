"""The workflows of a trunk: deleted, disabled by a person, or disabled by GitHub.

https://docs.github.com/en/rest/actions/workflows, https://docs.github.com/en/rest/repos/contents
"""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import quote

from trunkwatch.domain.model import WorkflowReport, WorkflowState
from trunkwatch.errors import NotFoundError
from trunkwatch.github import TOTAL
from trunkwatch.rest.lists import Listing
from trunkwatch.sources.github.rights import Right
from trunkwatch.sources.github.state import Kind, TrunkContext

FOLDER = ".github/workflows"

RECHECK_SECONDS = 600.0
"""Seconds after which the states are read again; unchanged ones are free."""

STATES: Mapping[str, WorkflowState] = {
    "active": WorkflowState.ACTIVE,
    "deleted": WorkflowState.DELETED,
    "disabled_manually": WorkflowState.DISABLED,
    "disabled_fork": WorkflowState.DISABLED,
    "disabled_inactivity": WorkflowState.INACTIVE,
}


class Workflow(NamedTuple):
    """One workflow.

    Attributes:
        path: its file, which identifies it.
        state: as GitHub names it.
    """

    path: str
    state: str


def _workflow_of(row: Mapping[str, Any]) -> Workflow:
    path, state = row["path"], row["state"]
    if not (isinstance(path, str) and isinstance(state, str)):
        raise ValueError(f"a workflow with the path {path!r} and the state {state!r}")
    return Workflow(path.partition("@")[0], state)


def _file_of(row: Mapping[str, Any]) -> str:
    path = row["path"]
    if not isinstance(path, str):
        raise ValueError(f"a file with the path {path!r}")
    return path


WORKFLOWS: Listing[Workflow] = Listing(
    _workflow_of, lambda each: each.path, key="workflows", total=TOTAL
)
FILES: Listing[str] = Listing(_file_of, lambda path: path)


@dataclass(frozen=True, slots=True)
class WorkflowStates:
    """Reads the states of the workflows of one trunk."""

    context: TrunkContext

    def is_due(self, tip: str) -> bool:
        """Return whether the states are to be read now.

        Args:
            tip: the newest commit, which may have changed a workflow's file.
        """
        entry = self.context.state.get(Kind.WORKFLOWS_READ) or {}
        changed: bool = entry.get("tip") != tip
        age: float = self.context.now - entry.get("at", 0.0)
        return self.context.may(Right.WORKFLOWS) and (changed or age >= RECHECK_SECONDS)

    def read(self, tip: str) -> Iterator[WorkflowReport]:
        """Yield the workflows with a state that has changed."""
        try:
            workflows = self.context.client.whole_list(
                f"{self.context.repo_path}/actions/workflows", (), WORKFLOWS
            )
        except NotFoundError:
            self.context.refused(Right.WORKFLOWS)
            return
        self.context.granted(Right.WORKFLOWS)
        # A workflow that GitHub runs by itself (`dynamic/…`) has no file.
        with_file = {each.path for each in workflows if each.path.startswith(f"{FOLDER}/")}
        missing = self._without(with_file)
        if any(not self._state_of(path) for path in missing):
            # An old repository lists hundreds of them: one more request instead of one for each.
            missing = self._without(missing)
        for each in workflows:
            state = STATES.get(each.state, WorkflowState.ACTIVE)
            if each.path in missing and self._is_gone(each.path):
                state = WorkflowState.DELETED
            if self._state_of(each.path) != state:
                self.context.state.put(Kind.WORKFLOW, state.value, each.path)
                yield WorkflowReport(self.context.trunk, each.path, state)
        self.context.state.put(Kind.WORKFLOWS_READ, {"at": self.context.now, "tip": tip})

    def _state_of(self, path: str) -> str:
        """Return the last state that was reported; empty before the first one."""
        return self.context.state.get(Kind.WORKFLOW, path) or ""

    def _without(self, paths: Set[str]) -> Set[str]:
        """Return those of some workflow files that the trunk lacks.

        A row of the list that cannot be read may be any of them: then those that were gone before.
        """
        path = f"{self.context.repo_path}/contents/{FOLDER}"
        query = (("ref", self.context.trunk.branch),)
        try:
            page = self.context.client.cached_page(path, query, 1, FILES)
        except NotFoundError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return paths  # the folder is gone
        missing = paths - set(page.rows)
        return {path for path in missing if self._was_gone(path)} if page.dropped else missing

    def _was_gone(self, path: str) -> bool:
        return self._state_of(path) == WorkflowState.DELETED

    def _is_gone(self, path: str) -> bool:
        """Return whether the trunk lacks a file that the list of its folder lacks.

        The file itself is requested: an incomplete list must not end an outage.
        """
        if not self._state_of(path) or self._was_gone(path):
            return True
        address = f"{self.context.repo_path}/contents/{quote(path)}"
        try:
            self.context.client.get(address, (("ref", self.context.trunk.branch),))
        except NotFoundError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return True
        return False
