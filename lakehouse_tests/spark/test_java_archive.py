"""Sessions and the parser that they get from us: from the server, along with the session, or not at all."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lakehouse.engine import java_archive
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark
ASKED = f"""SELECT {java_archive.FLAT_JSON}('{{"n":1}}', cast(NULL AS struct<n: int>)) AS event"""


@pytest.fixture
def bare(settings: Settings) -> Iterator["SparkSession"]:
    """A session that knows nothing of the parser, as of a server that has none."""
    from pyspark.sql import SparkSession

    session = SparkSession.builder.remote(settings.spark_remote).create()
    for name in java_archive.CATALOG_CONF:
        session.conf.set(name, "")
    yield session
    session.stop()


def test_sessions_of_the_embedded_server_have_it(spark: "SparkSession") -> None:
    assert java_archive.is_there(spark)
    assert spark.sql(ASKED).collect()[0]["event"].asDict() == {"n": 1}


def test_a_session_takes_it_along(bare: "SparkSession") -> None:
    assert not java_archive.is_there(bare)
    java_archive.lend(bare)
    assert java_archive.is_there(bare)
    assert bare.sql(ASKED).collect()[0]["event"]["n"] == 1


@pytest.mark.parametrize("content", [None, b"no archive"])
def test_without_it_everything_goes_on(
    bare: "SparkSession", content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "other.jar"
    if content is not None:
        archive.write_bytes(content)
    monkeypatch.setattr(java_archive, "archive_path", lambda _: archive)
    monkeypatch.setitem(java_archive.CATALOG_CONF, next(iter(java_archive.CATALOG_CONF)), "lakehouse.Unknown")
    java_archive.lend(bare)
    assert not java_archive.is_there(bare)
    assert bare.sql("SELECT 1 AS n").collect()[0]["n"] == 1
