"""The serving layer: one answer out of the batch view and the real-time view, each event counted once.

Here: the union and its boundary, key figures. Not here: computing either view (`lake.batch.daily_views`, `lake.speed`),
how figures are shown (`lake.serving.kpi_page`, `cli.kpis`).

Up to the last complete day the batch view answers, after it the speed layer: what the speed layer had to leave out
because it came late is in the batch view of its day.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lakehouse.engine.duck import delta_connection, duck_type, literal
from lakehouse.lake.batch.daily_views import COLUMNS, VIEW, record_of
from lakehouse.lake.ledger import current_version
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.speed.publish import view_of
from lakehouse.lake.speed.results import result_named
from lakehouse.lake.speed.store import open_store
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MINUTES = "user_event_counts_1m"
WINDOWS = "windowed_counts"
_EMPTY = ", ".join(f"cast(null as {duck_type(kind)}) as {name}" for name, kind in COLUMNS.items())


def union_sql(boundary: date | None) -> str:
    """The serving view over the relations `batch` (daily_agg's columns) and `speed` (minutes by user and event type).

    Args:
        boundary: The last day that the batch view answers for; without one the speed layer answers for everything.
    """
    upto = f"date <= date '{boundary}'" if boundary else "false"
    after = f"cast(window_start as date) > date '{boundary}'" if boundary else "true"
    return (
        "select date, user_id, event_type, event_count, total_revenue, last_event, 'batch' as layer"  # noqa: S608 - dates
        f" from batch where {upto}"
        " union all"
        " select cast(window_start as date), user_id, event_type, cast(sum(event_count) as bigint),"
        " cast(sum(total_revenue) as decimal(22, 2)), max(last_event), 'speed'"
        f" from speed where {after} group by all"
    )


@contextmanager
def serving(settings: Settings) -> "Iterator[DuckDBPyConnection]":
    """A DuckDB connection with `daily_agg`, the serving view, and `windowed_counts`, both as they are now.

    Raises:
        ViewStoreError: the store of real-time views does not answer.
    """
    paths = LakePaths.of(settings)
    # The boundary before the store: the store forgets a day only a day after the boundary has passed it.
    record, version = record_of(paths), current_version(paths.batch_view(VIEW))
    boundary = record.boundary if record else None
    since = datetime.combine(boundary + timedelta(days=1), clock(), UTC) if boundary else None
    store = open_store(settings)
    minutes = store.read(view_of(result_named(MINUTES)), since)
    windows = store.read(view_of(result_named(WINDOWS)), since)
    with delta_connection() as duck:
        duck.register("speed", minutes)
        duck.register(WINDOWS, windows)
        batch = (
            f"select {_EMPTY} where false"
            if version is None
            else f"select * from delta_scan({literal(paths.batch_view(VIEW))}, version => {version})"  # noqa: S608 - our own path, quoted
        )
        duck.execute(f"create view batch as {batch}")
        duck.execute(f"create view daily_agg as {union_sql(boundary)}")
        yield duck


@dataclass(frozen=True)
class Kpis:
    """The site's key figures. `by_day` is oldest first; `recent` are the newest closed five-minute windows by type.

    `as_of` is the newest event in any of it, None when there is none.
    """

    as_of: datetime | None
    boundary: date | None
    today: dict[str, Any]
    by_day: list[dict[str, Any]]
    recent: list[dict[str, Any]]


_FIGURES = (
    "cast(coalesce(sum(event_count), 0) as bigint) as events, count(distinct user_id) as active_users,"
    " cast(coalesce(sum(event_count) filter (event_type = 'view'), 0) as bigint) as page_views,"
    " cast(coalesce(sum(event_count) filter (event_type = 'click'), 0) as bigint) as clicks,"
    " cast(coalesce(sum(event_count) filter (event_type = 'purchase'), 0) as bigint) as purchases,"
    " cast(coalesce(sum(total_revenue), 0) as decimal(22, 2)) as revenue"
)


def read_kpis(settings: Settings, *, today: date | None = None, days: int = 14, windows: int = 60) -> Kpis:
    """Key figures out of the serving view.

    Args:
        settings: Which lake and which view store.
        today: The day (UTC) that counts as today.
        days: How many days back.
        windows: How many windows back.
    """
    day = today or datetime.now(UTC).date()
    record = record_of(LakePaths.of(settings))
    with serving(settings) as duck:
        as_of = _rows(duck, "select max(last_event) as at from daily_agg")[0]["at"]
        (figures,) = _rows(duck, f"select {_FIGURES} from daily_agg where date = date '{day}'")  # noqa: S608 - a date
        since = day - timedelta(days=days - 1)
        by_day = _rows(
            duck,
            f"select date, layer, {_FIGURES} from daily_agg where date >= date '{since}' group by all order by date",  # noqa: S608 - a date
        )
        recent = _rows(
            duck,
            "select window_start, event_type, event_count from windowed_counts where window_start >"  # noqa: S608 - a number
            f" (select max(window_start) from windowed_counts) - to_minutes({windows}) order by all",
        )
    return Kpis(as_of, record.boundary if record else None, figures, by_day, recent)


def _rows(duck: "DuckDBPyConnection", query: str) -> list[dict[str, Any]]:
    found = duck.execute(query)
    names = [column[0] for column in found.description]
    return [dict(zip(names, map(_plain, row), strict=True)) for row in found.fetchall()]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return float(value) if isinstance(value, Decimal) else value
