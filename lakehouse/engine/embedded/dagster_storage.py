"""Dagster's databases, made by one process before its webserver, daemon and code servers open them.

Dagster makes its SQLite databases when a process first opens them. Two processes that do so at once can stamp two
schema revisions on one database; after that none can open it, the daemon lives on, and nothing ever runs.

Here: making them, and taking back a second stamp. Not here: what is in them; nothing here imports Dagster.
"""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from lakehouse.engine.embedded.last_words import reason_in
from lakehouse.errors import SetupError

_DATABASES = (Path("schedules", "schedules.db"), Path("history", "runs.db"), Path("history", "runs", "index.db"))
_MAKE = "from dagster import DagsterInstance\nwith DagsterInstance.get(): pass"
_TIMEOUT_SECONDS = 180
# What Dagster stamps on a database that has tables and no stamp: the state in which the slower process finds it.
_STAMP_OF_THE_SLOWER = "5771160a95ad"


def make(instance: Path) -> None:
    """Make the databases of a DAGSTER_HOME that lacks them; where they are whole, a few small reads are all.

    Raises:
        SetupError: Dagster cannot open its instance there.
    """
    for database in _DATABASES:
        _take_back_second_stamp(instance / database)
    if all(len(_stamps(instance / database)) == 1 for database in _DATABASES):
        return
    try:
        made = subprocess.run(
            [sys.executable, "-c", _MAKE],
            env=os.environ | {"DAGSTER_HOME": str(instance), "DAGSTER_DISABLE_TELEMETRY": "yes"},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _cannot_open(instance, f"It was not done after {_TIMEOUT_SECONDS} s.") from error
    if made.returncode:
        raise _cannot_open(instance, reason_in(made.stderr.splitlines()) or f"It ended with {made.returncode}.")


def _cannot_open(instance: Path, why: str) -> SetupError:
    fix = f"Mend what it says. Or begin a new history of runs (the lake keeps everything): move {instance} away."
    return SetupError(f"Dagster cannot open its databases in {instance}.", why=why, fix=fix)


def _stamps(database: Path) -> list[str]:
    """The schema revisions stamped on a database; none when it is missing or not yet stamped."""
    if not database.is_file():
        return []
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return [str(stamp) for (stamp,) in connection.execute("SELECT version_num FROM alembic_version")]
    except sqlite3.DatabaseError:
        return []


def _take_back_second_stamp(database: Path) -> None:
    if len(_stamps(database)) > 1:
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("DELETE FROM alembic_version WHERE version_num = ?", (_STAMP_OF_THE_SLOWER,))
