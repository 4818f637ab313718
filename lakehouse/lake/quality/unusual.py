"""Volume, distribution and freshness of a stream against its own history: three results, no threshold to set.

Here: which figures are judged together, and what is said about them. Not here: the judgement (`quality.anomalies`),
the figures (`lake.quality.history`).
"""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lakehouse.contracts.model import StreamContract
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.lake.quality.history import LOOKBACK, MEDIAN, NULLS, SHARES, SILENCE, VOLUME, collect, figures
from lakehouse.lake.quality.measure import is_live
from lakehouse.quality.anomalies import Point, Verdict, distance, judge
from lakehouse.quality.profile import public_fields
from lakehouse.quality.results import CheckResult, Dimension
from lakehouse.settings import Settings

VOLUME_CHECK = "volume_as_usual"
DISTRIBUTION_CHECK = "distribution_as_usual"
FRESHNESS_CHECK = "freshness_as_usual"
CHECKS = {
    VOLUME_CHECK: "The last whole hour (or day) has about as many rows as its history lets expect.",
    DISTRIBUTION_CHECK: "Medians, null shares and shares of values in the last whole hour (or day) are as usual.",
    FRESHNESS_CHECK: "The newest record is not older than it usually is.",
}
_SAMPLE_ROWS = 3
_FRESHNESS_FLOOR = 0.25
_SHARE_FLOOR = 0.01


@dataclass(frozen=True)
class _Deviation:
    """One figure that was judged, and its name for a person."""

    name: str
    verdict: Verdict
    slot: datetime


def look(contract: StreamContract, settings: Settings, *, now: datetime | None = None) -> list[CheckResult]:
    """Measure what is over, then judge the newest slot and the age of the newest record. Silent on short history."""
    moment = now or datetime.now(UTC)
    paths = LakePaths.of(settings)
    if not table_exists(paths.silver(contract.name)):
        return []
    collect(contract, paths, now=moment)
    known = figures(paths, contract.name, now=moment)
    return [
        _result(contract, paths, VOLUME_CHECK, "volume", _newest(known, [(VOLUME, "")], "rows")),
        _result(contract, paths, DISTRIBUTION_CHECK, "distribution", _distribution(known)),
        _freshness(contract, paths, known, moment),
    ]


def _points(rows: list[dict[str, Any]]) -> list[Point]:
    return [Point(row["slot"].astimezone(UTC), row["value"]) for row in rows]


def _newest(
    known: dict[tuple[str, str], list[dict[str, Any]]], keys: list[tuple[str, str]], name: str
) -> list[_Deviation]:
    found = []
    for key in keys:
        points = _points(known.get(key, []))
        if points:
            found.append(_Deviation(name, judge(points[:-1], points[-1]), points[-1].at))
    return found


def _distribution(known: dict[tuple[str, str], list[dict[str, Any]]]) -> list[_Deviation]:
    """Every figure about values in the newest slot that was measured; the bounds know how many they are."""
    volumes = known.get((VOLUME, ""), [])
    if not volumes:
        return []
    slot = volumes[-1]["slot"]
    chosen = {
        key: rows for key, rows in known.items() if key[0] in (NULLS, MEDIAN, SHARES) and rows[-1]["slot"] == slot
    }
    found = []
    for (statistic, field), rows in sorted(chosen.items()):
        tests = len(chosen)
        if statistic == MEDIAN:
            points = _points(rows)
            scale: Any = "log" if min(point.value for point in points) >= 0 else "linear"
            verdict = judge(points[:-1], points[-1], scale=scale, tests=tests)
        elif statistic == NULLS:
            points = _points(rows)
            verdict = judge(points[:-1], points[-1], scale="linear", floor=_SHARE_FLOOR, tests=tests)
        else:
            points = _distances(rows)
            verdict = judge(points[:-1], points[-1], scale="linear", floor=_SHARE_FLOOR, tests=tests, sides="high")
        what = {MEDIAN: "median of", NULLS: "share of nulls in", SHARES: "distance of the values of"}[statistic]
        found.append(_Deviation(f"{what} {field}", verdict, points[-1].at))
    return found


def _distances(rows: list[dict[str, Any]]) -> list[Point]:
    """How far each slot's shares are from the mean of the slots before the newest."""
    shares = [json.loads(row["details"]) for row in rows]
    earlier = shares[:-1] or shares
    values = {value for slot in earlier for value in slot}
    usual = {value: sum(slot.get(value, 0.0) for slot in earlier) / len(earlier) for value in values}
    return [Point(row["slot"].astimezone(UTC), distance(slot, usual)) for row, slot in zip(rows, shares, strict=True)]


def _freshness(
    contract: StreamContract, paths: LakePaths, known: dict[tuple[str, str], list[dict[str, Any]]], now: datetime
) -> CheckResult:
    newest = _newest_record(paths.bronze(contract.name))
    if newest is None:
        return _result(contract, paths, FRESHNESS_CHECK, "timeliness", [])
    age = Point(now, max(0.0, (now - newest).total_seconds()))
    verdict = judge(_points(known.get((SILENCE, ""), [])), age, floor=_FRESHNESS_FLOOR, sides="high")
    return _result(
        contract, paths, FRESHNESS_CHECK, "timeliness", [_Deviation("seconds since the newest record", verdict, now)]
    )


def _newest_record(bronze: str) -> datetime | None:
    from lakehouse.engine.duck import delta_connection

    with delta_connection() as duck:
        row = duck.execute("select max(timestamp) from delta_scan(?)", [bronze]).fetchone()
    return row[0].astimezone(UTC) if row and row[0] else None


def _result(
    contract: StreamContract, paths: LakePaths, check: str, dimension: Dimension, judged: list[_Deviation]
) -> CheckResult:
    unusual = [found for found in judged if found.verdict.is_unusual]
    worst = next(iter([*unusual, *judged]), None)
    sample = _sample(contract, paths, worst.slot) if unusual and worst and check != FRESHNESS_CHECK else []
    said = [_sentence(found) for found in unusual]
    if unusual:
        said += [_shown(sample)] if sample else []
        said.append(f"Next: {_command(contract, check)}")
    elif not judged or all(found.verdict.state == "learning" for found in judged):
        said.append("Too little history to say what is usual.")
    else:
        said.append("As usual.")
    return CheckResult(
        table=f"silver.{contract.name}",
        check=check,
        dimension=dimension,
        passed=not unusual,
        severity="warning",
        broken=len(unusual),
        rows=len(judged),
        observed=worst.verdict.observed if worst else None,
        low=_finite(worst.verdict.low) if worst else None,
        high=_finite(worst.verdict.high) if worst else None,
        message=" ".join(said),
        details={
            "slot": worst.slot.isoformat() if worst else None,
            "history": worst.verdict.history if worst else 0,
            "basis": worst.verdict.basis if worst else None,
            "sample": sample,
        },
    )


def _sentence(found: _Deviation) -> str:
    verdict = found.verdict
    low = f"{verdict.low:,.4g}" if math.isfinite(verdict.low) else "0"
    return (
        f"{found.slot:%Y-%m-%d %H:%M} UTC, {found.name}: {verdict.observed:,.4g}; "
        f"expected {low} to {verdict.high:,.4g} "
        f"(usually {verdict.usual:,.4g}, {verdict.history} earlier values, {verdict.basis})."
    )


def _shown(sample: list[dict[str, Any]]) -> str:
    """Sample rows as text: whoever reads an alert has no table beside it."""
    rows = [", ".join(f"{name}={value}" for name, value in row.items() if value != "None") for row in sample]
    return f"Rows: {' | '.join(rows)}."


def _command(contract: StreamContract, check: str) -> str:
    if check == FRESHNESS_CHECK:
        return f"lakehouse lag {contract.name}"
    return f"lakehouse dq profile silver.{contract.name}"


def _sample(contract: StreamContract, paths: LakePaths, slot: datetime) -> list[dict[str, Any]]:
    """A few rows from the slot on, or the last ones before it when it is silent. Public fields only."""
    from lakehouse.engine.duck import delta_connection

    names = ", ".join(f'"{field.name}"' for field in public_fields(contract))
    moment = f'"{contract.event_time}"'
    with delta_connection() as duck:
        for place in (f"event_date = $day::date and {moment} >= $slot::timestamptz", f"{moment} < $slot::timestamptz"):
            query = (
                f"select {names} from delta_scan($table) where {is_live(contract)} and {place} "  # noqa: S608 - names of the contract
                f"and event_date >= $day::date - interval {LOOKBACK.days} day "
                f"order by {moment} desc limit {_SAMPLE_ROWS}"
            )
            values = {"table": paths.silver(contract.name), "day": slot.date().isoformat(), "slot": slot.isoformat()}
            answer = duck.execute(query, values)
            columns = [column[0] for column in answer.description or []]
            found = [{name: str(cell) for name, cell in zip(columns, row, strict=True)} for row in answer.fetchall()]
            if found:
                return found
    return []


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
