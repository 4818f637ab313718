"""The source of change data capture: its tables, publication, slot and role, made by `infra/postgres/source.sql`.

Here: running that file, asking about the slot. Not here: the connector (`kafka.connectors`).
"""

from dataclasses import dataclass

from lakehouse.engine.postgres import connect
from lakehouse.errors import SetupError
from lakehouse.settings import PROJECT_ROOT, Settings
from lakehouse.sources.database import source_address

INIT_FILE = PROJECT_ROOT / "infra" / "postgres" / "source.sql"
SLOT = "debezium_slot"


@dataclass(frozen=True)
class Slot:
    """The replication slot: is it being read, and the bytes of log that it keeps; None when it has lost some."""

    is_active: bool
    kept_bytes: int | None


def init_source(settings: Settings, *, tables_only: bool = False) -> None:
    """Make what is missing in the database of LAKEHOUSE_SOURCE_URL; a second call changes nothing.

    Args:
        settings: The database.
        tables_only: Nothing but the tables: a slot that nobody reads keeps the server's log.

    Raises:
        UsageError: no database is configured.
        SetupError: the server does not write the log that capture reads.
        DatabaseUnreachableError, AccessDeniedError: it does not answer, or not let us.
    """
    import psycopg

    with connect(source_address(settings, part="cdc")) as connection:
        try:
            # One by one, as psql does: a slot cannot be made in a transaction that has written something.
            for statement in INIT_FILE.read_text(encoding="utf-8").split(";\n\n"):
                if not tables_only or statement.startswith("create table"):
                    connection.execute(statement.encode())
        except psycopg.errors.RaiseException as error:
            raise SetupError(
                "The source database is not ready for change data capture.", why=str(error).splitlines()[0]
            ) from error


def slot(settings: Settings) -> Slot | None:
    """The slot of the shipped connector; None when there is none. Raises as `init_source`."""
    with connect(source_address(settings, part="cdc")) as connection:
        row = connection.execute(
            "select active, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint "
            "from pg_replication_slots where slot_name = %s",
            (SLOT,),
        ).fetchone()
    return Slot(bool(row[0]), row[1]) if row else None
