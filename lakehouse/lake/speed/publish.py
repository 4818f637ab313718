"""From the speed tables to the real-time view store: what changed since the position that the store itself remembers.

Here: which tables are views, and copying. Not here: computing (`lake.speed.writer`), stores (`lake.speed.store`).
"""

from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from typing import TYPE_CHECKING

from lakehouse.engine.duck import delta_connection, literal
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.speed.position import position_of
from lakehouse.lake.speed.results import Result, result_named
from lakehouse.lake.speed.store import View, ViewPosition, ViewStore

if TYPE_CHECKING:
    import pyarrow as pa

PUBLISHED = ("user_event_counts_1m", "windowed_counts")
_DUCKDB_TYPES = {"string": "varchar", "timestamp": "timestamptz"}


def view_of(result: Result) -> View:
    """The speed table as readers see it."""
    columns = {name: _DUCKDB_TYPES.get(kind, kind) for name, kind in result.columns.items()}
    return View(result.name, columns, result.keys)


def publish(paths: LakePaths, store: ViewStore, name: str, *, keep_from: date | None = None) -> int:
    """Bring one view up to its speed table.

    Args:
        paths: The lake.
        store: Where the view is kept.
        name: Of the speed table.
        keep_from: Forget what lies before this day (UTC): the batch view has it.

    Returns:
        Rows written.
    """
    from deltalake import DeltaTable

    result, path = result_named(name), paths.speed(name)
    view, position = view_of(result), position_of(path)
    if position is None:
        return 0
    after = ViewPosition(str(DeltaTable(path, without_files=True).metadata().id), position.step)
    before = store.position(view)
    # After a rebuild rows may be gone: only a fresh copy is sure to have none of them.
    replace = before is None or before.table_id != after.table_id or before.step < position.rebuilt
    if before == after:
        return 0
    since = 0 if replace or before is None else before.step
    rows = _changes(path, result, view, since)
    if not store.put(view, rows, before=before, after=after, replace=replace):
        return 0
    if keep_from is not None:
        store.prune(view, datetime.combine(keep_from - timedelta(days=1), clock(), UTC))
    return int(rows.num_rows)


def _changes(path: str, result: Result, view: View, since: int) -> "pa.Table":
    condition = f"_step > {since}" + (" and not is_open" if result.mode == "append" else "")
    names = ", ".join(view.columns)
    with delta_connection() as duck:
        return duck.execute(f"select {names} from delta_scan({literal(path)}) where {condition}").to_arrow_table()  # noqa: S608 - our own names
