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


def openmetrics(series: Iterable[Series], write: Callable[[Series], Iterable[str]]) -> str:
    """Return the whole exposition; OpenMetrics requires a family's samples in one block."""
    families: dict[str, list[str]] = {}
    for each in series:
        families.setdefault(each.name, []).extend(write(each))
    lines = [
        line for name, sampled in families.items() for line in (f"# TYPE {name} gauge", *sampled)
    ]
    return "\n".join([*lines, "# EOF\n"])


def recorded(scraped: Sequence[Series], end: int, *, fresh: bool = True) -> Iterator[Series]:
    """Yield what the group `trunkwatch-dashboards` of the rules records; see its promtool tests.

    Args:
        scraped: the series of the exporter.
        end: of the scrapes; what is held stays for half an hour after it.
        fresh: whether the data is new enough to say that nothing is broken.
    """

    def worst(name: str) -> list[tuple[Labels, Value]]:
        found = [each for each in scraped if each.name == name]
        return [(each.labels, _until(end, _larger(each))) for each in found]

    def record(name: str, labels: Labels, value: Value) -> Series:
        return Series(name, labels, value, is_recorded=True)

    distinct: dict[tuple[tuple[str, str], ...], Value] = {}
    outages = worst("ci_job_failures_in_outage")
    streaks = worst("ci_job_consecutive_failures")
    for labels, value in streaks:
        yield record("job:ci_job_consecutive_failures:failing", labels, _positive(value))
    for (labels, value), (_, streak), (_, needed) in zip(
        outages, streaks, worst("ci_job_failures_to_open"), strict=True
    ):
        fails = lambda now, v=value, s=streak: (v(now) or 0) + (s(now) or 0) > 0  # noqa: E731
        needed_then = lambda now, f=fails, n=needed: n(now) if f(now) else None  # noqa: E731
        yield record("job:ci_job_failures_to_open:failing", labels, needed_then)
        part = {name: labels[name] for name in PART} | {
            "n": f"{needed(end) or needed(end - 7200):g}"
        }
        distinct[tuple(part.items())] = needed_then
        held = lambda now, v=value: v(min(now, end))  # noqa: E731
        yield record("job:ci_job_failures_in_outage:held", labels, _positive(held))
    for part, value in distinct.items():
        yield record("group:ci_job_failures_to_open:distinct", dict(part), value)
    for labels, value in worst("ci_job_known_broken"):
        yield record("job:ci_job_known_broken:exempt", labels, _positive(value))
    broken = worst("ci_job_broken")
    exempt = {_key(labels) for labels, value in worst("ci_job_known_broken") if value(end)}
    for part in {tuple(labels[name] for name in PART) for labels, _ in broken}:
        mine = [v for labels, v in broken if tuple(labels[name] for name in PART) == part]
        count = lambda now, m=mine: sum(v(now) or 0 for v in m) or None  # noqa: E731
        yield record("group:ci_job_broken:count", dict(zip(PART, part, strict=True)), count)
    for trunk in {(labels["repo"], labels["branch"]) for labels, _ in broken if fresh}:
        mine = [v for j, v in broken if (j["repo"], j["branch"]) == trunk and _key(j) not in exempt]
        none = lambda now, m=mine: (  # noqa: E731
            float(not any(v(now) for v in m)) if now <= end else None
        )
        names = dict(zip(("repo", "branch"), trunk, strict=True))
        yield record("branch:ci_job_broken:none", names, none)
        yield record("branch:ci_job_broken:none_ratio1h", names, none)
    yield record("trunkwatch:data_age_limit_seconds", {}, lambda now: 900 if now <= end else None)


PART = ("repo", "branch", "group", "team")


def _key(labels: Labels) -> tuple[str, ...]:
    return tuple(labels.values())


def _positive(value: Value) -> Value:
    return lambda now: (value(now) or 0) if (value(now) or 0) > 0 else None


def _larger(series: Series) -> Value:
    second = series.second or series.value
    return lambda now: max(
        (v for v in (series.value(now), second(now)) if v is not None), default=None
    )


def _until(end: int, value: Value) -> Value:
    return lambda now: value(now) if now <= end else None
