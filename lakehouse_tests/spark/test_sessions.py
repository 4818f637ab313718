"""What Spark really runs with: the settings of a profile as a session shows them, and rows kept for a while."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from pyspark import StorageLevel
from typer.testing import CliRunner

from lakehouse.cli import config, status
from lakehouse.engine.caching import cached
from lakehouse.engine.embedded import stack as embedded
from lakehouse.engine.spark import MANY_ROWS_AGAIN, MANY_ROWS_ONCE, connect, expect_rows
from lakehouse.errors import AccessDeniedError
from lakehouse.settings import Settings
from lakehouse_tests.stacks import own_spark

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark
# Nanoseconds that the server has spent on compiling queries; itself it needs none.
COMPILING = (
    "SELECT bigint(java_method('org.apache.spark.sql.catalyst.expressions.codegen.CodeGenerator', 'compileTime')) AS ns"
)
# What the sources ask for of a batch cluster.
OF_A_CLUSTERS_SESSION = {
    "spark.sql.shuffle.partitions": "200",
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.adaptive.coalescePartitions.enabled": "true",
    "spark.sql.autoBroadcastJoinThreshold": "100m",
    "spark.sql.join.preferSortMergeJoin": "true",
}
OF_A_CLUSTERS_SERVER = {
    "spark.app.name": "BatchETL",
    "spark.executor.memory": "8g",
    "spark.executor.cores": "4",
    "spark.driver.memory": "4g",
    "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
    "spark.dynamicAllocation.enabled": "true",
}


def shown(session: "SparkSession", names: dict[str, str]) -> dict[str, str | None]:
    return {name: session.conf.get(name) for name in names}


def test_a_session_has_the_settings_of_its_profile(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    local = connect(settings.spark_remote)
    monkeypatch.setenv("LAKEHOUSE_SPARK_PROFILE", "cluster")
    cluster = connect(settings.spark_remote)
    try:
        assert local.conf.get("spark.sql.shuffle.partitions") == "4"
        assert shown(cluster, OF_A_CLUSTERS_SESSION) == OF_A_CLUSTERS_SESSION
        expect_rows(cluster, 10)
        assert cluster.conf.get("spark.sql.shuffle.partitions") == "1"
        expect_rows(cluster, MANY_ROWS_AGAIN, many=MANY_ROWS_AGAIN)
        assert shown(cluster, OF_A_CLUSTERS_SESSION) == OF_A_CLUSTERS_SESSION
        expect_rows(cluster, MANY_ROWS_ONCE - 1, many=MANY_ROWS_ONCE)
        assert cluster.conf.get("spark.sql.shuffle.partitions") == "1"
        expect_rows(cluster, 10**6)
        expect_rows(local, 10**6)
        assert shown(cluster, OF_A_CLUSTERS_SESSION) == OF_A_CLUSTERS_SESSION
        assert local.conf.get("spark.sql.shuffle.partitions") == "4"
    finally:
        local.stop()
        cluster.stop()


def test_only_who_has_the_token_is_let_in_and_no_command_shows_it(stack: Settings) -> None:
    address, _, token = stack.spark_remote.partition("/;token=")
    assert len(token) == 64
    for wrong in (address, f"{address}/;token=guess"):
        with pytest.raises(AccessDeniedError, match=f"Spark at {address} denies access"):
            connect(wrong)
    for name in ("spark/token", "run/plan.json", "services.json", "endpoints.json"):
        file = stack.home / name
        assert (token in file.read_text(), file.stat().st_mode & 0o777) == (True, 0o600), name
    logs = [path for path in (stack.home / "logs").iterdir() if token.encode() in path.read_bytes()]
    assert logs == []
    for command, options in ((status, []), (status, ["--json"]), (config, []), (config, ["--json"])):
        said = CliRunner().invoke(command.app, options, env={"LAKEHOUSE_HOME": str(stack.home)})
        assert address in said.output.replace("\n", ""), (said.output, said.exception)
        assert token not in said.output


@pytest.fixture
def clusters_server(tmp_path: Path) -> Iterator[tuple[Settings, int]]:
    """A server of the profile `cluster`, and its process."""
    with own_spark(tmp_path / "cluster", LAKEHOUSE_SPARK_PROFILE="cluster") as own:
        (entry,) = embedded.status(own)
        yield own, entry.pid


@pytest.mark.slow
def test_a_server_of_the_profile_cluster_says_what_was_asked_for(
    clusters_server: tuple[Settings, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, pid = clusters_server
    monkeypatch.setenv("LAKEHOUSE_SPARK_PROFILE", "cluster")
    session = connect(settings.spark_remote)
    try:
        wanted = OF_A_CLUSTERS_SERVER | OF_A_CLUSTERS_SESSION
        assert shown(session, wanted) == wanted
        assert session.range(1000).selectExpr("sum(id)").collect()[0][0] == 499_500
    finally:
        session.stop()
    assert "-Xmx4g" in psutil.Process(pid).cmdline(), "the server is the driver"


def test_cached_columns_are_kept_within_the_block_and_let_go_after_it(spark: "SparkSession") -> None:
    frame = spark.range(10).selectExpr("id", "id * 2 AS twice", "repeat('x', 100) AS payload")
    with cached(frame, ["id", "twice"]) as rows:
        assert rows.columns == ["id", "twice"]
        assert rows.storageLevel == StorageLevel.MEMORY_AND_DISK
        assert rows.agg({"twice": "sum"}).collect()[0][0] == 90
        assert "InMemoryTableScan" in rows.groupBy("id").count()._explain_string()
    assert rows.storageLevel == StorageLevel.NONE

    def fails() -> None:
        with cached(frame, ["id"]) as kept:
            held.append(kept)
            raise ValueError("broken")

    held: list[DataFrame] = []
    with pytest.raises(ValueError, match="broken"):
        fails()
    assert held[0].storageLevel == StorageLevel.NONE, "let go also when the block fails"


def test_sessions_share_the_code_that_is_compiled_for_queries(settings: Settings) -> None:
    seen = []
    for _ in range(2):
        session = connect(settings.spark_remote)
        try:
            expect_rows(session, 1_000_000)
            before = session.sql(COMPILING).collect()[0]["ns"]
            session.range(100).selectExpr("id * 3 + 17041 AS n").where("n % 7 = 1").groupBy("n").count().collect()
            seen.append(session.sql(COMPILING).collect()[0]["ns"] - before)
        finally:
            session.stop()
    assert seen[0] > 0
    assert seen[1] == 0
