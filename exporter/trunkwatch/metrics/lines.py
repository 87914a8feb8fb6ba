"""Samples as lines of text, which are the same in both text formats.

prometheus_client renders any family. These functions render the samples to the same bytes in a
tenth of the time: the labels of a job are escaped once, not for each family.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from operator import itemgetter
from typing import NamedTuple

from cachetools import LRUCache
from prometheus_client.utils import floatToGoString

from trunkwatch.domain.job import JobState
from trunkwatch.engine.snapshot import TrunkState
from trunkwatch.metrics.catalogue import JOB_LABELS, Family, Scope, of_scope
from trunkwatch.metrics.collector import branch_samples, job_labels, job_samples
from trunkwatch.metrics.facts import Facts

CUT_MARK = "~"
DIGEST_CHARACTERS = 20
REMEMBERED_VALUES = 10_000
DEFAULT_MAX_LABEL_BYTES = 512


class Labels:
    """The values of labels as text: escaped, and cut where they are too long.

    A cut value ends in a digest of the whole, so that it stays unique and the same in each process.
    Safe to use from any thread.

    Attributes:
        external_url: address of the pages, for links in values; empty where none are served.
    """

    def __init__(
        self,
        max_bytes: int = DEFAULT_MAX_LABEL_BYTES,
        count: Callable[[], None] = lambda: None,
        external_url: str = "",
    ) -> None:
        """Args:
        max_bytes: of a value in UTF-8.
        count: called once for each value that is cut, while it is remembered.
        external_url: see the attribute.
        """
        self.external_url = external_url
        self._max_bytes = max_bytes
        self._count = count
        self._lock = threading.Lock()
        self._cut: LRUCache[str, str] = LRUCache(REMEMBERED_VALUES)

    def text(self, value: str) -> str:
        """Return the text of a value."""
        # A character has at most four bytes.
        if 4 * len(value) <= self._max_bytes or isinstance(value, Facts):
            return _escape(value)
        return _escape(self.bounded(value))

    def bounded(self, value: str) -> str:
        """Return a value, cut where it is too long."""
        if 4 * len(value) <= self._max_bytes:
            return value
        content = value.encode(errors="replace")
        # A value that looks like a cut one of this length must not be mistaken for it.
        longest = self._max_bytes - 4 if CUT_MARK in value else self._max_bytes
        if len(content) <= longest:
            return value
        with self._lock:
            if value not in self._cut:
                self._count()
                digest = sha256(content).hexdigest()[:DIGEST_CHARACTERS]
                room = self._max_bytes - len(CUT_MARK) - DIGEST_CHARACTERS
                begin = content[:room].decode(errors="ignore")
                self._cut[value] = f"{begin}{CUT_MARK}{digest}"
            return self._cut[value]


_DEFAULT = Labels()


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _go_number(value: float) -> str:
    text: str = floatToGoString(value)  # type: ignore[no-untyped-call]  # it has no annotations
    return text


_SMALL_NUMBERS: dict[float, str] = {value: _go_number(value) for value in range(1000)}
"""Most values are a flag or a small count."""


def _number(value: float) -> str:
    return _SMALL_NUMBERS.get(value) or _go_number(value)


def _label_writer(names: Sequence[str]) -> Callable[[Sequence[str]], str]:
    """Return a function that joins escaped values of some labels, sorted by name."""
    order = sorted(range(len(names)), key=names.__getitem__)
    template = ",".join(f'{names[place]}="%s"' for place in order)
    if len(names) < 2:
        return lambda values: template % tuple(values)
    pick = itemgetter(*order)
    return lambda values: template % pick(values)


class _Column(NamedTuple):
    """Writes the lines of one family.

    Attributes:
        place: of the family in its scope.
        name: as exposed.
        labels: joins the escaped values of its labels.
    """

    place: int
    name: str
    labels: Callable[[Sequence[str]], str]


def _columns(scope: Scope) -> dict[str, _Column]:
    return {
        family.name: _Column(place, family.name, _label_writer(family.labels))
        for place, family in enumerate(of_scope(scope))
    }


_JOB = {name.removeprefix("ci_job_"): column for name, column in _columns(Scope.JOB).items()}
_BRANCH = _columns(Scope.BRANCH)
_job_label_text = _label_writer(JOB_LABELS)


def job_texts(job: JobState, labels_of: Labels = _DEFAULT) -> list[str]:
    """Return the lines of one job in each family of `Scope.JOB`."""
    texts = [""] * len(_JOB)
    escaped = [labels_of.text(value) for value in job_labels(job)]
    common = _job_label_text(escaped)
    for name, more, value in job_samples(job, labels_of.external_url):
        place, family, labels = _JOB[name]
        text = labels((*escaped, *map(labels_of.text, more))) if more else common
        texts[place] += f"{family}{{{text}}} {_number(value)}\n"
    return texts


def branch_texts(trunk: TrunkState, labels_of: Labels = _DEFAULT) -> list[str]:
    """Return the lines of one trunk in each family of `Scope.BRANCH`."""
    texts = [""] * len(_BRANCH)
    for name, more, value in branch_samples(trunk):
        place, family, labels = _BRANCH[name]
        values = [labels_of.text(each) for each in (*trunk.trunk, *more)]
        texts[place] += f"{family}{{{labels(values)}}} {_number(value)}\n"
    return texts


def family_text(
    family: Family,
    samples: Iterable[tuple[Sequence[str], float]],
    labels_of: Labels = _DEFAULT,
) -> str:
    """Return the lines of a family.

    Args:
        family: of the catalogue.
        samples: label values in the catalogue's order, and the value.
        labels_of: writes the values of labels.
    """
    if not family.labels:
        return "".join(f"{family.name} {_number(value)}\n" for _, value in samples)
    labels = _label_writer(family.labels)
    return "".join(
        f"{family.name}{{{labels([labels_of.text(each) for each in values])}}} {_number(value)}\n"
        for values, value in samples
    )
