"""Figures of a stream per hour, kept in `quality/statistics`: what is usual is learned from them.

Here: measuring the hours that are over and not measured yet, out of silver and bronze, by DuckDB. Not here: judging
them (`lake.quality.unusual`). A stream whose event times have no time of day is measured per day.
"""

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.lake.quality.measure import is_live
from lakehouse.lake.quality.store import Statistic, read_rows, write_statistics
from lakehouse.quality.profile import is_number, public_fields

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LOOKBACK = timedelta(days=28)
MOST_CATEGORIES = 30
LEAST_ROWS = 30
"""Medians and shares of fewer rows say more about chance than about the data."""
VOLUME, SILENCE, NULLS, MEDIAN, SHARES = "volume", "silence_seconds", "null_share", "median", "shares"


class Grain(NamedTuple):
    """The length of a slot, and its name in DuckDB."""

    name: str
    length: timedelta

    def floor(self, moment: datetime) -> datetime:
        """The beginning of the slot that a moment lies in."""
        start = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return start if self.name == "hour" else start.replace(hour=0)


HOUR = Grain("hour", timedelta(hours=1))
DAY = Grain("day", timedelta(days=1))


def collect(contract: StreamContract, paths: LakePaths, *, now: datetime) -> int:
    """Measure the slots that are over and were not measured yet, at most `LOOKBACK` back; returns the new figures.

    A slot is over once the contract's `freshness.warn` has passed behind it: until then its rows may be on their way.
    """
    silver, bronze = paths.silver(contract.name), paths.bronze(contract.name)
    if not (table_exists(silver) and table_exists(bronze)):
        return 0
    from lakehouse.engine.duck import delta_connection, literal

    with delta_connection() as duck:
        since = max(now - LOOKBACK, datetime(contract.start.year, contract.start.month, contract.start.day, tzinfo=UTC))
        duck.execute(
            f'create temp view silver_rows as select *, "{contract.event_time}" as _moment '  # noqa: S608 - own names
            f"from delta_scan({literal(silver)}) where event_date >= DATE '{since.date()}' and {is_live(contract)}"
        )
        grain = _grain(duck)
        last = grain.floor(now - contract.freshness.warn) - grain.length
        first = _next_slot(paths, contract, grain) or _first_slot(duck, grain, since)
        if first is None or first > last:
            return 0
        slots = [first + number * grain.length for number in range(int((last - first) / grain.length) + 1)]
        duck.execute(
            "create temp table chosen as select date_trunc(?, _moment) as slot, * exclude (_moment) from silver_rows "
            "where _moment >= ? and _moment < ?",
            [grain.name, first, last + grain.length],
        )
        found = _volumes(duck, contract, slots)
        found += _values(duck, contract)
        found += _shares(duck, contract)
        found += _silences(duck, contract, literal(bronze), slots, grain)
    return write_statistics(paths, found)


def figures(paths: LakePaths, stream: str, *, now: datetime) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """What was measured within `LOOKBACK`, by (statistic, field), oldest first."""
    rows = read_rows(
        paths.quality_statistics, "stream = ? and day >= ?", [stream, (now - LOOKBACK).date()], order="slot"
    )
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["statistic"], row["field"]].append(row)
    return dict(found)


def categorical(contract: StreamContract) -> list[FieldSpec]:
    """Fields whose shares of values may be compared: public texts that are no key."""
    return [
        field
        for field in public_fields(contract)
        if field.type in ("string", "boolean") and field.name not in contract.key
    ]


def _grain(duck: "DuckDBPyConnection") -> Grain:
    row = duck.execute("select count(distinct hour(_moment)), count(distinct event_date) from silver_rows").fetchone()
    hours, days = row or (0, 0)
    return DAY if hours == 1 and days > 1 else HOUR


def _next_slot(paths: LakePaths, contract: StreamContract, grain: Grain) -> datetime | None:
    rows = read_rows(paths.quality_statistics, "stream = ? and statistic = ?", [contract.name, VOLUME], order="slot")
    return rows[-1]["slot"].astimezone(UTC) + grain.length if rows else None


def _first_slot(duck: "DuckDBPyConnection", grain: Grain, since: datetime) -> datetime | None:
    """The first slot that is whole: the one after the oldest event, which may have come in its middle."""
    row = duck.execute("select min(_moment) from silver_rows where _moment >= ?", [since]).fetchone()
    if row is None or row[0] is None:
        return None
    return grain.floor(row[0]) + (grain.length if grain is HOUR else timedelta())


def _volumes(duck: "DuckDBPyConnection", contract: StreamContract, slots: list[datetime]) -> list[Statistic]:
    counted = {
        slot.astimezone(UTC): n for slot, n in duck.execute("select slot, count(*) from chosen group by 1").fetchall()
    }
    # No row is a figure too: silence is what a volume check must hear.
    return [Statistic(contract.name, slot, VOLUME, "", float(counted.get(slot, 0))) for slot in slots]


def _values(duck: "DuckDBPyConnection", contract: StreamContract) -> list[Statistic]:
    """Share of nulls of every field that may be null, median of every number."""
    wanted = [(NULLS, field.name, f'avg(("{field.name}" is null)::int)') for field in contract.fields if field.nullable]
    wanted += [
        (MEDIAN, field.name, f'median("{field.name}")::double') for field in public_fields(contract) if is_number(field)
    ]
    if not wanted:
        return []
    columns = ", ".join(sql for _, _, sql in wanted)
    query = f"select slot, {columns} from chosen group by 1 having count(*) >= {LEAST_ROWS}"  # noqa: S608 - own names
    return [
        Statistic(contract.name, slot.astimezone(UTC), statistic, name, float(value))
        for slot, *values in duck.execute(query).fetchall()
        for (statistic, name, _), value in zip(wanted, values, strict=True)
        if value is not None
    ]


def _shares(duck: "DuckDBPyConnection", contract: StreamContract) -> list[Statistic]:
    """For each text with few values: the share of each in a slot, as JSON; the value is the number of rows."""
    found = []
    for field in categorical(contract):
        name = f'"{field.name}"'
        few = duck.execute(f"select approx_count_distinct({name}) from chosen").fetchone()  # noqa: S608 - own names
        if few is None or few[0] > MOST_CATEGORIES:
            continue
        counts: dict[datetime, dict[str, int]] = defaultdict(dict)
        query = f"select slot, coalesce({name}::varchar, '(null)'), count(*) from chosen group by all"  # noqa: S608 - our own names
        for slot, value, count in duck.execute(query).fetchall():
            counts[slot.astimezone(UTC)][value] = count
        for slot, by_value in counts.items():
            rows = sum(by_value.values())
            if rows >= LEAST_ROWS:
                shares = {value: round(count / rows, 6) for value, count in sorted(by_value.items())}
                found.append(Statistic(contract.name, slot, SHARES, field.name, float(rows), json.dumps(shares)))
    return found


def _silences(
    duck: "DuckDBPyConnection", contract: StreamContract, bronze: str, slots: list[datetime], grain: Grain
) -> list[Statistic]:
    """The longest time without a new record that ended in each slot or lasted at its end, to the minute."""
    query = (
        f"select distinct date_trunc('minute', timestamp) as m from delta_scan({bronze}) "  # noqa: S608 - our own names
        f"where arrival_date >= DATE '{(slots[0] - LOOKBACK).date()}' order by m"
    )
    arrivals = [row[0].astimezone(UTC) for row in duck.execute(query).fetchall()]
    found, last, position = [], None, 0
    for slot in slots:
        end, longest = slot + grain.length, 0.0
        while position < len(arrivals) and arrivals[position] < end:
            if last is not None and arrivals[position] >= slot:
                longest = max(longest, (arrivals[position] - last).total_seconds())
            last = arrivals[position]
            position += 1
        if last is not None:
            longest = max(longest, (end - last).total_seconds())
            found.append(Statistic(contract.name, slot, SILENCE, "", longest))
    return found
