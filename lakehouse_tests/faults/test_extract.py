"""Extracts from a real PostgreSQL: killed, resumed, with writers at work; silver ends equal to the table."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from lakehouse.cli import produce
from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.engine.postgres import connect
from lakehouse.errors import UsageError
from lakehouse.kafka.client import client_config
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake.drain import drain
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings, load_settings
from lakehouse.sources.extract import Extract, ExtractBusyError, extract
from lakehouse_tests.streams import rows_of

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
PAGE = 100
TABLE = """
create table orders (
    order_id bigint primary key, customer_id bigint not null, status text not null, amount numeric(12,2) not null,
    created_at timestamptz not null, updated_at timestamptz
)
"""
# All of a day in one load: one timestamp for every row.
FILL = """
insert into orders
select n, 1000 + n % 50, 'new', n / 7.0, now() - n % 3 * interval '1 day' - interval '1 hour', now()
from generate_series(1, 1050) n
"""
COLUMNS = "order_id, customer_id, status, amount, created_at, updated_at"


@pytest.fixture
def contract(settings: Settings, database: str, topic_name: Callable[[str], str]) -> StreamContract:
    shipped = load_stream("orders_batch")
    assert shipped.topic.kind == "batch"
    named = shipped.model_copy(update={"topic": shipped.topic.model_copy(update={"name": topic_name("orders")})})
    topics = desired_topics([named])
    assert [topic.kind for topic in topics] == ["batch", "events"]
    apply_topics(settings, topics)
    with connect(database) as connection:
        connection.execute(TABLE)
        connection.execute(FILL)
    return named


def records(topic: str) -> list[dict[str, Any]]:
    """Every record of the topic; those of one key in the order of their partition."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(client_config(load_settings(), group_id="reader", enable_auto_commit=False))
    found: list[dict[str, Any]] = []
    try:
        partitions = [TopicPartition(topic, number, 0) for number in range(3)]
        wanted = sum(consumer.get_watermark_offsets(partition, timeout=30)[1] for partition in partitions)
        consumer.assign(partitions)
        while len(found) < wanted:
            message = consumer.poll(30)
            assert message is not None
            assert message.error() is None
            found.append(json.loads(message.value()))
            assert message.key().decode() == str(found[-1]["order_id"])
    finally:
        consumer.close()
    return found


def run(contract: StreamContract, report: Callable[[str], None] = print, **changes: Any) -> Any:
    what = Extract(**{"table": "orders", "key": ("order_id",), "page": PAGE, "overlap": timedelta(0), **changes})
    return extract(contract, load_settings(), what, stop=threading.Event(), report=report)


def test_killed_resumed_and_written_to_meanwhile_silver_equals_the_table(
    contract: StreamContract, settings: Settings, database: str, tmp_path: Path
) -> None:
    path = tmp_path / "contract.json"
    path.write_text(contract.model_dump_json(), encoding="utf-8")
    for point in ("extract_after_ack:3", "extract_after_note:2"):
        worker = subprocess.run(
            [sys.executable, "-m", "lakehouse_tests.faults.extract_worker", str(path), "public.orders", str(PAGE)],
            env={**os.environ, "LAKEHOUSE_CRASH_AT": point},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert worker.returncode == -signal.SIGKILL, worker.stdout + worker.stderr
    sent = records(contract.topic.name)
    # The page that was acknowledged and not noted came twice, no other.
    assert len(sent) == 5 * PAGE
    assert sorted(row["order_id"] for row in sent) == sorted([*range(1, 401), *range(201, 301)])

    busy = psycopg.connect(database)
    written: list[str] = []
    with connect(database) as other:

        def write_meanwhile(line: str) -> None:
            if not written:
                # Rows already sent and rows still to be sent, in the middle of the run.
                other.execute(
                    "update orders set status = 'paid', updated_at = clock_timestamp() where order_id % 10 = 0"
                )
                # This transaction's time is now; it commits after the run.
                busy.execute("update orders set status = 'shipped', updated_at = now() where order_id in (7, 1007)")
                with pytest.raises(ExtractBusyError):
                    run(contract)
            written.append(line)

        resumed = run(contract, write_meanwhile, table="public.orders")
    assert resumed.resumed
    # Rows that moved behind the run's end are the next run's; the others came from where the killed run stood.
    assert resumed.rows == 1050 - 400 - 55
    following = run(contract, table="public.orders")
    assert (following.resumed, following.rows) == (False, 105)
    busy.commit()
    busy.close()
    late = run(contract, table="public.orders")
    assert late.rows == 2, "committed after a run had passed their time, and found all the same"
    assert run(contract, table="public.orders").rows == 0

    drain(contract, settings, budget_seconds=240, idle_seconds=0)
    with connect(database) as connection:
        table = connection.execute(f"select {COLUMNS} from orders").fetchall()
    silver = rows_of(LakePaths.of(settings).silver(contract.name), COLUMNS)
    assert sorted(map(_comparable, silver)) == sorted(map(_comparable, table))
    assert verify(settings, [contract]).findings == []


def test_a_day_a_null_and_wrong_names(contract: StreamContract, database: str) -> None:
    day = (datetime.now(UTC) - timedelta(hours=1)).date()
    with connect(database) as connection:
        connection.execute("update orders set updated_at = null where order_id = 5")
        counted = connection.execute("select count(*) from orders where created_at::date = %s", (day,)).fetchone()
    assert counted is not None
    assert run(contract, day=day).rows == counted[0] > PAGE
    assert {date.fromisoformat(row["created_at"][:10]) for row in records(contract.topic.name)} == {day}
    assert run(contract).without_time == 1
    for changes, message in (
        ({"table": "nothing"}, "no table public.nothing"),
        ({"updated": "changed_at"}, "no column 'changed_at'"),
        ({"day": day, "day_column": "made_on"}, "no column 'made_on'"),
    ):
        with pytest.raises(UsageError, match=message):
            run(contract, **changes)


def test_the_command_needs_a_database_and_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    for arguments, message in (
        (["db", "--table", "orders"], "No source database"),
        (["db", "--table", "orders", "--overlap", "soon"], "no duration"),
        (["db", "--table", "orders", "--date", "today"], "is no date"),
    ):
        result = CliRunner().invoke(produce.app, arguments)
        assert isinstance(result.exception, UsageError)
        assert message in str(result.exception)


def _comparable(row: tuple[Any, ...]) -> str:
    return repr(tuple(value.astimezone(UTC) if isinstance(value, datetime) else value for value in row))
