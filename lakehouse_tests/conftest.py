"""What every test may use: one real broker and one real Spark per session, isolated lakes, the shared data.

Not here: fixtures of one part of the project; they live beside its tests.
Set LAKEHOUSE_TEST_HOME to a folder to keep the stack running between test sessions.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from lakehouse.settings import PROJECT_ROOT, Settings, load_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_numbers = itertools.count(1)

# How long one example takes says more about the machine's other work than about the code.
hypothesis.settings.register_profile("lakehouse", deadline=None)
hypothesis.settings.load_profile("lakehouse")


def shared_data(name: str) -> Path:
    """A folder or file of the shared data sets; skips the test, saying why, when this machine has none."""
    root = Path(os.environ.get("LAKEHOUSE_TEST_DATA") or PROJECT_ROOT.parent / "shared" / "data")
    path = root / name
    if not path.exists():
        pytest.skip(f"{path} is not on this machine (LAKEHOUSE_TEST_DATA names the folder of data sets)")
    return path


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A running embedded broker and Spark, with a home, ports and memory of their own.

    The stack belongs to this process: it stops by itself when the test run is killed. Tests may not kill any of it.
    """
    from lakehouse.engine.embedded import ports
    from lakehouse.engine.embedded import stack as embedded
    from lakehouse_tests.stacks import SHORT_LIVED_JAVA

    kept = os.environ.get("LAKEHOUSE_TEST_HOME")
    home = Path(kept) if kept else tmp_path_factory.mktemp("stack")
    kafka_port = ports.any_free(set())
    settings = load_settings(
        LAKEHOUSE_HOME=home,
        LAKEHOUSE_KAFKA_PORT=kafka_port,
        LAKEHOUSE_SPARK_PORT=ports.any_free({kafka_port}),
        LAKEHOUSE_SPARK_MEMORY="1500m",
        LAKEHOUSE_KAFKA_MEMORY="384m",
        LAKEHOUSE_JAVA_OPTIONS=SHORT_LIVED_JAVA,
    )
    try:
        found = embedded.start(settings, owner_pid=0 if kept else os.getpid())
        addresses = {entry.name: entry.url for entry in found}
        yield load_settings(
            LAKEHOUSE_HOME=home,
            KAFKA_BOOTSTRAP_SERVERS=addresses["kafka"],
            SPARK_REMOTE=addresses["spark"],
        )
    finally:
        if not kept:
            embedded.stop(settings)


@contextmanager
def isolated(stack: Settings, home: Path) -> Iterator[Settings]:
    """Settings of the running stack with an empty lake in `home`, also in the environment while the block runs."""
    with pytest.MonkeyPatch.context() as patch:
        # Also for the commands that a test starts as processes.
        patch.setenv("LAKEHOUSE_HOME", str(home))
        patch.setenv("LAKEHOUSE_ROOT", str(home / "lake"))
        patch.setenv("KAFKA_BOOTSTRAP_SERVERS", stack.kafka_bootstrap_servers)
        patch.setenv("SPARK_REMOTE", stack.spark_remote)
        # No test loses power; bringing each commit to the disk costs a tenth of the time.
        patch.setenv("LAKEHOUSE_DURABILITY", "none")
        yield load_settings()


@pytest.fixture
def settings(stack: Settings, tmp_path: Path) -> Iterator[Settings]:
    """Settings of the running stack with an empty lake and home for this test alone."""
    with isolated(stack, tmp_path / "home") as own:
        yield own


@pytest.fixture(scope="module")
def module_settings(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """As `settings`, shared by the tests of one module."""
    with isolated(stack, tmp_path_factory.mktemp("home")) as own:
        yield own


@pytest.fixture(scope="session")
def spark(stack: Settings) -> Iterator["SparkSession"]:
    """One Connect session on the running Spark."""
    from lakehouse.engine.spark import connect

    session = connect(stack.spark_remote)
    yield session
    session.stop()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A running embedded PostgreSQL of this test process."""
    from lakehouse_tests.postgres import running_postgres

    with running_postgres(tmp_path_factory.mktemp("postgres")) as found:
        yield found


@pytest.fixture
def database(postgres: Settings) -> Iterator[str]:
    """An empty database of this test alone; the settings, also those of child processes, point at it."""
    from lakehouse_tests.postgres import new_database

    url = new_database(postgres)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_POSTGRES_URL", url)
        patch.setenv("LAKEHOUSE_SOURCE_URL", url)
        yield url


@pytest.fixture
def topic_name() -> Callable[[str], str]:
    """A function that makes a topic name which no other test of this session uses."""
    return lambda stem="topic": f"{stem}_{os.getpid()}_{next(_numbers)}"
