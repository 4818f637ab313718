"""Every store of real-time views keeps the same promises: upsert by key, position with the rows, no lost race."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakehouse.engine.embedded.ports import any_free
from lakehouse.errors import ViewStoreError
from lakehouse.lake.speed.publish import view_of
from lakehouse.lake.speed.results import result_named
from lakehouse.lake.speed.store import ViewPosition, ViewStore, open_store
from lakehouse.settings import load_settings

VIEW = view_of(result_named("user_event_counts_1m"))
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
FIRST, SECOND = ViewPosition("table", 1), ViewPosition("table", 2)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis server of this module alone, the machine's or the one beside Python; or an empty database of somebody."""
    redis = pytest.importorskip("redis", reason="the Redis client is an extra: uv pip install 'lakehouse[redis]'")
    if named := os.environ.get("LAKEHOUSE_TEST_REDIS"):
        assert redis.Redis.from_url(named).dbsize() == 0, "the test wants an empty database"
        yield named
        return
    places = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])
    program = shutil.which("redis-server", path=places)
    if program is None:
        pytest.skip("no redis-server is installed, LAKEHOUSE_TEST_REDIS is empty")
    port = any_free(set())
    options = {"--port": port, "--bind": "127.0.0.1", "--dir": tmp_path_factory.mktemp("redis"), "--save": ""}
    server = subprocess.Popen([program, *(str(part) for option in options.items() for part in option)])
    try:
        url = f"redis://127.0.0.1:{port}/0"
        retry = redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), 200)
        redis.Redis.from_url(url, retry=retry, retry_on_error=[redis.exceptions.ConnectionError]).ping()
        yield url
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(params=["duckdb", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ViewStore]:
    """A fresh store of each kind."""
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        import redis

        yield open_store(load_settings(LAKEHOUSE_HOME=tmp_path, LAKEHOUSE_VIEW_STORE=url))
        redis.Redis.from_url(url).flushdb()
        return
    yield open_store(load_settings(LAKEHOUSE_HOME=tmp_path, LAKEHOUSE_VIEW_STORE="duckdb"))


def row(minute: int, user: str = "U1", count: int = 1) -> dict[str, Any]:
    start = NOON + timedelta(minutes=minute)
    return {
        "window_start": start,
        "window_end": start + timedelta(minutes=1),
        "user_id": user,
        "event_type": "purchase",
        "event_count": count,
        "total_revenue": Decimal("12.50") * count,
        "last_event": start + timedelta(seconds=1, microseconds=5),
    }


def table(*rows: dict[str, Any]) -> pa.Table:
    moment = pa.timestamp("us", tz="UTC")
    types = [moment, moment, pa.string(), pa.string(), pa.int64(), pa.decimal128(22, 2), moment]
    return pa.Table.from_pylist(list(rows), schema=pa.schema(zip(VIEW.columns, types, strict=True)))


def read(store: ViewStore, since: datetime | None = None) -> list[dict[str, Any]]:
    found = store.read(VIEW, since).to_pylist()
    plain = [{k: v.astimezone(UTC) if isinstance(v, datetime) else v for k, v in entry.items()} for entry in found]
    return sorted(plain, key=lambda entry: (entry["window_start"], entry["user_id"]))


def test_a_row_is_written_over_the_one_with_its_keys(store: ViewStore) -> None:
    assert store.position(VIEW) is None
    assert read(store) == []
    assert store.put(VIEW, table(row(0), row(1)), before=None, after=FIRST, replace=True)
    assert store.put(VIEW, table(row(1, count=7), row(1, "U2")), before=FIRST, after=SECOND, replace=False)
    assert store.position(VIEW) == SECOND
    assert read(store) == [row(0), row(1, count=7), row(1, "U2")]
    assert read(store, NOON + timedelta(minutes=1)) == [row(1, count=7), row(1, "U2")]


def test_a_writer_that_is_not_where_it_thinks_writes_nothing(store: ViewStore) -> None:
    assert store.put(VIEW, table(row(0)), before=None, after=SECOND, replace=True)
    assert not store.put(VIEW, table(row(0, count=9)), before=FIRST, after=FIRST, replace=False)
    assert not store.put(VIEW, table(row(0, count=9)), before=None, after=FIRST, replace=True)
    assert (store.position(VIEW), read(store)) == (SECOND, [row(0)])


def test_a_replaced_view_has_none_of_its_old_rows_and_a_pruned_one_only_new_ones(store: ViewStore) -> None:
    store.put(VIEW, table(row(0), row(5)), before=None, after=FIRST, replace=True)
    store.put(VIEW, table(row(5, "U3"), row(9)), before=FIRST, after=SECOND, replace=True)
    assert read(store) == [row(5, "U3"), row(9)]
    store.prune(VIEW, NOON + timedelta(minutes=9))
    assert read(store) == [row(9)]


def test_a_failed_write_leaves_rows_and_position_as_they_were(store: ViewStore) -> None:
    store.put(VIEW, table(row(0)), before=None, after=FIRST, replace=True)
    with pytest.raises(Exception, match=r".+"):
        store.put(VIEW, table(row(1)).drop_columns(["user_id"]), before=FIRST, after=SECOND, replace=False)
    assert (store.position(VIEW), read(store)) == (FIRST, [row(0)])


def test_a_redis_that_does_not_answer_is_a_typed_error() -> None:
    pytest.importorskip("redis", reason="the Redis client is an extra: uv pip install 'lakehouse[redis]'")
    store = open_store(load_settings(LAKEHOUSE_VIEW_STORE="redis://127.0.0.1:1/0"))
    with pytest.raises(ViewStoreError, match="LAKEHOUSE_VIEW_STORE"):
        store.position(VIEW)
