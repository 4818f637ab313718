"""Dagster's SQLite databases, opened at less cost: the same files and statements, with what is known kept.

Dagster makes a new SQLAlchemy engine for each statement, which then compiles the statement anew, and each time that it
opens an instance it reads all its migrations to see that the databases are up to date: half of what its daemon does
beside an idle lake. Its connections, too, last for one statement; the last one to leave a database with a write-ahead
log folds that log back into it, which is twice the work of the statement. Ours stay open.

Here: connecting. Not here: what is stored.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Self

import sqlalchemy as sa
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.schedules import SqliteScheduleStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS, create_db_conn_string
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy.pool import ConnectionPoolEntry

_ENGINES = 64
"""The event log has a database for each run; those of the latest are kept in mind."""
_KEPT_OPEN = 2
"""Connections to one database that stay open; more are made for threads that ask at the same time."""
_checked: set[str] = set()
"""Databases that this process has found to be up to date, by connection string."""


class OneMachineStorage(DagsterSqliteStorage):
    """Dagster's storage in files below `base_dir`: its default one, with databases of the classes below."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        # Not that of Dagster's class, which opens the three databases its own way.
        super(DagsterSqliteStorage, self).__init__()  # type: ignore[no-untyped-call]
        self.base_dir = base_dir
        self._inst_data = inst_data
        self._run_storage = _Runs.from_local(str(Path(base_dir, "history")))
        self._event_log_storage = _Events(str(Path(base_dir, "history", "runs")))
        self._schedule_storage = _Schedules.from_local(str(Path(base_dir, "schedules")))

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        """As Dagster makes it from dagster.yaml."""
        return cls.from_local(inst_data=inst_data, **config_value)


class _Lasting:
    """Over one of Dagster's classes: a database that is checked once per process, asked by one engine."""

    _NAME: ClassVar[str]
    _conn_string: str

    @classmethod
    def from_local(cls, base_dir: str, inst_data: ConfigurableClassData | None = None) -> Any:
        database = create_db_conn_string(base_dir, cls._NAME)
        if _is_checked(database):
            return cls(database, inst_data)  # type: ignore[call-arg]
        opened = super().from_local(base_dir, inst_data)  # type: ignore[misc]
        _checked.add(database)
        return opened

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        with _engine(self._conn_string, os.getpid()).begin() as connection:
            yield connection


class _Runs(_Lasting, SqliteRunStorage):
    _NAME = "runs"


class _Schedules(_Lasting, SqliteScheduleStorage):
    _NAME = "schedules"


class _Events(SqliteEventLogStorage):
    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        database = self.conn_string_for_shard(shard)
        with self._db_lock:
            engine = _engine(database, os.getpid())
            if not _is_checked(database):
                self._initdb(engine)
                _checked.add(database)
            with engine.begin() as connection:
                yield connection


@lru_cache(_ENGINES)
def _engine(database: str, process: int) -> sa.Engine:  # noqa: ARG001 - a fork must not use its parent's connections
    engine = sa.create_engine(
        database,
        poolclass=sa.QueuePool,
        pool_size=_KEPT_OPEN,
        max_overflow=-1,
        connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
    )
    path = _file(database)

    def leave_file_that_was_replaced(_: object, record: ConnectionPoolEntry, __: object) -> None:
        number = path.stat().st_ino if path.is_file() else None
        # None at the first checkout of all: SQLite makes a new file at its first statement.
        if record.info.get("file") not in (None, number):
            raise sa.exc.DisconnectionError(f"{path} is another file now.")
        record.info["file"] = number

    sa.event.listen(engine, "checkout", leave_file_that_was_replaced)
    return engine


def _is_checked(database: str) -> bool:
    """Somebody may have moved the folder away since, to begin a new history of runs."""
    return database in _checked and _file(database).is_file()


@lru_cache(_ENGINES)
def _file(database: str) -> Path:
    return Path(str(sa.make_url(database).database))
