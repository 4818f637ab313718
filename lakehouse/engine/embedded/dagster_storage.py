"""Dagster's databases, made by one process before its webserver, daemon and code servers open them.

Dagster makes its SQLite databases when a process first opens them. Two processes that do so at once can stamp two
schema revisions on one database; after that none can open it, the daemon lives on, and nothing ever runs.

Here: making them, and taking back a second stamp. Not here: what is in them; nothing here imports Dagster.
"""

import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from lakehouse.engine.embedded.files import write_atomically
from lakehouse.engine.embedded.last_words import reason_in
from lakehouse.errors import SetupError

_DATABASES = (Path("schedules", "schedules.db"), Path("history", "runs.db"), Path("history", "runs", "index.db"))
_MAKE = "from dagster import DagsterInstance\nwith DagsterInstance.get(): pass"
_TIMEOUT_SECONDS = 180
# What Dagster stamps on a database that has tables and no stamp: the state in which the slower process finds it.
_STAMP_OF_THE_SLOWER = "5771160a95ad"


def make(instance: Path, cache_dir: Path) -> None:
    """Make the databases of a DAGSTER_HOME that lacks them; where they are whole, a few small reads are all.

    Args:
        instance: The DAGSTER_HOME.
        cache_dir: The user's cache, where empty databases are kept for the next one: Dagster takes three seconds.

    Raises:
        SetupError: Dagster cannot open its instance there.
    """
    for database in _DATABASES:
        _take_back_second_stamp(instance / database)
    if not any((instance / database).exists() for database in _DATABASES):
        _copy(_empty(cache_dir), instance)
    if not _is_made(instance):
        _let_dagster_make(instance)


def _is_made(instance: Path) -> bool:
    return all(len(_stamps(instance / database)) == 1 for database in _DATABASES)


def _empty(cache_dir: Path) -> Path:
    """A folder with empty databases of this Dagster."""
    kept = cache_dir / "dagster-databases" / version("dagster")
    if not _is_made(kept):
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            _let_dagster_make(Path(folder))
            _copy(Path(folder), kept)
    return kept


def _copy(source: Path, instance: Path) -> None:
    for database in _DATABASES:
        target = instance / database
        target.parent.mkdir(parents=True, exist_ok=True)
        # Whoever comes second replaces it by the same: nobody ever sees half of one.
        write_atomically(target, (source / database).read_bytes())


def _let_dagster_make(instance: Path) -> None:
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
