"""The runs that GitHub reports as successful although some of their jobs may have failed.

A job with `continue-on-error` is reported as failed while its run is successful:
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idcontinue-on-error
"""

from collections.abc import Mapping

from trunkwatch.domain.model import RunId, Trunk
from trunkwatch.sources.github.runs.run import run_of_json
from trunkwatch.sources.github.state import Kind, StateStore, by_trunk


def successful_runs(entries: Mapping[str, str], trunk: Trunk) -> frozenset[RunId]:
    """Return the ids of the successful runs of a trunk of which every job has been read.

    Args:
        entries: the stored entries of the source.
        trunk: the trunk.
    """
    by_kind = by_trunk(entries).get(f"{trunk.repo} {trunk.branch}", {})
    documents = StateStore(trunk, entries, by_kind).all(Kind.RUN).values()
    runs = map(run_of_json, documents)
    return frozenset(
        run.id for run in runs if run.conclusion == "success" and run.read_version == run.version
    )
