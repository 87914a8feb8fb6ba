"""The suggestions for a job that is unknown."""

import pytest
from trunkwatch.cli.job_argument import find_job
from trunkwatch.engine.snapshot import Snapshot
from trunkwatch.errors import UsageError

from tests.domain.builders import NOW, evaluate_histories

NAMES = {"linux / test (inductor_torchbench)": "P", "linux / test (huggingface)": "P", "lint": "P"}


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        ("torchbnch", "nearest names: 'ci / linux / test (inductor_torchbench)'"),
        ("HUGINGFACE", "nearest names: 'ci / linux / test (huggingface)'"),
        ("lnit", "nearest names: 'ci / lint'"),
        ("deploy", "to list the jobs: trunkwatch check"),
    ],
)
def test_a_typing_mistake_in_a_part_of_a_name_is_understood(wanted: str, shown: str) -> None:
    """The nearest names have a part that is like the wanted text."""
    with pytest.raises(UsageError, match="no job is called") as caught:
        find_job(Snapshot(NOW, (evaluate_histories(NAMES),)), wanted, "trunkwatch check")
    assert str(caught.value).endswith(shown)
