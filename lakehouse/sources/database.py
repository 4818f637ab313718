"""Reading a PostgreSQL table by watermark, in pages that can be taken up again after a kill.

Here: SQL, pages, the note of how far it is. Not here: sending them (`sources.extract`).

A watermark alone loses rows: a transaction may commit after we have read past the `updated_at` that it wrote. So a run
reads up to the moment at which it began, and the next run begins earlier than that: at the start of the oldest
transaction that was open then, less an overlap for clocks that differ. Rows in the overlap are sent again; the stream's
key makes them one. Within a run pages go by (updated_at, key), so that rows with one timestamp are never cut off.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lakehouse.errors import UsageError
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Composed


class Row(NamedTuple):
    """A row as it is sent: its position (updated_at, then the key, as text), its key, its columns as JSON."""

    at: tuple[str, ...]
    key: str
    value: bytes


@dataclass(frozen=True)
class Note:
    """How far a run is.

    Attributes:
        since: The run takes rows from here on; None for all.
        upto: The run takes rows before this moment, the one at which it began.
        horizon: Start of the oldest transaction that was open at that moment.
        at: Position of the last row that Kafka has acknowledged; None when there is none.
        is_done: The run came to its end.
    """

    since: str | None
    upto: str
    horizon: str
    at: list[str] | None = None
    is_done: bool = False


class Notes:
    """The note of one table on one topic, kept across runs.

    Args:
        folder: Where the notes are.
        topic_id: The broker's id of the topic: a topic made anew is filled from the beginning.
        what: Names database and table.
    """

    def __init__(self, folder: Path, topic_id: str, what: str) -> None:
        name = hashlib.sha256(what.encode()).hexdigest()[:24]
        self._path = folder / topic_id / f"db-{name}.json"

    def read(self) -> Note | None:
        """The last note, or None."""
        return Note(**json.loads(self._path.read_text(encoding="utf-8"))) if self._path.is_file() else None

    def write(self, note: Note) -> None:
        """Replace the note; a kill leaves the old or the new one."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_suffix(".part")
        with unfinished.open("w", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(note)))
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(self._path)

    def forget(self) -> None:
        """Begin anew."""
        self._path.unlink(missing_ok=True)


def source_address(settings: Settings, *, part: str = "postgres") -> str:
    """The address of LAKEHOUSE_SOURCE_URL, password included; `part` is what `lakehouse up --with` would start.

    Raises:
        UsageError: none is configured.
    """
    if settings.source_url is None:
        raise UsageError(
            "No source database is configured.",
            fix=f"Start one: lakehouse up --with {part}. Or set LAKEHOUSE_SOURCE_URL.",
        )
    return settings.source_url.get_secret_value()


def qualified(table: str) -> str:
    """`schema.table`, of the schema public when none is named."""
    return table if "." in table else f"public.{table}"


class TableReader:
    """Pages of one table.

    Args:
        connection: To its database.
        table: `table` or `schema.table`.
        key: Columns that identify a row and never change.
        updated: Column with the time of a row's last change.

    Raises:
        UsageError: the table or a column does not exist.
    """

    def __init__(self, connection: "Connection[Any]", table: str, key: list[str], updated: str) -> None:
        self._connection = connection
        self.label = qualified(table)
        self._schema, self._table = self.label.split(".", 1)
        types = dict(
            connection.execute(
                "select a.attname, format_type(a.atttypid, a.atttypmod) from pg_attribute a "
                "join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace "
                "where n.nspname = %s and c.relname = %s and a.attnum > 0 and not a.attisdropped",
                (self._schema, self._table),
            ).fetchall()
        )
        if not types:
            raise UsageError(f"There is no table {self.label} in this database.", fix="Name it: --table schema.table")
        for name in (*key, updated):
            if name not in types:
                raise UsageError(f"{self.label} has no column {name!r}.", fix=f"It has: {', '.join(types)}.")
        self._types = types
        self._order = [updated, *key]

    def begin(self, before: Note | None, overlap: timedelta) -> Note:
        """The run to make now: the unfinished one, or a new one that begins where the last one may have missed rows."""
        if before is not None and not before.is_done:
            return before
        row = self._connection.execute(
            "select clock_timestamp()::text, least(clock_timestamp(), (select min(xact_start) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()))::text"
        ).fetchone()
        upto, horizon = row or ("", "")
        if before is None:
            return Note(None, upto, horizon)
        earlier = self._connection.execute(
            "select (least(%s::timestamptz, %s::timestamptz) - %s)::text", (before.upto, before.horizon, overlap)
        ).fetchone()
        return Note(str(earlier[0]) if earlier else None, upto, horizon)

    def without_watermark(self) -> int:
        """Rows that no run can find, because their time of change is null."""
        from psycopg.sql import SQL, Identifier

        query = SQL("select count(*) from {} where {} is null").format(self._name(), Identifier(self._order[0]))
        row = self._connection.execute(query).fetchone()
        return int(row[0]) if row else 0

    def changed(self, note: Note, page: int) -> Iterator[list[Row]]:
        """Pages of the run's rows after its position, in order; each is read in a snapshot of its own."""
        from psycopg.sql import SQL, Identifier

        updated = Identifier(self._order[0])
        at = note.at
        while True:
            where = [SQL("{} < %s::timestamptz").format(updated)]
            values: list[Any] = [note.upto]
            if at is not None:
                where.append(self._after(self._order))
                values += at
            elif note.since is not None:
                where.append(SQL("{} >= %s::timestamptz").format(updated))
                values.append(note.since)
            rows = self._page(SQL(" and ").join(where), self._order, values, page)
            if rows:
                yield rows
            if len(rows) < page:
                return
            at = list(rows[-1].at)

    def of_day(self, day: date, column: str, page: int) -> Iterator[list[Row]]:
        """Pages of the rows whose `column` lies on a day (UTC), in the order of the key.

        Raises:
            UsageError: there is no such column.
        """
        from psycopg.sql import SQL, Identifier

        if column not in self._types:
            raise UsageError(f"{self.label} has no column {column!r}.", fix=f"It has: {', '.join(self._types)}.")
        key = self._order[1:]
        of_day = SQL("{0} >= %s::date and {0} < %s::date").format(Identifier(column))
        days = [day.isoformat(), (day + timedelta(days=1)).isoformat()]
        at: list[str] = []
        while True:
            where = of_day + SQL(" and ") + self._after(key) if at else of_day
            rows = self._page(where, key, [*days, *at], page)
            if rows:
                yield rows
            if len(rows) < page:
                return
            at = list(rows[-1].at)

    def _after(self, order: list[str]) -> "Composed":
        """Condition: behind a position, whose texts are read as the columns' own types."""
        from psycopg.sql import SQL, Identifier

        columns = SQL(", ").join(map(Identifier, order))
        marks = SQL(", ").join(SQL("%s::" + self._types[name]) for name in order)
        return SQL("({}) > ({})").format(columns, marks)

    def _page(self, where: Any, order: list[str], values: list[Any], page: int) -> list[Row]:
        from psycopg.sql import SQL, Identifier

        # By the table's own columns: a bare name would mean the text that is selected under it.
        columns = [Identifier("t", name) for name in order]
        texts = SQL(", ").join(SQL("{}::text").format(column) for column in columns)
        query = SQL("select row_to_json(t)::text, {} from {} t where {} order by {} limit %s").format(
            texts, self._name(), where, SQL(", ").join(columns)
        )
        found = self._connection.execute(query, [*values, page]).fetchall()
        keys = len(self._order) - 1
        return [Row(tuple(at), "|".join(at[-keys:]), text.encode()) for text, *at in found]

    def _name(self) -> Any:
        from psycopg.sql import Identifier

        return Identifier(self._schema, self._table)
