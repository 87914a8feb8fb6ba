"""One Prometheus with the incident and all fleets, for the live tests of this package."""

from collections.abc import Iterator
from itertools import chain

import pytest

from tests.dashboards import fleet, incident, server
from tests.dashboards.fleet import Fleet
from tests.dashboards.series import openmetrics
from tests.support.engines import PAIRS

FLEETS = {
    each.name: each
    for each in (
        Fleet("none", 0),
        Fleet("one", 1),
        Fleet("few", 25),
        Fleet("many", 100),
        Fleet("healthy", 100, healthy=150),
        Fleet("wide", 100, repos=20),
        Fleet("old", 0, age=7200),
    )
}


@pytest.fixture(scope="session", params=PAIRS)
def prometheus(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[server.Prometheus]:
    """Yield a Prometheus that holds the incident and the fleets."""
    folder = tmp_path_factory.mktemp("prometheus")
    incidents = ((each, incident.samples) for each in incident.all_series())
    fleets = ((s, fleet.samples) for each in FLEETS.values() for s in fleet.all_series(each))
    written = openmetrics(chain(incidents, fleets))
    storage = server.seed(written, folder, request.param)
    with server.running(storage, request.param) as running:
        yield running
