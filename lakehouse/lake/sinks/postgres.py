"""Silver into a PostgreSQL table, exactly once: rows and the position they bring it to are one transaction.

Here: the order of a load. Not here: which rows (`changes`), reading them (`rows`), statements (`postgres_table`),
connecting (`engine.postgres`).

1. Under a lock of the server, read the position of the last load and silver's log: what is missing, as one batch.
2. Staging: COPY the rows with their batch_id, in a transaction of its own, so that a long copy locks nothing.
3. One transaction: merge the rows with this batch_id, delete what silver no longer has, clear staging, set the
   position.

Killed before 3 has committed, the target is as before, and the next load clears what was staged. Killed after it, the
next load finds its position there. A load that was overtaken does not find the position that it began at, and undoes.
"""

import time
from typing import TYPE_CHECKING, Any

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.crash import crash_point
from lakehouse.engine.postgres import again_while_away, connect
from lakehouse.errors import BatchConflictError, ForeignLakeError, UsageError
from lakehouse.lake.events import Fact, write_facts
from lakehouse.lake.guards.identity import require_lake
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.reports import LoadReport
from lakehouse.lake.sinks.changes import Changes, Position, changes
from lakehouse.lake.sinks.postgres_table import (
    POSITIONS,
    Target,
    copy_statement,
    delete_statement,
    ensure_tables,
    forget_statement,
    merge_statement,
    target_of,
)
from lakehouse.lake.sinks.rows import silver_as_csv
from lakehouse.settings import Settings
from lakehouse.transforms.winners import winning_order

if TYPE_CHECKING:
    from psycopg import Connection


def load(contract: StreamContract, settings: Settings, *, table: str | None = None, full: bool = False) -> LoadReport:
    """Bring a PostgreSQL table up to silver.

    Args:
        contract: The stream.
        settings: The lake, and LAKEHOUSE_POSTGRES_URL.
        table: `table` or `schema.table`; by default the stream's name.
        full: Take all of silver, also when the log says what changed; take over a table that another lake filled.

    Raises:
        UsageError: no PostgreSQL is configured.
        DatabaseUnreachableError: it did not answer for half a minute; what was committed stays.
        ForeignLakeError: the table was filled from another lake.
        SchemaIncompatibleError: the table has a column that cannot follow the contract.
    """
    if settings.postgres_url is None:
        raise UsageError(
            "No PostgreSQL is configured.",
            fix="Start one: lakehouse up --with postgres. Or set LAKEHOUSE_POSTGRES_URL.",
        )
    began = time.monotonic()
    lake_id = require_lake(settings)
    target = target_of(contract, table)
    report = _Load(contract, settings, target, lake_id, full=full).run(began)
    if report.batch_id:
        details = {name: getattr(report, name) for name in ("table", "batch_id", "deleted", "full", "dates")}
        fact = Fact(report.stream, "postgres", "load", report.batch, report.rows, 0, report.seconds, 0, details)
        write_facts(LakePaths.of(settings), [fact])
    return report


class _Load:
    def __init__(
        self, contract: StreamContract, settings: Settings, target: Target, lake_id: str, *, full: bool
    ) -> None:
        assert settings.postgres_url is not None  # noqa: S101 - asked by the only caller
        self._contract = contract
        self._url = settings.postgres_url.get_secret_value()
        self._target = target
        self._lake_id = lake_id
        self._full = full
        self._paths = LakePaths.of(settings)

    @again_while_away(BatchConflictError)
    def run(self, began: float) -> LoadReport:
        with connect(self._url) as connection:
            # Ends with the connection, however this process ends.
            connection.execute(
                "select pg_advisory_lock(hashtext('lakehouse_sink'), hashtext(%s))", (self._target.label,)
            )
            ensure_tables(connection, self._target)
            after = self.position(connection)
            if after is None and not self._full:
                self._require_empty(connection)
            wanted = changes(self._contract, self._paths, after, full=self._full)
            if wanted is None:
                return self._report(began, after, None, 0, 0)
            rows, deleted = self.apply(connection, wanted)
            return self._report(began, wanted.upto, wanted, rows, deleted)

    def position(self, connection: "Connection[Any]") -> Position | None:
        """Where the table is, as the server tells it.

        Raises:
            ForeignLakeError: another lake brought it there.
        """
        from psycopg.sql import SQL, Identifier

        found = connection.execute(
            SQL("select lake_id, table_id, silver_version, batch from {} where target = %s").format(
                Identifier(self._target.schema, POSITIONS)
            ),
            (self._target.label,),
        ).fetchone()
        if found is None:
            return None
        lake_id, table_id, version, batch = found
        if lake_id == self._lake_id:
            return Position(table_id, version, batch)
        if not self._full:
            raise ForeignLakeError(
                f"{self._target.label} was filled from lake {lake_id}; this lake is {self._lake_id}.",
                why="Two lakes would overwrite each other's rows.",
                fix="Use another table (--table), or give this one to this lake: --full.",
            )
        # Nothing of it is trusted, but it is what the position has to be replaced from.
        return Position(table_id, version, batch)

    def _require_empty(self, connection: "Connection[Any]") -> None:
        from psycopg.sql import SQL, Identifier

        query = SQL("select exists (select from {})").format(Identifier(self._target.schema, self._target.name))
        if connection.execute(query).fetchone() == (True,):
            raise UsageError(
                f"{self._target.label} has rows that no load brought there.",
                why="A load makes the table equal to silver: they would be overwritten or deleted.",
                fix="Use another table (--table), or mean it: --full.",
            )

    def apply(self, connection: "Connection[Any]", wanted: Changes) -> tuple[int, int]:
        """Stage and merge one batch; rows merged and rows deleted.

        Raises:
            BatchConflictError: another load was faster, or the server restarted and emptied staging.
        """
        staged = 0 if wanted.is_position_only else self._stage(connection, wanted)
        crash_point("after_staging")
        with connection.transaction():
            rows, deleted = self._merge(connection, wanted, staged)
            self._advance(connection, wanted, rows)
            crash_point("after_merge")
        crash_point("after_load_commit")
        return rows, deleted

    def _stage(self, connection: "Connection[Any]", wanted: Changes) -> int:
        from psycopg.sql import SQL, Identifier

        staging = Identifier(self._target.schema, self._target.staging)
        silver = self._paths.silver(self._contract.name)
        with connection.transaction():
            # Nobody else writes here while we hold the lock: whatever there is, a killed load left it.
            connection.execute(SQL("delete from {}").format(staging))
            staged = 0
            with connection.cursor().copy(copy_statement(self._target)) as copy:
                for count, text in silver_as_csv(silver, wanted, self._target.staged):
                    copy.write(text)
                    staged += count
        return staged

    def _merge(self, connection: "Connection[Any]", wanted: Changes, staged: int) -> tuple[int, int]:
        from psycopg.sql import SQL, Identifier

        if wanted.is_position_only:
            return 0, 0
        staging = Identifier(self._target.schema, self._target.staging)
        counted = connection.execute(
            SQL("select count(*) from {} where batch_id = %s").format(staging), (wanted.batch_id,)
        ).fetchone()
        if counted != (staged,):
            # Staging is not logged: a server that crashed in between comes back with an empty one.
            raise self._overtaken(f"{staged} rows were staged, {counted[0] if counted else 0} are there")
        order = winning_order(self._contract)
        rows = connection.execute(merge_statement(self._target, order), (wanted.batch_id,)).rowcount
        deleted = 0
        if wanted.full:
            gone = delete_statement(self._target, everything=True)
            deleted = connection.execute(gone, (wanted.batch_id,)).rowcount
        elif wanted.dates:
            gone = delete_statement(self._target, everything=False)
            deleted = connection.execute(gone, (wanted.batch_id, list(wanted.dates))).rowcount
        elif self._target.deletes:
            deleted = connection.execute(forget_statement(self._target), (wanted.batch_id,)).rowcount
        connection.execute(SQL("delete from {} where batch_id = %s").format(staging), (wanted.batch_id,))
        return rows, deleted

    def _advance(self, connection: "Connection[Any]", wanted: Changes, rows: int) -> None:
        """Set the position, if it still is the one that this load began at."""
        from psycopg.sql import SQL, Identifier

        positions = Identifier(self._target.schema, POSITIONS)
        values = {
            "target": self._target.label,
            "stream": self._contract.name,
            "lake_id": self._lake_id,
            "table_id": wanted.upto.table_id,
            "silver_version": wanted.upto.version,
            "batch": wanted.upto.batch,
            "batch_id": wanted.batch_id,
            "rows": rows,
        }
        names, marks = SQL(", ").join(map(Identifier, values)), SQL(", ").join(SQL("%s") for _ in values)
        if wanted.after is None:
            statement = SQL("insert into {} ({}) values ({}) on conflict do nothing").format(positions, names, marks)
            done = connection.execute(statement, list(values.values())).rowcount
        else:
            statement = SQL(
                "update {} set ({}, loaded_at) = row({}, now()) "
                "where target = %s and table_id = %s and silver_version = %s"
            ).format(positions, names, marks)
            known = [self._target.label, wanted.after.table_id, wanted.after.version]
            done = connection.execute(statement, [*values.values(), *known]).rowcount
        if done != 1:
            raise self._overtaken("the position is no longer where this load began")

    def _overtaken(self, why: str) -> BatchConflictError:
        return BatchConflictError(
            f"Another load of {self._target.label} was faster, or the server restarted.",
            why=why,
            fix="Nothing: what is missing is looked up and loaded again.",
        )

    def _report(self, began: float, at: Position | None, wanted: Changes | None, rows: int, deleted: int) -> LoadReport:
        return LoadReport(
            stream=self._contract.name,
            table=self._target.label,
            batch_id=wanted.batch_id if wanted else "",
            rows=rows,
            deleted=deleted,
            full=wanted.full if wanted else False,
            dates=[day.isoformat() for day in wanted.dates] if wanted else [],
            batch=at.batch if at else -1,
            silver_version=at.version if at else -1,
            seconds=time.monotonic() - began,
        )
