"""What others do with the same backlog in the same run: Structured Streaming, delta-rs from Python, DuckDB.

Here: each peer in its plainest good form, and ours beside it. Not here: tuning a peer to win, or to lose.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Figure
from benchmarks.workbench import Workbench
from lakehouse.contracts.model import StreamContract
from lakehouse.kafka.client import client_config, spark_options
from lakehouse.kafka.offsets import read_topic_state

if TYPE_CHECKING:
    from pyspark.sql.connect.streaming.readwriter import DataStreamWriter

_BATCH = 500_000
_FETCH = 10_000


def measure(bench: Workbench) -> list[Figure]:
    """Rows per second of each, over the backlog, warm."""
    contract = bench.backlog("peers")
    ours = _timed(bench, "ours", lambda number: _ours(bench, number))
    streaming = _timed(bench, "Structured Streaming", lambda number: _streaming(bench, contract, number))
    continuous = _timed(bench, "Structured Streaming, continuous", lambda number: _continuous(bench, contract, number))
    delta_rs = _timed(bench, "delta-rs", lambda number: _delta_rs(bench, contract, number))
    duck = _timed(bench, "DuckDB", lambda number: _duckdb(bench, contract, number))
    exact = "exactly once: batch numbers in the Delta log"
    checkpoint = "same jars, fetch sizes and batches; exactly once by its checkpoint folder, which must not be lost"
    return [
        _figure("peer_ours", "Kafka → Delta: bronze of this project", ours, exact),
        _figure("peer_streaming", "Kafka → Delta: Structured Streaming, availableNow", streaming, checkpoint),
        _figure(
            "peer_continuous",
            "Kafka → Delta: Structured Streaming, one micro-batch after another",
            continuous,
            "as above, by a query that goes on; until all was processed",
        ),
        _figure(
            "peer_delta_rs",
            "Kafka → Delta: confluent-kafka → Arrow → delta-rs",
            delta_rs,
            "one process, no position kept",
        ),
        _figure(
            "peer_duckdb",
            "Kafka → typed Parquet: confluent-kafka → Arrow → DuckDB",
            duck,
            "parse and five rules; no merge, no quarantine, no position kept",
        ),
    ]


def _figure(name: str, title: str, rate: float, note: str) -> Figure:
    return Figure(f"{name}_rows_per_second", title, rate, "rows/s", "higher", note=note)


def _timed(bench: Workbench, title: str, work: Callable[[int], None]) -> float:
    seconds = []
    for number in range(max(2, bench.sizes.passes - 1)):
        bench.say(f"peers: {title}, pass {number + 1}")
        began = time.monotonic()
        work(number)
        seconds.append(time.monotonic() - began)
    return bench.sizes.events / median(seconds[1:])


def _fresh(bench: Workbench, name: str, number: int) -> str:
    path = Path(bench.paths.root) / "peers" / f"{name}{number}"
    shutil.rmtree(path, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    return str(path)


def _ours(bench: Workbench, number: int) -> None:
    bench.catch_up(bench.backlog(f"ours{number}"), _BATCH)


def _streaming(bench: Workbench, contract: StreamContract, number: int) -> None:
    query = _stream(bench, contract, "streaming", number).trigger(availableNow=True).start()
    query.awaitTermination()


def _continuous(bench: Workbench, contract: StreamContract, number: int) -> None:
    query = _stream(bench, contract, "continuous", number).trigger(processingTime="0 seconds").start()
    query.processAllAvailable()
    query.stop()


def _stream(bench: Workbench, contract: StreamContract, name: str, number: int) -> "DataStreamWriter":
    source = (
        bench.spark.readStream.format("kafka")
        .options(**spark_options(bench.settings))
        .option("subscribe", contract.topic.name)
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", str(_BATCH))
        .option("kafka.max.poll.records", "5000")
        .option("kafka.max.partition.fetch.bytes", str(4 << 20))
        .option("kafka.fetch.max.bytes", str(32 << 20))
        .option("kafka.isolation.level", "read_committed")
        .option("includeHeaders", "true")
        .load()
    )
    checkpoint = _fresh(bench, f"{name}-checkpoint", number)
    return (
        source.writeStream.format("delta")
        .option("checkpointLocation", checkpoint)
        .option("path", _fresh(bench, name, number))
    )


def _consumed(bench: Workbench, contract: StreamContract) -> Iterator[Any]:
    """The backlog as Arrow tables of one batch each."""
    import pyarrow as pa
    from confluent_kafka import Consumer, TopicPartition

    topic = contract.topic.name
    consumer = Consumer(
        client_config(bench.settings, group_id="bench-peer", enable_auto_commit=False)
        | {"isolation.level": "read_committed", "auto.offset.reset": "error", "fetch.message.max.bytes": 4 << 20}
    )
    state = read_topic_state(bench.settings, topic)
    consumer.assign([TopicPartition(topic, partition, offset) for partition, offset in state.start.items()])
    left = sum(state.end[partition] - state.start[partition] for partition in state.end)
    rows: list[tuple[Any, ...]] = []
    while left:
        messages = consumer.consume(_FETCH, 1.0)
        rows += [(m.partition(), m.offset(), m.timestamp()[1], m.key(), m.value()) for m in messages]
        left -= len(messages)
        if len(rows) >= _BATCH or not left:
            columns = list(zip(*rows, strict=True))
            types = (pa.int32(), pa.int64(), pa.timestamp("ms", tz="UTC"), pa.binary(), pa.binary())
            names = ("partition", "offset", "timestamp", "key", "value")
            yield pa.table({n: pa.array(c, t) for n, c, t in zip(names, columns, types, strict=True)})
            rows = []
    consumer.close()


def _delta_rs(bench: Workbench, contract: StreamContract, number: int) -> None:
    from deltalake import write_deltalake

    path = _fresh(bench, "delta_rs", number)
    for table in _consumed(bench, contract):
        write_deltalake(path, table, mode="append")


def _duckdb(bench: Workbench, contract: StreamContract, number: int) -> None:
    import duckdb

    path = _fresh(bench, "duckdb", number)
    Path(path).mkdir()
    connection = duckdb.connect(config={"threads": 2})
    kinds = {"integer": "INTEGER", "timestamp": "TIMESTAMP", "string": "VARCHAR", "long": "BIGINT"}
    shape = ", ".join(f'"{f.key}": "{kinds.get(f.type, f.type.upper())}"' for f in contract.fields if f.derive is None)
    for count, records in enumerate(_consumed(bench, contract)):
        connection.register("records", records)
        connection.execute(
            'copy (select partition, "offset", e.* from (select partition, "offset", '
            f"try(json_transform(decode(value), '{{{shape}}}')) as e from records) "
            "where e.quantity > 0 and e.unit_price > 0 and abs(e.total_price - e.quantity * e.unit_price) < 0.005 "
            "and e.discount >= 0 and e.discount < 1 and regexp_matches(e.customer_id, '^CUST_[0-9]{5,}$')) "
            f"to '{path}/{count}.parquet' (format parquet, compression zstd)"
        )
        connection.unregister("records")
