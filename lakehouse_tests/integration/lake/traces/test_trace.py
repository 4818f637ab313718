"""One story on real parts, traced from both ends: a corrected sale, a broken one, gold, what came later."""

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from lakehouse.cli import trace as command
from lakehouse.contracts.model import StreamContract
from lakehouse.kafka.offsets import read_topic_state
from lakehouse.lake.drain import drain
from lakehouse.lake.gold import builds
from lakehouse.lake.ledger import current_version
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.traces.answer import HIDDEN, NotFoundError
from lakehouse.lake.traces.trace import trace_cell, trace_key, trace_record
from lakehouse.settings import Settings
from lakehouse_tests.streams import encode, sale, sales_on, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
NOW = datetime.now(UTC).replace(hour=0, minute=10, second=0, microsecond=0)

BROKEN = ["quantity_present", "customer_id_format", "quantity_positive", "total_is_gross"]


class Story(NamedTuple):
    contract: StreamContract
    order: str
    gold_version: int
    end: dict[int, int]


@pytest.fixture(scope="module")
def story(module_settings: Settings) -> Story:
    """A sale, an older report of it and a broken one, then gold; then a sale that gold lacks, and an unread one."""
    contract = sales_on(module_settings, f"traced_{os.getpid()}")
    book = sale(1, at=NOW, category="Books")
    late = book | {"sale_timestamp": (NOW - timedelta(minutes=5)).isoformat(), "store_location": "Boston"}
    broken = book | {"quantity": None, "customer_id": "4711"}
    others = [sale(n, at=NOW, category="Toys") for n in range(10, 40)]
    # Written with an escape: the same text for JSON, another one for whoever searches the bytes.
    order = book["order_id"].encode()
    escaped = encode(late).replace(order, order.replace(b"-", b"\\u002d"))
    send(module_settings, contract.topic.name, [encode(book), escaped, *map(encode, [broken, *others])])
    drain(contract, module_settings, budget_seconds=240, idle_seconds=0)
    assert builds.build(module_settings).published
    silver = current_version(LakePaths.of(module_settings).silver(contract.name))
    assert silver is not None
    send(module_settings, contract.topic.name, [encode(sale(2, at=NOW, category="Garden"))])
    drain(contract, module_settings, budget_seconds=240, idle_seconds=0)
    end = read_topic_state(module_settings, contract.topic.name).end
    send(module_settings, contract.topic.name, [encode(sale(50)), None], transactional=True)
    return Story(contract, book["order_id"], silver, end)


def test_a_key_is_followed_from_kafka_to_gold_and_back(module_settings: Settings, story: Story) -> None:
    found = trace_key(story.contract, module_settings, [story.order], None)
    assert (found.state, found.reasons, found.record.on_broker) == ("in_silver", [], "yes")
    assert [version.state for version in found.versions] == ["in_silver", "beaten", "quarantined"]
    assert found.versions[1].beaten_by == "event time"
    assert found.versions[2].reasons == BROKEN
    assert found.silver is not None
    assert found.silver.row["order_id"] == story.order
    assert found.silver.row["customer_id"] == found.fields["customer_id"] == found.record.value == HIDDEN
    assert found.silver.delta_version is not None
    assert found.silver.delta_version <= story.gold_version
    assert (found.gold.includes, found.gold.silver_version) == (True, story.gold_version)
    cells = {cell.table: cell for cell in found.gold.cells}
    assert set(cells) == {"fct_sales", "sales_daily"}
    assert cells["sales_daily"].by == {"event_date": NOW.date(), "category": "Books"}
    assert cells["sales_daily"].totals["order_lines"] == 1
    assert cells["fct_sales"].row is not None
    assert cells["fct_sales"].row["order_id"] == story.order

    back = trace_cell(story.contract, module_settings, table="sales_daily", where="category = 'Books'", limit=5)
    assert (back.count, [(row["partition"], row["offset"]) for row in back.offsets]) == (
        1,
        [(found.record.partition, found.record.offset)],
    )
    assert back.totals["gross_amount"]["gold"] == back.totals["gross_amount"]["silver"] != 0
    toys = trace_cell(story.contract, module_settings, table="sales_daily", where="category = 'Toys'", limit=5)
    assert (toys.count, len(toys.offsets)) == (30, 5)


def test_records_say_what_became_of_them(module_settings: Settings, story: Story) -> None:
    winner, late, broken = trace_key(story.contract, module_settings, [story.order], NOW.date()).versions
    beaten = trace_record(story.contract, module_settings, late.partition, late.offset, show_pii=True)
    assert (beaten.state, beaten.record.encoding) == ("beaten", "utf-8")
    assert beaten.why == f"{winner.place} has the same key and wins by its later event time"
    assert json.loads(beaten.record.value or "")["store_location"] == "Boston"
    assert beaten.fields["customer_id"].startswith("CUST_")
    assert {rule.verdict for rule in beaten.rules} == {"holds"}

    rejected = trace_record(story.contract, module_settings, broken.partition, broken.offset)
    verdicts = {rule.rule: rule.verdict for rule in rejected.rules}
    assert rejected.state == "quarantined"
    assert (verdicts["customer_id_format"], verdicts["quantity_positive"], verdicts["known_category"]) == (
        "broken",
        "null",
        "holds",
    )
    assert set(rejected.reasons) == {name for name, verdict in verdicts.items() if verdict != "holds"}
    assert rejected.why == f"it breaks {', '.join(rejected.reasons)}"
    assert rejected.record.delta_version is not None

    newer = trace_key(story.contract, module_settings, [sale(2, at=NOW)["order_id"]], None)
    assert newer.state == "in_silver"
    assert newer.gold.includes is False
    assert f"silver version {story.gold_version}, which does not have this row" in newer.gold.note


def test_what_bronze_does_not_have_is_explained(module_settings: Settings, story: Story) -> None:
    partition = next(p for p, end in _ends(module_settings, story).items() if end > story.end[p])
    unread = story.end[partition]
    with pytest.raises(NotFoundError, match="is not read yet: bronze has read up to"):
        trace_record(story.contract, module_settings, partition, unread)
    with pytest.raises(NotFoundError, match="is not written yet"):
        trace_record(story.contract, module_settings, partition, 10_000)
    with pytest.raises(NotFoundError, match="has no partition 77"):
        trace_record(story.contract, module_settings, 77, 0)
    with pytest.raises(NotFoundError, match="No record of stream sales has order_id 'nobody'"):
        trace_key(story.contract, module_settings, ["nobody"], None)
    drain(story.contract, module_settings, budget_seconds=240, idle_seconds=0)
    marker = _ends(module_settings, story)[partition] - 1
    with pytest.raises(NotFoundError, match="it is a transaction's marker"):
        trace_record(story.contract, module_settings, partition, marker)


def test_the_command_answers_in_json_and_in_words(
    module_settings: Settings, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lakehouse.contracts.load.load_streams", lambda: {"sales": story.contract})

    def run(*arguments: str) -> Any:
        result = CliRunner().invoke(command.app, list(arguments), catch_exceptions=False)
        assert result.exit_code == 0
        return result.stdout

    found = json.loads(run("sales", "--key", story.order, "--json"))
    place = f"{found['record']['partition']}:{found['record']['offset']}"
    told = run(f"{story.contract.topic.name}:{place}")
    assert "sales: in silver: it is the strongest record of its key" in told
    assert "✓ total_is_gross" in told
    assert "sales_daily" in told
    assert HIDDEN in told
    assert str(sale(1, at=NOW)["customer_id"]) not in told
    behind = run("sales", "--gold", "fct_sales", "--where", f"order_id = '{story.order}'")
    assert "fct_sales: 1 groups · 1 rows of silver version" in behind
    assert "DIFFERENT" not in behind


def _ends(settings: Settings, story: Story) -> dict[int, int]:
    return read_topic_state(settings, story.contract.topic.name).end
