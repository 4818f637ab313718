"""Where real-time views are kept for readers who cannot wait: the interface, and which store the settings ask for.

Here: what every store can do. Not here: DuckDB (`duckdb_store`), Redis (`redis_store`), what is put there (`publish`).
A store is a cache of the speed tables: each write carries the position that it belongs to, in the same transaction, and
an empty store is filled again from the tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from lakehouse.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa


class View(NamedTuple):
    """A real-time view: its name, its columns with DuckDB types, and the columns that identify a row.

    The first key is a timestamp, by which views are read and pruned.
    """

    name: str
    columns: Mapping[str, str]
    keys: tuple[str, ...]


@dataclass(frozen=True)
class ViewPosition:
    """How far a view is: the speed table's own id and the last step whose changes it has."""

    table_id: str
    step: int


class ViewStore(Protocol):
    """A key-value store of views; a row is found by its keys."""

    def position(self, view: View) -> ViewPosition | None:
        """How far the view is; None when the store does not have it."""

    def put(
        self, view: View, rows: "pa.Table", *, before: ViewPosition | None, after: ViewPosition, replace: bool
    ) -> bool:
        """Write rows, each over the one with its keys, and the new position: all of it or nothing.

        Args:
            view: Which view.
            rows: Rows with the view's columns, in their order; times in UTC.
            before: The position that the rows follow upon.
            after: The new one.
            replace: Drop every row that the view has, first.

        Returns:
            False when the view was not at `before` any more; then nothing was written.
        """

    def read(self, view: View, since: datetime | None = None) -> "pa.Table":
        """The view's rows whose first key is at or after `since`; all of them without it."""

    def prune(self, view: View, before: datetime) -> None:
        """Forget rows whose first key lies before this time."""


def open_store(settings: Settings) -> ViewStore:
    """The store that LAKEHOUSE_VIEW_STORE names.

    Raises:
        SetupError: when it is Redis and its client is not installed.
        ViewStoreError: when it does not answer.
    """
    if settings.view_store == "duckdb":
        from lakehouse.lake.speed.duckdb_store import DuckDBStore

        return DuckDBStore(settings.home / "views" / "realtime.duckdb")
    from lakehouse.lake.speed.redis_store import RedisStore

    return RedisStore.at(settings.view_store)
