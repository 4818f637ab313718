"""A table's changes as a Debezium connector with an Avro converter writes them, and the same ones as JSON.

Here: schemas and records for tests. Not here: a real connector (`lakehouse_tests.connect`).
"""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from lakehouse.contracts.model import StreamContract
from lakehouse_tests.changes import COMMITTED, Change, Record, people

Row = dict[str, Any]
_CONNECT = {"connect.version": 1}
# As the converter writes PostgreSQL's types with Debezium's defaults for times and decimals: `numeric(10,2)`, `date`,
# `timestamp`, `timestamp(3)`.
COLUMNS: dict[str, Any] = {
    "id": "long",
    "name": ["null", "string"],
    "paid": ["null", {
        "type": "bytes", "scale": 2, "precision": 10, "logicalType": "decimal", **_CONNECT,
        "connect.name": "org.apache.kafka.connect.data.Decimal",
        "connect.parameters": {"scale": "2", "connect.decimal.precision": "10"},
    }],
    "born": ["null", {"type": "int", **_CONNECT, "connect.name": "io.debezium.time.Date"}],
    "seen": ["null", {"type": "long", **_CONNECT, "connect.name": "io.debezium.time.MicroTimestamp"}],
    "logged": ["null", {"type": "long", **_CONNECT, "connect.name": "io.debezium.time.Timestamp"}],
}  # fmt: skip
CITY = {"city": ["null", "string"]}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def people_of(topic: dict[str, Any], **changes: Any) -> StreamContract:
    """The contract of the table. JSON says of a decimal and of milliseconds neither that they are."""
    is_json = topic.get("format", "json") == "json"
    known = people().model_dump(mode="json")["fields"]
    paid = known[2] | ({"encoding": "base64"} if is_json else {})
    more = [
        {"name": "born", "type": "date", "nullable": True, "description": "Birthday."},
        {"name": "seen", "type": "timestamp", "nullable": True, "description": "Last seen."},
        {"name": "logged", "type": "timestamp", "nullable": True, "description": "Logged."}
        | ({"encoding": "millis"} if is_json else {}),
    ]
    return people(topic, **{"fields": [*known[:2], paid, *more]} | changes)


def row_of(change: Change, **more: Any) -> Row:
    """The whole row: what a change does not name follows from its position."""
    lsn = change.lsn or 0
    at = datetime(2024, 2, 29, 23, 59, 59, 123_000, tzinfo=UTC).replace(microsecond=1000 * (lsn % 1000))
    return change.row | {
        "paid": None if change.paid is None else Decimal(change.paid),
        "born": date.fromordinal(date(1969, 12, 1).toordinal() + lsn),
        "seen": None if lsn % 5 == 0 else at.replace(microsecond=lsn % 1_000_000),
        "logged": at,
        **more,
    }


def _plain(row: Row | None) -> Row | None:
    """The row with times as numbers, as both converters are given it."""
    if row is None:
        return None
    seen, logged = row["seen"], row["logged"]
    return row | {
        "born": (row["born"] - _EPOCH.date()).days,
        "seen": None if seen is None else round((seen - _EPOCH).total_seconds() * 1e6),
        "logged": round((logged - _EPOCH).total_seconds() * 1000),
    }


def _envelope(change: Change, row: Row | None, before: Row | None) -> Row:
    return {
        "before": before,
        "after": row,
        "source": {"connector": "postgresql", "ts_ms": COMMITTED + (change.lsn or 0), "lsn": change.lsn, "xmin": None},
        "transaction": None,
        "op": change.op,
        "ts_ms": COMMITTED + 500,
    }


def _images(change: Change, more: Row, *, is_told_before: bool) -> tuple[Row | None, Row | None]:
    """Row images after and before the change."""
    row = _plain(row_of(change, **more))
    if change.op == "d":
        return None, row if is_told_before else None
    return (None if change.op == "t" else row), None


def as_json(change: Change, *, is_told_before: bool = True, **more: Any) -> Record:
    """What JsonConverter writes: decimals as base64 of their bytes."""
    key = json.dumps({"id": change.id}).encode()
    if change.op == "tombstone":
        return Record(key, None)
    images = _images(change, more, is_told_before=is_told_before)
    event = _envelope(change, *images)
    return Record(None if change.op == "t" else key, json.dumps(event, default=_base64).encode())


def _base64(number: Decimal) -> str:
    import base64

    unscaled = int(number.scaleb(2))
    return base64.b64encode(unscaled.to_bytes(unscaled.bit_length() // 8 + 1, "big", signed=True)).decode()


class AvroConverter:
    """Writes the changes of one table; its schemas are registered as they come, keys under a subject of their own."""

    def __init__(self, client: SchemaRegistryClient, topic: str, columns: dict[str, Any] = COLUMNS) -> None:
        self._columns = columns
        self._topic = topic
        self._value = AvroSerializer(client, json.dumps(envelope_schema(columns)))
        self._flat = AvroSerializer(client, json.dumps(flat_schema(columns)))
        self._key = AvroSerializer(client, json.dumps(_record("Key", {"id": "long"})))

    def __call__(self, change: Change, *, is_told_before: bool = True, **more: Any) -> Record:
        """The envelope."""
        if change.op == "tombstone":
            return Record(self.key(change), None)
        after, before = (self._known(row) for row in _images(change, more, is_told_before=is_told_before))
        event = _envelope(change, after, before)
        return Record(None if change.op == "t" else self.key(change), self._bytes(self._value, event))

    def flat(self, change: Change, **more: Any) -> Record:
        """The row alone, as ExtractNewRecordState leaves it with added fields, deletes rewritten."""
        row = self._known(_plain(row_of(change, **more)))
        added = {"__deleted": str(change.op == "d").lower(), "__op": change.op, "__source_lsn": change.lsn}
        return Record(self.key(change), self._bytes(self._flat, (row or {}) | added))

    def key(self, change: Change) -> bytes:
        """The record's key alone."""
        return bytes(self._key({"id": change.id}, SerializationContext(self._topic, MessageField.KEY)))

    def _known(self, row: Row | None) -> Row | None:
        return None if row is None else {name: row.get(name) for name in self._columns}

    def _bytes(self, serializer: AvroSerializer, value: Row) -> bytes:
        return bytes(serializer(value, SerializationContext(self._topic, MessageField.VALUE)))


def envelope_schema(columns: dict[str, Any]) -> dict[str, Any]:
    """What a connector registers for a table of these columns."""
    row = _record("Value", columns)
    source = {"connector": "string", "ts_ms": "long", "lsn": ["null", "long"], "xmin": ["null", "long"]}
    parts = {
        "before": ["null", row],
        # A named type is written out once.
        "after": ["null", "source.public.people.Value"],
        "source": _record("Source", source) | {"namespace": "io.debezium.connector.postgresql"},
        "transaction": ["null", _record("block", {"id": "string"}) | {"namespace": "event"}],
        "op": "string",
        "ts_ms": ["null", "long"],
    }
    return _record("Envelope", parts)


def flat_schema(columns: dict[str, Any]) -> dict[str, Any]:
    """What it registers behind ExtractNewRecordState with added fields."""
    added = {"__deleted": ["null", "string"], "__op": ["null", "string"], "__source_lsn": ["null", "long"]}
    return _record("Value", columns | added)


def _record(name: str, columns: dict[str, Any]) -> dict[str, Any]:
    fields = [
        {"name": column, "type": kind} | ({"default": None} if isinstance(kind, list) else {})
        for column, kind in columns.items()
    ]
    return {"type": "record", "name": name, "namespace": "source.public.people", "fields": fields}
