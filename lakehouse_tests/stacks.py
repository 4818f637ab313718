"""Servers of a test's own, which it may kill. Not here: the ones that all tests share (`conftest`)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lakehouse.engine.embedded import ports
from lakehouse.engine.embedded import stack as embedded
from lakehouse.settings import Settings, load_settings

# Tests are short: the second compiler's work would never pay for itself.
SHORT_LIVED_JAVA = "-XX:TieredStopAtLevel=1"


@contextmanager
def own_spark(home: Path, **options: str) -> Iterator[Settings]:
    """Settings of a Spark that runs until the block ends; nothing else runs in that home. `options`: more of them."""
    settings = load_settings(
        LAKEHOUSE_HOME=home,
        LAKEHOUSE_SPARK_PORT=ports.any_free(set()),
        LAKEHOUSE_JAVA_OPTIONS=SHORT_LIVED_JAVA,
        **options,
    )
    try:
        (entry,) = embedded.start(settings, services=["spark"], owner_pid=os.getpid())
        yield settings.model_copy(update={"spark_remote": entry.url})
    finally:
        embedded.stop(settings)
