"""Series with a value for each time, as OpenMetrics; and what the rules record of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

Labels = dict[str, str]
Value = Callable[[int], float | None]


@dataclass(frozen=True, slots=True)
class Series:
    """One series without its instance.

    Attributes:
        name: the family.
        labels: its labels.
        value: the sample at a time; None is no sample.
        second: the sample of the second replica, if it differs.
        is_recorded: whether Prometheus writes it: there is one for all replicas.
    """

    name: str
    labels: Labels
    value: Value
    second: Value | None = None
    is_recorded: bool = False


Writer = Callable[[Series], Iterable[str]]


def openmetrics(series: Iterable[tuple[Series, Writer]]) -> str:
    """Return the exposition of series, each with the function that writes its samples.

    OpenMetrics requires a family's samples in one block.
    """
    families: dict[str, list[str]] = {}
    for each, write in series:
        families.setdefault(each.name, []).extend(write(each))
    lines = [
        line for name, sampled in families.items() for line in (f"# TYPE {name} gauge", *sampled)
    ]
    return "\n".join([*lines, "# EOF\n"])


def recorded(scraped: Sequence[Series], end: int, *, fresh: bool = True) -> Iterator[Series]:
    """Yield what the group `trunkwatch-dashboards` of the rules records; see its promtool tests.

    Args:
        scraped: the series of the exporter.
        end: of the scrapes; held series stay for half an hour after it.
        fresh: whether the data is not stale.
    """

    def family(name: str) -> list[tuple[Labels, Value]]:
        found = [each for each in scraped if each.name == f"ci_job_{name}"]
        return [(each.labels, _until(end, _larger(each))) for each in found]

    def record(name: str, labels: Labels, value: Value) -> Series:
        return Series(name, labels, value, is_recorded=True)

    failing = [(labels, _positive(value)) for labels, value in family("consecutive_failures")]
    for labels, value in failing:
        yield record("job:ci_job_consecutive_failures:failing", labels, value)
    outages = family("failures_in_outage")
    thresholds: dict[tuple[str, ...], list[Value]] = {}
    for (labels, n), (_, failures), (_, streak) in zip(
        family("failures_to_open"), outages, failing, strict=True
    ):
        needed = _while(n, _sum([failures, streak]))
        yield record("job:ci_job_failures_to_open:failing", labels, needed)
        text = next(f"{found:g}" for found in (n(end), n(end - 7200)) if found)
        thresholds.setdefault((*_of(labels, GROUP), text), []).append(_while(n, streak))
    for key, values in thresholds.items():
        names = dict(zip((*GROUP, "n"), key, strict=True))
        yield record("group:ci_job_failures_to_open:distinct", names, _first(values))
    for labels, value in outages:
        yield record("job:ci_job_failures_in_outage:held", labels, _positive(_stays(end, value)))
    is_broken = {tuple(labels.values()): value for labels, value in outages}
    for labels, value in family("pending_commits"):
        waits = _while(_positive(value), is_broken.get(tuple(labels.values()), lambda _: None))
        yield record("job:ci_job_pending_commits:broken", labels, waits)
    exempt = [(labels, _positive(value)) for labels, value in family("known_broken")]
    for labels, value in exempt:
        yield record("job:ci_job_known_broken:exempt", labels, value)
    exempt_jobs = [labels for labels, value in exempt if value(end)]
    groups: dict[tuple[str, ...], list[Value]] = {}
    trunks: dict[tuple[str, ...], list[Value]] = {}
    for labels, value in family("broken"):
        groups.setdefault(_of(labels, GROUP), []).append(value)
        counted = [] if labels in exempt_jobs else [value]
        trunks.setdefault(_of(labels, GROUP[:2]), []).extend(counted)
    for key, values in groups.items():
        names = dict(zip(GROUP, key, strict=True))
        yield record("group:ci_job_broken:count", names, _positive(_sum(values)))
    for key, values in trunks.items() if fresh else ():
        names = dict(zip(GROUP, key, strict=False))
        for name in ("none", "none_ratio1h"):
            yield record(f"branch:ci_job_broken:{name}", names, _until(end, _is_zero(_sum(values))))
    polls = [each for each in scraped if each.name == "trunkwatch_source_poll_interval_seconds"]

    def limit(now: int) -> float:
        return max([900, *(3 * (each.value(now) or 0) for each in polls)])

    # Without scrapes too: the rule looks a day back.
    yield record("trunkwatch:data_age_limit_seconds", {}, _stays(end, limit))


GROUP = ("repo", "branch", "group", "team")


def _of(labels: Labels, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(labels[name] for name in names)


def _larger(series: Series) -> Value:
    """Return the larger value of the two replicas."""
    values = [series.value, series.second or series.value]
    return lambda now: max(filter(None, (v(now) for v in values)), default=values[0](now))


def _until(end: int, value: Value) -> Value:
    return lambda now: value(now) if now <= end else None


def _stays(end: int, value: Value) -> Value:
    return lambda now: value(min(now, end))


def _positive(value: Value) -> Value:
    return lambda now: value(now) or None


def _while(value: Value, condition: Value) -> Value:
    return lambda now: value(now) if condition(now) else None


def _sum(values: Sequence[Value]) -> Value:
    return lambda now: sum(value(now) or 0 for value in values)


def _is_zero(value: Value) -> Value:
    return lambda now: float(value(now) == 0)


def _first(values: Sequence[Value]) -> Value:
    return lambda now: next(filter(None, (value(now) for value in values)), None)
