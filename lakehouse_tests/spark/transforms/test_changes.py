"""Every shape in which a change record can arrive: what is made of it, and why some are refused."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec
from lakehouse.lake.schema.tables import BRONZE_COLUMNS
from lakehouse.transforms.events import judge
from lakehouse_tests.changes import COMMITTED, NOW, Change, Record, bronze_rows, enveloped, flattened, people

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark
ANNA = Change("c", 7, "Anna", "12.50", 100)
GONE = Change("d", 7, "Anna", "12.50", 200)
KEY = b'{"id": 7}'
ROW = (7, "Anna", Decimal("12.50"))
ONLY_KEY = (7, None, None)


def with_schema(record: Record) -> Record:
    """As JsonConverter writes it with schemas.enable=true."""

    def wrapped(text: bytes | None) -> bytes:
        payload = None if text is None else json.loads(text)
        return json.dumps({"schema": None if text is None else {"type": "struct"}, "payload": payload}).encode()

    return Record(wrapped(record.key), wrapped(record.value), record.headers)


def value_of(record: Record, **changes: Any) -> Record:
    """The record with other content at the top of its value."""
    assert record.value is not None
    return record._replace(value=json.dumps(json.loads(record.value) | changes).encode())


# What arrives: op, row, position, milliseconds after COMMITTED (None: the broker's time).
TAKEN: dict[str, tuple[Record, tuple[str, tuple[Any, ...], list[int], int | None]]] = {
    "create": (enveloped(ANNA), ("c", ROW, [100], 100)),
    "update": (enveloped(ANNA._replace(op="u")), ("u", ROW, [100], 100)),
    "snapshot": (enveloped(ANNA._replace(op="r")), ("r", ROW, [100], 100)),
    "delete": (enveloped(GONE), ("d", ONLY_KEY, [200], 200)),
    "delete of a table that logs only keys": (
        value_of(enveloped(GONE), before={"id": 7, "name": "", "paid": None}),
        ("d", ONLY_KEY, [200], 200),
    ),
    "delete without a row image": (value_of(enveloped(GONE), before=None), ("d", ONLY_KEY, [200], 200)),
    "tombstone": (Record(KEY, None), ("d", ONLY_KEY, [-1], None)),
    "tombstone, bare key": (Record(b"7", None), ("d", ONLY_KEY, [-1], None)),
    "tombstone with headers": (
        Record(KEY, None, [("__op", b"d"), ("__source_lsn", b"200")]),
        ("d", ONLY_KEY, [200], None),
    ),
    "with schema": (with_schema(enveloped(ANNA)), ("c", ROW, [100], 100)),
    "delete with schema": (
        with_schema(value_of(enveloped(GONE), before=None)),
        ("d", ONLY_KEY, [200], 200),
    ),
    "tombstone with schema": (with_schema(Record(KEY, None)), ("d", ONLY_KEY, [-1], None)),
    "no source": (
        value_of(enveloped(ANNA), source=None, ts_ms=COMMITTED + 5),
        ("c", ROW, [-1], 5),
    ),
    "microseconds": (
        value_of(enveloped(ANNA), source={"lsn": 3, "ts_ms": 1, "ts_us": (COMMITTED + 9) * 1000}),
        ("c", ROW, [3], 9),
    ),
    "flat": (flattened(ANNA), ("c", ROW, [100], 100)),
    "flat with schema": (with_schema(flattened(ANNA)), ("c", ROW, [100], 100)),
    "flat delete": (flattened(GONE), ("d", ONLY_KEY, [200], 200)),
    "flat, nothing added": (Record(KEY, json.dumps(ANNA.row).encode()), ("u", ROW, [-1], None)),
    "flat, op in a header": (
        Record(KEY, json.dumps(ANNA.row).encode(), [("__op", b'"r"'), ("__lsn", b"100")]),
        ("r", ROW, [100], None),
    ),
    "flat, deleted as a boolean": (
        Record(KEY, json.dumps(ANNA.row | {"__deleted": True}).encode()),
        ("d", ONLY_KEY, [-1], None),
    ),
}
REFUSED: dict[str, tuple[Record, str]] = {
    "unknown op": (value_of(enveloped(ANNA), op="x"), "unknown_op"),
    "no op": (value_of(enveloped(ANNA), op=None), "unknown_op"),
    "unknown op, flat": (value_of(flattened(ANNA), __op="m"), "unknown_op"),
    "truncate": (value_of(enveloped(ANNA), op="t", after=None), "truncate_not_applied"),
    "no row": (value_of(enveloped(ANNA), after=None), "no_row_image"),
    "a number for a row": (value_of(enveloped(ANNA), after=3), "no_row_image"),
    "no JSON": (Record(KEY, b"{"), "malformed_json"),
    "a JSON array": (Record(KEY, b"[]"), "malformed_json"),
    "two changes in one record": (
        enveloped(ANNA)._replace(value=(enveloped(ANNA).value or b"") + (enveloped(GONE).value or b"")),
        "malformed_json",
    ),
    "not UTF-8": (Record(KEY, b"\xff"), "not_utf8"),
    "tombstone without a key": (Record(None, None), "id_present"),
    "tombstone with another key": (Record(b'{"number": 7}', None), "id_present"),
    "a key that is no number": (enveloped(ANNA._replace(id="seven")), "id_type"),  # type: ignore[arg-type]
    "a rule": (enveloped(ANNA._replace(name="")), "name_not_empty"),
    "a missing field": (enveloped(ANNA._replace(name=None)), "name_present,name_not_empty"),
    "a time beyond all years": (
        value_of(enveloped(ANNA), source={"lsn": 1, "ts_ms": 2**62}),
        "event_time_not_in_future",
    ),
}


def judged(spark: "SparkSession", contract: StreamContract, records: list[Record]) -> list[dict[str, Any]]:
    bronze = spark.createDataFrame(bronze_rows(records), BRONZE_COLUMNS)
    rows = (
        judge(bronze, contract, ("topic",))
        .selectExpr("*", "unix_millis(_changed_at) AS committed_ms")
        .orderBy("_offset")
    )
    return [row.asDict() for row in rows.collect()]


def test_each_shape_of_a_change_is_understood_and_the_rest_is_refused_by_name(spark: "SparkSession") -> None:
    records = [record for record, _ in (*TAKEN.values(), *REFUSED.values())]
    rows = judged(spark, people(), records)
    found = {
        name: (row["_op"], (row["id"], row["name"], row["paid"]), row["_position"], row["committed_ms"])
        for name, row in zip(TAKEN, rows, strict=False)
    }
    broker = int(NOW.timestamp() * 1000)
    wanted = {
        name: (op, fields, position, broker if after is None else COMMITTED + after)
        for name, (_, (op, fields, position, after)) in TAKEN.items()
    }
    assert found == wanted
    verdicts = dict(zip((*TAKEN, *REFUSED), (row["_broken"] for row in rows), strict=True))
    assert verdicts == dict.fromkeys(TAKEN, "") | {name: reason for name, (_, reason) in REFUSED.items()}
    assert {row["_rescued"] for row in rows[: len(TAKEN)]} == {None}


def test_unknown_columns_are_kept_and_added_fields_are_not(spark: "SparkSession") -> None:
    more = enveloped(ANNA)
    assert more.value is not None
    event = json.loads(more.value)
    event["after"]["city"] = "Oslo"
    rows = judged(spark, people(), [more._replace(value=json.dumps(event).encode()), value_of(flattened(ANNA), city=1)])
    assert [json.loads(row["_rescued"]) for row in rows] == [{"city": "Oslo"}, {"city": "1"}]


def test_an_ignored_truncate_is_no_reject_and_a_shape_can_be_told(spark: "SparkSession") -> None:
    truncate = value_of(enveloped(ANNA), op="t", after=None)
    (row,) = judged(spark, people(change={"truncate": "ignore"}), [truncate])
    assert row["_broken"] == ""
    # Applied, it is a row without a key, even where the source names one; and it has to say when and where it was.
    applying = people(change={"truncate": "apply"})
    later = {"lsn": 1, "ts_ms": 2**62}
    records = [
        truncate,
        value_of(flattened(ANNA), __op="t"),
        value_of(truncate, source={"ts_ms": COMMITTED}),
        value_of(truncate, source=later),
    ]
    applied, flat, *refused = judged(spark, applying, records)
    assert [(r["id"], r["name"], r["_deleted"], r["_position"], r["_broken"]) for r in (applied, flat)] == [
        (None, None, True, [100], "")
    ] * 2
    assert [r["_broken"] for r in refused] == ["truncate_not_applied", "event_time_not_in_future"]
    # A table that has columns of these names; told to be flat, it is no envelope.
    odd = people(
        change={"shape": "flat"},
        fields=[
            {"name": "id", "type": "long", "description": "Number."},
            {"name": "op", "type": "string", "description": "Kind of operation."},
            {"name": "after", "type": "string", "description": "What comes after."},
        ],
        rules=[],
    )
    (row,) = judged(spark, odd, [Record(KEY, b'{"id": 7, "op": "weld", "after": "paint"}')])
    assert (row["_broken"], row["_op"], row["op"], row["after"]) == ("", "u", "weld", "paint")


def test_values_that_json_has_no_type_for(spark: "SparkSession") -> None:
    def field(name: str, kind: str, encoding: str | None = None) -> FieldSpec:
        spec = {"name": name, "type": kind, "encoding": encoding, "nullable": True, "description": "A value."}
        return FieldSpec.model_validate(spec)

    fields = [
        field("id", "long"),
        field("iso", "timestamp"),
        field("micros", "timestamp"),
        field("millis", "timestamp", "millis"),
        field("nanos", "timestamp", "nanos"),
        field("days", "date"),
        field("day", "date"),
        field("text", "decimal(12,2)"),
        field("number", "decimal(12,2)"),
        field("bytes", "decimal(12,2)", "base64"),
        field("below", "decimal(12,2)", "base64"),
        field("unsigned", "decimal(20,0)", "base64"),
    ]
    moment = datetime(2026, 11, 20, 12, 0, 0, 123000, tzinfo=UTC)
    micros = COMMITTED * 1000 + 123_000
    after = {
        "id": 1, "iso": "2026-11-20T12:00:00.123Z", "micros": micros, "millis": micros // 1000, "nanos": micros * 1000,
        "days": 18460, "day": "2020-07-17", "text": "12.50", "number": 12.5, "bytes": "EtaH", "below": "/w==",
        "unsigned": "AP//////////",
    }  # fmt: skip
    contract = people(fields=[spec.model_dump() for spec in fields], rules=[])
    good = value_of(enveloped(ANNA), after=after)
    bad = value_of(
        enveloped(ANNA), after=after | {"bytes": "not base64", "micros": "soon", "days": 10**12, "text": "x"}
    )
    row, broken = judged(spark, contract, [good, bad])
    assert row["_broken"] == ""
    times = [row[name].astimezone(UTC) for name in ("iso", "micros", "millis", "nanos")]
    assert times == [moment] * 4
    assert [str(row[name]) for name in ("days", "day")] == ["2020-07-17"] * 2
    # What Java's BigInteger makes of the same bytes: 1234567, -1 and 2^64 - 1.
    assert [row[name] for name in ("text", "number", "bytes", "below", "unsigned")] == [
        Decimal("12.50"), Decimal("12.50"), Decimal("12345.67"), Decimal("-0.01"), Decimal(2**64 - 1),
    ]  # fmt: skip
    assert broken["_broken"] == "micros_type,days_type,text_type,bytes_type"
