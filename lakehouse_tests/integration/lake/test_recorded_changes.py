"""Change events that real connectors wrote, through the whole pipeline: silver against the files read by themselves."""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake.drain import drain
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse_tests.changes import people
from lakehouse_tests.conftest import shared_data
from lakehouse_tests.streams import rows_of, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
Events = list[dict[str, Any]]
PRODUCT = {"id": "long", "name": "string", "description": "string", "weight": "double"}
# Folder, names of the files in the order of reading, table, fields, what orders the changes.
FAMILIES: dict[str, tuple[str, str, str, dict[str, str], list[str]]] = {
    "PostgreSQL, with positions": ("flink_postgres", "*.txt", "products", PRODUCT, ["lsn"]),
    "MySQL, a schema that changes": (
        "paimon/table/schemaevolution", "*.txt", "product", PRODUCT | {"age": "long", "address": "string"}, []
    ),
    "MySQL, one of two topics": ("paimon/database/prefixsuffix/topic0", "*.txt", "t1", PRODUCT, []),
    "without a source block": ("flink_cdc_pipeline", "*.txt", "products", PRODUCT | {"enum_c": "string"}, []),
}  # fmt: skip


def read_events(folder: Path, pattern: str) -> Iterator[dict[str, Any]]:
    """One envelope a line; some files begin with a licence."""
    for file in sorted(folder.glob(pattern)):
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("{"):
                yield json.loads(line)


def fields(kinds: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "type": kind, "nullable": name != "id", "description": "As recorded."}
        for name, kind in kinds.items()
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_silver_is_the_recorded_table(settings: Settings, topic_name: Callable[[str], str], family: str) -> None:
    folder, pattern, table, kinds, order = FAMILIES[family]
    events: Events = [
        event for event in read_events(shared_data(f"debezium/{folder}"), pattern) if event["source"]["table"] == table
    ]
    wanted: dict[int, tuple[Any, ...]] = {}
    for event in events:
        if event["op"] == "d":
            del wanted[event["before"]["id"]]
        else:
            wanted[event["after"]["id"]] = tuple(event["after"].get(name) for name in kinds)
    assert len(events) > len(wanted) > 0 or folder.endswith("topic0")
    topic = {"name": topic_name("recorded"), "partitions": 1}
    contract = people(topic=topic, fields=fields(kinds), rules=[], change={"order": order})
    apply_topics(settings, desired_topics([contract]))
    send(settings, contract.topic.name, [json.dumps(event).encode() for event in events])
    drain(contract, settings, budget_seconds=240, idle_seconds=0)
    path = LakePaths.of(settings).silver(contract.name)
    assert {row[0]: row[:-1] for row in rows_of(path, f"{', '.join(kinds)}, _deleted") if not row[-1]} == wanted
    proof = verify(settings, [contract])
    assert (proof.findings, proof.proofs[0].bronze, proof.proofs[0].quarantined) == ([], len(events), 0)


def test_every_type_of_mysql_is_read(settings: Settings, topic_name: Callable[[str], str]) -> None:
    """Unsigned numbers and decimals in base64, days, milliseconds and microseconds, as the connector wrote them."""
    file = shared_data("debezium/flink_cdc_mysql") / "debezium-data-schema-exclude.json"
    recorded = json.loads(file.read_text(encoding="utf-8"))
    kinds = {
        "id": ("decimal(20,0)", "base64"),
        "big_c": ("long", None),
        "big_un_c": ("decimal(20,0)", "base64"),
        "decimal_c": ("decimal(8,4)", "base64"),
        "numeric_c": ("decimal(6,0)", "base64"),
        "big_decimal_c": ("decimal(20,1)", "base64"),
        "bit1_c": ("boolean", None),
        "date_c": ("date", None),
        "datetime3_c": ("timestamp", "millis"),
        "datetime6_c": ("timestamp", None),
        "timestamp_c": ("timestamp", None),
        "json_c": ("string", None),
    }
    specs = [
        {"name": name, "type": kind, "encoding": encoding, "description": "As recorded.", "nullable": name != "id"}
        for name, (kind, encoding) in kinds.items()
    ]
    topic = {"name": topic_name("recorded"), "partitions": 1}
    contract = people(topic=topic, fields=specs, rules=[], change={"order": []})
    apply_topics(settings, desired_topics([contract]))
    events = [recorded["expected_snapshot"], recorded["expected_binlog"]]
    send(settings, contract.topic.name, [json.dumps(event).encode() for event in events])
    drain(contract, settings, budget_seconds=240, idle_seconds=0)
    shown = ", ".join(
        f"epoch_us({name})" if kind == "timestamp" else f"{name}::varchar" if kind == "date" else name
        for name, (kind, _) in kinds.items()
    )
    (row,) = rows_of(LakePaths.of(settings).silver(contract.name), shown)
    after = events[1]["after"]
    # The values that the test of that connector inserts.
    assert row == (
        Decimal(1), 9223372036854775807, Decimal(2**64 - 1), Decimal("123.4567"), Decimal(346), Decimal("34567892.1"),
        False, "2020-07-17", after["datetime3_c"] * 1000, after["datetime6_c"], 1_595_010_802_000_000,
        after["json_c"],
    )  # fmt: skip
