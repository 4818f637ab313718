"""Names and values that try to leave their place: folders of partitions, keys of records, texts in SQL."""

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from lakehouse.contracts.model import StreamContract
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake.drain import drain
from lakehouse.lake.ledger import commits, files_of
from lakehouse.lake.maintenance import compaction_plan
from lakehouse.lake.maintenance.upkeep import maintain_stream
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.proofs.damage import look_at_stream
from lakehouse.lake.rebuild.backfill import rebuild_silver
from lakehouse.lake.verify import verify
from lakehouse.quality.rules import quote
from lakehouse.settings import Settings, load_settings
from lakehouse_tests.faults.story import Topic
from lakehouse_tests.streams import rows_of, send

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
# A field whose key in the event is as odd as its values.
ODD_KEY = "we`ird '\"\\ \n%2F../x"
ODD = "../`'\"\\%2F{}[]*?#&=;:\n\t\r\x01\x7f .é漢😀$<>|^,~"
FIT = [
    "../../x", "/etc/passwd", ".", "..", "a/b", "%2F", "%252F", "a%", "it's", 'say "hi"', "`drop`", "line\nbreak",
    "tab\t", "back\\slash", "a=b", "a=b/c=d", "__HIVE_DEFAULT_PARTITION__x", " padded ", "ünï 漢字 😀", "#?&;:*[]{}^",
    "x" * 240, "\x01\x7f", "null", "'); DROP TABLE t; --",
]  # fmt: skip
# An empty name, one with NUL, and three too long: in bytes, once its characters are escaped, both.
UNFIT = ["", "a\0b", "x" * 300, "/" * 100, "漢" * 90]


def contract_on(settings: Settings, topic: str) -> StreamContract:
    contract = StreamContract.model_validate(
        {
            "name": "parcels",
            "description": "Parcels by place.",
            "topic": {"name": topic, "partitions": 1},
            "owners": ["team:test"],
            "start": "2026-01-01",
            "event_time": "at",
            "key": ["id"],
            "partition_by": ["order"],
            "fields": [
                {"name": "id", "type": "string", "description": "Number."},
                {"name": "at", "type": "timestamp", "description": "When."},
                {"name": "order", "type": "string", "description": "A word of SQL as a name.", "source": ODD_KEY},
            ],
        }
    )
    apply_topics(settings, desired_topics([contract]))
    return contract


def parcel(value: str) -> bytes:
    return json.dumps({"id": f"id {value}", "at": datetime.now(UTC).isoformat(), ODD_KEY: value}).encode()


@pytest.mark.slow
def test_values_of_partitions_stay_inside_the_table_and_come_back_as_they_were(
    settings: Settings, topic_name: Topic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through drain, backfill, compaction, the look for damage, fsync of each file, and both readers."""
    source = random.Random(7)
    drawn = ["".join(source.choices(ODD, k=source.randint(1, 12))) for _ in range(30)]
    values = [*FIT, *(value for value in drawn if value.strip())]
    home = tmp_path / "it's an odd #place & ü"
    odd = load_settings(LAKEHOUSE_ROOT=str(home / "lake"), LAKEHOUSE_DURABILITY="fsync")
    contract = contract_on(odd, topic_name("parcels"))
    paths = LakePaths.of(odd)
    for _ in range(2):
        send(odd, contract.topic.name, [parcel(value) for value in [*values, *UNFIT]])
        drain(contract, odd, budget_seconds=240, idle_seconds=0)
    before = set(tmp_path.rglob("*.parquet"))

    def silver() -> list[tuple[Any, ...]]:
        return rows_of(paths.silver(contract.name), 'id, "order"')

    wanted = sorted((f"id {value}", value) for value in set(values))
    assert sorted(silver()) == wanted
    rejected = rows_of(paths.quarantine(contract.name), "reasons")
    assert rejected == [(["order_partition"],)] * 2 * len(UNFIT)
    assert all(file.is_relative_to(home / "lake") for file in before)
    added = {name for commit in commits(paths.silver(contract.name)) for add in commit.added for name in files_of(add)}
    assert {file.relative_to(paths.silver(contract.name)).parts[0] for file in before if "silver" in file.parts}
    assert all((Path(paths.silver(contract.name)) / name).is_file() for name in added)

    rebuild_silver(contract, odd, [datetime.now(UTC).date()])
    monkeypatch.setattr(compaction_plan, "ENOUGH_SMALL", 1)
    maintain_stream(contract, odd)
    assert sorted(silver()) == wanted
    assert look_at_stream(contract.name, paths).damage == []
    assert verify(odd, [contract]).findings == []
    stray = set(tmp_path.rglob("*")) - set(home.rglob("*")) - set((tmp_path / "home").rglob("*"))
    assert {path.name for path in stray} <= {home.name, "home"}


@hypothesis(max_examples=4, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(st.text(), min_size=50, max_size=200))
def test_a_text_in_sql_is_a_text(spark: "SparkSession", texts: list[str]) -> None:
    row = spark.sql(f"SELECT {', '.join(map(quote, texts))}").collect()[0]
    assert list(row) == texts
