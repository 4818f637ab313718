"""A real Kafka Connect with Debezium for tests, on the session's broker and the session's PostgreSQL.

Here: what tests of change data capture share. Not here: fixtures.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lakehouse.engine.embedded import stack as embedded
from lakehouse.settings import Settings, load_settings


@contextmanager
def running_capture(home: Path, port: int) -> Iterator[Settings]:
    """A broker, a PostgreSQL and a Connect of their own; they stop by themselves when this process is killed."""
    settings = load_settings(LAKEHOUSE_HOME=home, PGPORT=port, LAKEHOUSE_JAVA_OPTIONS="-XX:TieredStopAtLevel=1")
    try:
        embedded.start(settings, ("kafka", "postgres", "connect"), owner_pid=os.getpid())
        yield load_settings(LAKEHOUSE_HOME=home)
    finally:
        embedded.stop(settings)
