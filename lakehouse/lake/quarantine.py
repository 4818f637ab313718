"""Rejected records: the quarantine table (exactly once) and the dead-letter topic (at least once, same id each time).

Here: writing both for one silver step. Not here: judging rows (`transforms.events`).
"""

import json
import uuid
from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.crash import crash_point
from lakehouse.engine.spark import spark_errors
from lakehouse.errors import BatchConflictError
from lakehouse.kafka.client import spark_options
from lakehouse.lake.guards.durable import settle
from lakehouse.lake.ledger import Commit, last_commit_of
from lakehouse.lake.paths import LakePaths
from lakehouse.quality.rules import (
    DISCARDED,
    MALFORMED,
    MALFORMED_AVRO,
    NO_VALUE,
    NOT_AVRO,
    NOT_UTF8,
    UNKNOWN_SCHEMA,
    UNREADABLE,
    quote,
)
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# The record breaks the contract, or it cannot even be read. What may pass by itself (broker or Spark away) is never a
# reject: the step is tried again as a whole.
ERROR_TYPES = ("ValidationError", "DeserializationError")
# Bytes of key and original record in a dead letter: the rest fits below Kafka's default of 1 MiB for a message.
_LARGEST_ORIGINAL = 900_000


def write_rejects(
    rejects: "DataFrame",
    contract: StreamContract,
    settings: Settings,
    paths: LakePaths,
    through: int,
    *,
    send: bool = True,
) -> None:
    """Record the rejects of the bronze batches up to `through`, then send them to the dead-letter topic.

    The table has commit numbers of its own, each one more than the last, so that a writer with a stale view is dropped;
    what the last commit covered is left out. The topic gets all of `rejects`, again after a crash: its id header tells
    repeats apart.

    Args:
        rejects: Judged rows with `_broken` not empty.
        contract: The stream.
        settings: Brokers, durability.
        paths: Whose quarantine table.
        through: Last bronze batch that `rejects` was taken from.
        send: Whether the topic gets them.

    Raises:
        BatchConflictError: another writer committed in between; nothing was written, start the step again.
    """
    path = paths.quarantine(contract.name)
    records = as_quarantine(rejects, contract)
    last = last_commit_of(path, "quarantine")
    number = 0 if last is None else int(last.metadata["number"]) + 1
    covered = -1 if last is None else int(last.metadata["through"])
    writer = uuid.uuid4().hex
    if covered < through:
        metadata = {
            "kind": "quarantine",
            "stream": contract.name,
            "number": number,
            "through": through,
            "writer": writer,
        }
        with spark_errors():
            (
                records.where(f"batch > {covered}")
                .write.format("delta")
                .mode("append")
                .option("txnAppId", f"quarantine/{contract.name}")
                .option("txnVersion", str(number))
                .option("userMetadata", json.dumps(metadata))
                .save(path)
            )
        settle(path, _require_own(path, contract, number, writer), settings)
    crash_point("after_quarantine")
    if not send:
        return
    crash_point("before_dlq_flush")
    with spark_errors():
        as_dead_letters(records, contract).write.format("kafka").options(**spark_options(settings)).save()
    crash_point("after_dlq_flush")


def as_quarantine(rejects: "DataFrame", contract: StreamContract) -> "DataFrame":
    """Judged rows in the shape of the quarantine table; `record` is the dead-letter JSON with its six keys."""
    return rejects.selectExpr(
        "_topic_id AS topic_id",
        "_partition AS partition",
        "_offset AS offset",
        "timestamp",
        "key",
        "value",
        "split(_broken, ',') AS reasons",
        f"{_error_type()} AS error_type",
        f"{_message()} AS error_message",
        f"{_record(contract)} AS record",
        "_batch AS batch",
        "_ingested_at",
        "arrival_date",
    )


def _error_type() -> str:
    validation, deserialization = ERROR_TYPES
    unreadable = ", ".join(quote(reason) for reason in UNREADABLE)
    return f"CASE WHEN _broken IN ({unreadable}) THEN '{deserialization}' ELSE '{validation}' END"


def _message() -> str:
    return (
        f"CASE _broken WHEN {quote(MALFORMED)} THEN 'The value is no JSON object.' "
        f"WHEN {quote(NOT_UTF8)} THEN 'The value is no UTF-8 text.' "
        f"WHEN {quote(NO_VALUE)} THEN 'The record has no value.' "
        f"WHEN {quote(NOT_AVRO)} THEN 'The value does not begin with a zero byte and the id of a schema.' "
        f"WHEN {quote(UNKNOWN_SCHEMA)} THEN 'Neither the lake nor the registry knows the schema that the value names.' "
        f"WHEN {quote(MALFORMED_AVRO)} THEN 'The value is no record of the schema that it names.' "
        f"WHEN {quote(DISCARDED)} THEN 'Kept out by decision.' "
        "ELSE concat('Broken: ', replace(_broken, ',', ', '), '.') END"
    )


def _record(contract: StreamContract) -> str:
    """SQL for the six keys: original_record, error_type, error_message, timestamp, context, retry_count.

    An original that would make the dead letter larger than a broker takes is left out; the quarantine table has it.
    """
    text = "CASE WHEN is_valid_utf8(cast(value AS string)) THEN cast(value AS string) ELSE base64(value) END"
    # Quotes and control characters grow when they are written as JSON; only the JSON tells how much.
    too_large = (
        f"(octet_length(value) > {_LARGEST_ORIGINAL // 10} AND "
        f"octet_length(to_json(named_struct('v', {text}))) + coalesce(octet_length(key), 0) > {_LARGEST_ORIGINAL})"
    )
    original = f"CASE WHEN value IS NOT NULL AND NOT {too_large} THEN {text} END"
    encoding = (
        f"CASE WHEN {too_large} THEN 'left out' "
        "WHEN value IS NULL OR is_valid_utf8(cast(value AS string)) THEN 'utf-8' ELSE 'base64' END"
    )
    context = (
        f"named_struct('topic', {quote(contract.topic.name)}, 'topic_id', _topic_id, 'partition', _partition, "
        f"'offset', _offset, 'stream', {quote(contract.name)}, 'batch', _batch, 'reasons', split(_broken, ','), "
        f"'encoding', {encoding})"
    )
    return (
        f"to_json(named_struct('original_record', {original}, 'error_type', {_error_type()}, "
        f"'error_message', {_message()}, 'timestamp', date_format(timestamp, \"yyyy-MM-dd'T'HH:mm:ss.SSSX\"), "
        f"'context', {context}, 'retry_count', _retry_count), map('ignoreNullFields', 'false'))"
    )


def as_dead_letters(records: "DataFrame", contract: StreamContract, *, state: str = "") -> "DataFrame":
    """Quarantine rows as messages for the dead-letter topic.

    Args:
        records: Rows in the shape of `as_quarantine`.
        contract: The stream.
        state: What became of the records; a message with a state is no new dead letter but a mark on an earlier one.
    """
    headers = {
        "id": "concat_ws('/', topic_id, partition, offset)",
        "retry_count": "get_json_object(record, '$.retry_count')",
        **({"state": quote(state)} if state else {}),
    }
    listed = ", ".join(f"struct('{key}' AS key, cast({sql} AS binary) AS value)" for key, sql in headers.items())
    return records.selectExpr(
        f"{quote(contract.topic.dlq)} AS topic", "key", "cast(record AS binary) AS value", f"array({listed}) AS headers"
    )


def _require_own(path: str, contract: StreamContract, number: int, writer: str) -> Commit:
    last = last_commit_of(path, "quarantine")
    if last is None or last.metadata["number"] != number or last.metadata["writer"] != writer:
        raise BatchConflictError(
            f"Quarantine commit {number} of stream {contract.name} was made by another writer.",
            why="Two drains ran at once, or this one was asleep for a while.",
            fix="Nothing: the step starts again from what is committed.",
        )
    return last
