"""The PostgreSQL sink on a real server: killed anywhere, run twice at once, after rebuilds, its table equals silver."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from tenacity import stop_after_attempt

from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec, Rule
from lakehouse.engine.crash import SINK_POINTS
from lakehouse.engine.embedded import stack as embedded
from lakehouse.engine.postgres import connect
from lakehouse.errors import BatchConflictError, DatabaseUnreachableError, ForeignLakeError, UsageError
from lakehouse.lake.drain import drain
from lakehouse.lake.guards.identity import require_lake
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.rebuild.backfill import rebuild_silver
from lakehouse.lake.rebuild.kappa import replay
from lakehouse.lake.sinks import postgres as sink
from lakehouse.lake.sinks.changes import changes
from lakehouse.lake.sinks.postgres_table import ensure_tables, merge_statement, target_of
from lakehouse.settings import Settings, load_settings
from lakehouse.transforms.winners import winning_order
from lakehouse_tests.streams import encode, rows_of, sale, sales_on, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
Topic = Callable[[str], str]


def work(contract: StreamContract, folder: Path, *, crash_at: str = "") -> "subprocess.Popen[str]":
    path = folder / "contract.json"
    path.write_text(contract.model_dump_json(), encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", "lakehouse_tests.faults.sink_worker", str(path)],
        env={**os.environ, "LAKEHOUSE_CRASH_AT": crash_at},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def in_postgres(url: str, query: str) -> list[tuple[Any, ...]]:
    with connect(url) as connection:
        return connection.execute(query).fetchall()


def comparable(row: tuple[Any, ...]) -> str:
    """PostgreSQL's texts have no U+0000, the one character that is replaced on the way; times are compared as such."""
    values = (value.astimezone(UTC) if isinstance(value, datetime) else value for value in row)
    return repr(tuple(value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in values))


def assert_equal(contract: StreamContract, settings: Settings, url: str) -> int:
    """The oracle: the table and silver have the same rows, value by value; returns how many."""
    columns = ", ".join(f'"{name}"' for name in target_of(contract, None).columns)
    silver = rows_of(LakePaths.of(settings).silver(contract.name), columns)
    table = in_postgres(url, f"select {columns} from {contract.name}")
    assert sorted(map(comparable, table)) == sorted(map(comparable, silver))
    assert in_postgres(url, f"select count(*) from staging_{contract.name}") == [(0,)]
    return len(table)


def take_in(contract: StreamContract, settings: Settings, values: list[bytes | None]) -> None:
    send(settings, contract.topic.name, values)
    drain(contract, settings, budget_seconds=240, idle_seconds=0)


def test_killed_anywhere_and_raced_the_table_equals_silver(
    settings: Settings, database: str, topic_name: Topic, tmp_path: Path
) -> None:
    settings = load_settings()
    contract = sales_on(settings, topic_name("sunk"))
    now = datetime.now(UTC)
    odd = sale(77, at=now, product_name='a "quoted", \\N \x00 name\n', store_location="")
    old = [encode(sale(n, at=now - timedelta(days=1))) for n in range(100, 130)]
    take_in(contract, settings, [*(encode(sale(n, at=now)) for n in range(40)), *old, encode(odd)])

    # Killed before the commit nothing is there, killed after it everything is.
    for point, there in zip(SINK_POINTS, (0, 0, 71), strict=True):
        worker = work(contract, tmp_path, crash_at=point)
        output = worker.communicate(timeout=120)[0]
        assert worker.returncode == -signal.SIGKILL, output
        assert in_postgres(database, "select count(*) from sales") == [(there,)]
    assert sink.load(contract, settings).batch_id == ""
    assert assert_equal(contract, settings, database) == 71

    # Corrections, repeats and news; two loads at once share them without doubling any.
    moment = datetime.now(UTC).isoformat()
    corrected = odd | {"store_location": "Boston", "sale_timestamp": moment}
    take_in(contract, settings, [encode(event) for event in (corrected, *(sale(n, at=now) for n in range(30, 60)))])
    workers = [work(contract, tmp_path) for _ in range(2)]
    outputs = [worker.communicate(timeout=120)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], "\n".join(outputs)
    reports = [json.loads(output) for output in outputs]
    (batch_id,) = [report["batch_id"] for report in reports if report["rows"]]
    assert batch_id.startswith(f"{contract.topic.name}[0:")
    assert assert_equal(contract, settings, database) == 91


@pytest.mark.slow
def test_after_a_backfill_and_a_replay_the_table_equals_silver(
    settings: Settings, database: str, topic_name: Topic
) -> None:
    settings = load_settings()
    contract = sales_on(settings, topic_name("sunk"))
    now = datetime.now(UTC)
    yesterday = now - timedelta(days=1)
    days = [now, yesterday]
    take_in(contract, settings, [encode(sale(n, at=days[n % 2])) for n in range(60)])
    assert sink.load(contract, settings).rows == 60

    # A backfill under a stricter rule takes rows out of silver, a replay swaps all of it.
    few = Rule(name="few_pieces", sql="quantity <= 3")
    strict = contract.model_copy(update={"rules": [*contract.rules, few]})
    rebuild_silver(strict, settings, [yesterday.date()])
    report = sink.load(contract, settings)
    assert (report.full, report.dates) == (False, [yesterday.date().isoformat()])
    left = assert_equal(contract, settings, database)
    assert left == 60 - report.deleted < 60
    replay(strict, settings)
    assert sink.load(contract, settings).deleted > 0
    assert assert_equal(contract, settings, database) < left
    # A load that slept since before all this finds the position moved.
    with connect(database) as connection:
        asleep = sink._Load(contract, settings, target_of(contract, None), require_lake(settings), full=False)
        stale = changes(contract, LakePaths.of(settings), None, full=False)
        assert stale is not None
        with pytest.raises(BatchConflictError):
            asleep.apply(connection, stale)
    sink.load(contract, settings, full=True)
    assert_equal(contract, settings, database)


def test_a_server_that_dies_between_staging_and_merge(
    settings: Settings, postgres: Settings, database: str, topic_name: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Staging is not logged: after the crash it is empty, and the load begins anew, with a new column besides."""
    settings = load_settings()
    contract = sales_on(settings, topic_name("sunk"))
    take_in(contract, settings, [encode(sale(n)) for n in range(20)])
    assert sink.load(contract, settings).rows == 20
    added = FieldSpec(name="loyalty", type="integer", description="Points.", nullable=True)
    wider = contract.model_copy(update={"fields": [*contract.fields, added]})
    take_in(wider, settings, [encode(sale(n, loyalty=n)) for n in range(20, 25)])
    killed: list[int] = []

    def kill_the_server(point: str) -> None:
        if point == "after_staging" and not killed:
            # With all of its processes: the one that serves us may live long enough to commit.
            server = psutil.Process(embedded.status(postgres)[0].pid)
            for process in (server, *server.children(recursive=True)):
                process.kill()
            killed.append(server.pid)

    monkeypatch.setattr(sink, "crash_point", kill_the_server)
    assert sink.load(wider, settings).rows == 5
    assert killed
    assert assert_equal(wider, settings, database) == 25
    assert in_postgres(database, "select sum(loyalty) from sales") == [(110,)]

    in_postgres(database, "update lakehouse_loads set lake_id = 'other' returning 1")
    with pytest.raises(ForeignLakeError):
        sink.load(wider, settings)
    assert sink.load(wider, settings, full=True).full
    with connect(database) as connection:
        ensure_tables(connection, target_of(wider, "theirs"))
        connection.execute("insert into theirs (event_date, order_id) values ('2026-01-01', 'x')")
    with pytest.raises(UsageError, match="no load brought there"):
        sink.load(wider, settings, table="theirs")
    monkeypatch.setattr(sink._Load.run.retry, "stop", stop_after_attempt(2))  # type: ignore[attr-defined]
    monkeypatch.setenv("LAKEHOUSE_POSTGRES_URL", "postgresql://postgres@127.0.0.1:1/nowhere")
    with pytest.raises(DatabaseUnreachableError):
        sink.load(wider, load_settings())


def test_a_merge_takes_its_own_batch_and_each_key_once(database: str) -> None:
    """The statements alone: what a crash left in staging, and a key that is staged twice."""
    contract = load_stream("sales")
    target = target_of(contract, "events")
    with connect(database) as connection:
        ensure_tables(connection, target)
        assert target.staging == "staging_events"
        row = "'2026-01-01', {key!r}, {at!r}, {offset}, {batch!r}"
        values = [
            row.format(key="a", at="2026-01-01 10:00Z", offset=1, batch="mine"),
            row.format(key="a", at="2026-01-01 11:00Z", offset=2, batch="mine"),
            row.format(key="a", at="2026-01-01 12:00Z", offset=3, batch="left by a crash"),
            row.format(key="b", at="2026-01-01 12:00Z", offset=4, batch="left by a crash"),
        ]
        for value in values:
            connection.execute(
                f"insert into staging_events (event_date, order_id, sale_timestamp, _offset, batch_id) values ({value})"
            )
        for _ in range(2):
            connection.execute(merge_statement(target, winning_order(contract)), ("mine",))
            assert connection.execute("select order_id, _offset from events").fetchall() == [("a", 2)]
