"""The repositories of one Gitea or Forgejo server as a source; see the package."""

from collections.abc import Iterable, Mapping

from trunkwatch.config.sources import GiteaSource
from trunkwatch.domain.model import Trunk
from trunkwatch.sources.deliveries import verify_signature
from trunkwatch.sources.gitea.api import GiteaApi
from trunkwatch.sources.gitea.position import Position
from trunkwatch.sources.gitea.trunk_reader import Reading, TrunkReader
from trunkwatch.sources.gitea.webhook import (
    check_signature_header,
    read_delivery,
    signature_of,
)
from trunkwatch.sources.port import Limitation, SourceContext
from trunkwatch.sources.projects import Project
from trunkwatch.sources.projects_source import ProjectsReader, TrunkRead
from trunkwatch.sources.traits import Traits

TRAITS = Traits(
    title="Gitea and Forgejo Actions",
    document="gitea.md",
    attempts="yes, of each job that began",
    failed_step="yes, but not in Gitea 1.26, which shows the job's result at every step",
    may_fail="no: name such jobs in `jobs.evidence`",
    order="first parents, from the API",
    webhooks=("push", "workflow_run", "workflow_job"),
    requests=3,
)


class Gitea(ProjectsReader):
    """The repositories that one token reads.

    A refresh sends three requests per trunk, and one for the jobs of each run that is new or has
    not ended.
    """

    def __init__(self, config: GiteaSource, context: SourceContext) -> None:
        """Args:
        config: its section of the configuration.
        context: its dependencies.
        """
        self._config = config
        self._api = GiteaApi(config, context.http)
        super().__init__(config, context, self._api, self._api.quota)

    def read_trunk(self, trunk: Trunk, project: Project, text: str | None, now: float) -> TrunkRead:
        """Read one trunk."""
        config, events = self._config, self._context.events
        scope = [config.site, str(project.id), str(config.window), *sorted(events)]
        reading = Reading(
            self._api, project.path, trunk, events, config.window, config.could_order(), now
        )
        return TrunkReader(reading, Position.stored(text, scope)).read()

    def limitations(self) -> Iterable[Limitation]:
        """Return whether the server lacks the jobs of a run."""
        if self._api.has_jobs is False:
            text = (
                "this server lists no jobs of a run: those that wait or were skipped are not seen"
            )
            yield Limitation("jobs", text)

    def check_headers(self, headers: Mapping[str, str]) -> None:
        """Reject a delivery without signature."""
        check_signature_header(headers)

    def read_delivery(
        self, headers: Mapping[str, str], body: bytes, secret: bytes | None
    ) -> tuple[str, Trunk | None]:
        """Verify and parse one request."""
        verify_signature(signature_of(headers), body, secret)
        return read_delivery(headers, body, self._config)
