"""The projects of one GitLab server as a source; see the package."""

from collections.abc import Mapping

from trunkwatch.config.sources import GitlabSource
from trunkwatch.domain.model import Trunk
from trunkwatch.sources.deliveries import check_signed
from trunkwatch.sources.gitlab.api import GitlabApi
from trunkwatch.sources.gitlab.pipeline_reader import Reading
from trunkwatch.sources.gitlab.position import Position
from trunkwatch.sources.gitlab.trunk_reader import TrunkReader
from trunkwatch.sources.gitlab.webhook import TOKEN, read_delivery, verify_token
from trunkwatch.sources.port import SourceContext
from trunkwatch.sources.projects import Project
from trunkwatch.sources.projects_source import ProjectsReader, TrunkRead
from trunkwatch.sources.traits import Traits

TRAITS = Traits(
    title="GitLab CI",
    document="gitlab.md",
    attempts="yes, but those of trigger jobs",
    failed_step="no: GitLab has no steps; the reason of the failure is shown",
    may_fail="yes, `allow_failure`",
    order="first parents, from the API",
    webhooks=("push", "pipeline", "build"),
    requests=2,
)


class Gitlab(ProjectsReader):
    """The projects that one token reads.

    A refresh sends two requests per trunk. A changed pipeline costs one more for its jobs, one for
    its trigger jobs when it has ended, and one per refresh while it runs.
    """

    def __init__(self, config: GitlabSource, context: SourceContext) -> None:
        """Args:
        config: its section of the configuration.
        context: its dependencies.
        """
        self._config = config
        self._api = GitlabApi(config, context.http)
        super().__init__(config, context, self._api, self._api.quota)

    def read_trunk(self, trunk: Trunk, project: Project, text: str | None, now: float) -> TrunkRead:
        """Read one trunk."""
        position = Position.stored(text, self._scope(project.id), now)
        events = self._context.events
        reading = Reading(self._api, self._config, events, trunk, project.id, now)
        return TrunkReader(reading, position).read()

    def _scope(self, project: int) -> list[str]:
        """Return what selects the rows of a trunk; when it changes, reading begins anew."""
        config = self._config
        own = [config.workflow or config.name, config.allow_failure, str(config.window)]
        return [config.site, str(project), *own, *sorted(self._context.events)]

    def check_headers(self, headers: Mapping[str, str]) -> None:
        """Reject a delivery without token."""
        check_signed(headers, TOKEN, "secret token")

    def read_delivery(
        self, headers: Mapping[str, str], body: bytes, secret: bytes | None
    ) -> tuple[str, Trunk | None]:
        """Verify and parse one request."""
        verify_token(headers, secret)
        return read_delivery(headers, body, self._config)
