"""Standing facts of a stream's tables: is bronze whole, which days had too many rejects, how long unread records live.

Here: reading, with DuckDB and the Delta log, no JVM. Not here: verdicts on rules (`lake.quality.checks`), the full
proof (`lake.verify`).
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.duck import lasting_delta_connection
from lakehouse.lake.ledger import plans
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.lake.plan import Plan
from lakehouse.lake.planner import chain_breaks
from lakehouse.quality.rules import DISCARDED, on_days
from lakehouse.settings import Settings

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class BronzeFacts:
    """Bronze on some arrival days.

    Attributes:
        rows: Rows of these days.
        duplicates: Rows beyond the first of each (topic id, partition, offset).
        batches: Micro-batches looked at.
        breaks: One sentence for each place where a batch does not start where the one before it ended.
    """

    rows: int
    duplicates: int
    batches: int
    breaks: tuple[str, ...]


@dataclass(frozen=True)
class FailingDay:
    """An arrival day on which one rule rejected a larger share (0 to 1) of the rows than it tolerates."""

    day: date
    rule: str
    rows: int
    rejected: int
    share: float
    tolerance: float


def bronze_facts(contract: StreamContract, settings: Settings, days: list[date] | None) -> BronzeFacts:
    """Count bronze's identities on these arrival days (None: all) and follow the chain of batches through them."""
    path = LakePaths.of(settings).bronze(contract.name)
    if not table_exists(path):
        return BronzeFacts(0, 0, 0, ())
    with lasting_delta_connection() as duck:
        sql = (
            "SELECT coalesce(sum(n), 0), count(*) FROM (SELECT count(*) AS n FROM delta_scan(?) "  # noqa: S608 - dates only
            f'WHERE {on_days("arrival_date", days)} GROUP BY topic_id, partition, "offset")'
        )
        rows, identities = _one(duck, sql, path)
    known = _plans(path, min(days) if days else None)
    return BronzeFacts(int(rows), int(rows) - int(identities), len(known), tuple(chain_breaks(known)))


def failing_days(contract: StreamContract, settings: Settings) -> list[FailingDay]:
    """Every arrival day on which a rule rejected more than its tolerance, oldest first. Decisions are no rule."""
    paths = LakePaths.of(settings)
    quarantine, bronze = paths.quarantine(contract.name), paths.bronze(contract.name)
    if not (table_exists(quarantine) and table_exists(bronze)):
        return []
    tolerances = {rule.name: rule.tolerance for rule in contract.rules}
    with lasting_delta_connection() as duck:
        rejected = duck.execute(
            "SELECT arrival_date, reason, count(*) FROM (SELECT arrival_date, unnest(reasons) AS reason "
            "FROM delta_scan(?)) WHERE reason <> ? GROUP BY ALL ORDER BY ALL",
            [quarantine, DISCARDED],
        ).fetchall()
        if not rejected:
            return []
        totals = dict(duck.execute("SELECT arrival_date, count(*) FROM delta_scan(?) GROUP BY 1", [bronze]).fetchall())
    found = []
    for day, rule, count in rejected:
        rows, tolerance = totals.get(day, count), tolerances.get(rule, 0.05)
        if count / rows > tolerance:
            found.append(FailingDay(day, rule, rows, count, round(count / rows, 6), tolerance))
    return found


def keys_held_twice(contract: StreamContract, settings: Settings) -> int:
    """Keys that silver holds in more than one row, under two event dates: one thing, reported with two times."""
    path = LakePaths.of(settings).silver(contract.name)
    if not table_exists(path):
        return 0
    keys = ", ".join(f'"{name}"' for name in contract.key)
    with lasting_delta_connection() as duck:
        sql = (
            f"SELECT count(*) FROM (SELECT 1 FROM delta_scan(?) GROUP BY {keys} "  # noqa: S608 - names out of the contract
            "HAVING count(*) > 1)"
        )
        (count,) = _one(duck, sql, path)
    return int(count)


def hours_until_expiry(contract: StreamContract, oldest_unread: date, *, now: datetime) -> float:
    """Hours until retention may delete the oldest unread record; counts from the first minute of its day, so at least.

    Negative when it may be gone already.
    """
    arrived = datetime(oldest_unread.year, oldest_unread.month, oldest_unread.day, tzinfo=UTC)
    return (arrived + contract.topic.retention - now) / timedelta(hours=1)


def _plans(path: str, since: date | None) -> list[Plan]:
    """Committed plans, oldest first, back to the last one before `since`."""
    found = []
    for plan, _ in plans(path):
        found.append(plan)
        if since is not None and plan.day < since:
            break
    return found[::-1]


def _one(duck: "duckdb.DuckDBPyConnection", sql: str, *values: Any) -> tuple[Any, ...]:
    row = duck.execute(sql, list(values)).fetchone()
    if row is None:
        raise AssertionError("an aggregate returns one row")
    return tuple(row)
