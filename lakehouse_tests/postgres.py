"""A real PostgreSQL for tests: one server per test process, a database of its own per test.

Here: what tests of several folders share. Not here: fixtures (`conftest`).
"""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from lakehouse.engine.embedded import ports
from lakehouse.engine.embedded import stack as embedded
from lakehouse.engine.postgres import connect
from lakehouse.settings import Settings, load_settings

_numbers = itertools.count(1)


@contextmanager
def running_postgres(home: Path) -> Iterator[Settings]:
    """An embedded server that stops by itself when this process is killed; the settings are those of its home."""
    settings = load_settings(LAKEHOUSE_HOME=home, PGPORT=ports.any_free(set()))
    try:
        embedded.start(settings, ("postgres",), owner_pid=os.getpid())
        yield load_settings(LAKEHOUSE_HOME=home)
    finally:
        embedded.stop(settings)


def new_database(settings: Settings) -> str:
    """Make an empty database on the server; its address."""
    assert settings.postgres_url is not None
    url = settings.postgres_url.get_secret_value()
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with connect(url) as connection:
        connection.execute(f"create database {name}")
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
