"""The simulated shop's two tables from Kafka to gold: every layer shows the tables as the shop has them."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from decimal import Decimal
from itertools import islice
from typing import Any

import duckdb
import pytest

from lakehouse.contracts.load import load_stream
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake.drain import drain
from lakehouse.lake.gold import builds
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse.sources.config import resolve
from lakehouse.sources.producer import EventSender
from lakehouse.sources.shop import ChangeRecord, Shop, Table
from lakehouse_tests.streams import rows_of

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
COLUMNS = {
    "customers": "id, name, email, city",
    "orders": "id, customer_id, amount::varchar, status",
}


def _versions(made: list[ChangeRecord]) -> int:
    """How many versions of customers the records tell of: a new one whenever name, e-mail or city differ."""
    count, last = 0, {}
    for record in made:
        if record.table != "customers" or record.value is None:
            continue
        event = json.loads(record.value)
        row = event["after"]
        state = None if row is None else (row["name"], row["email"], row["city"])
        count += state is not None and state != last.get(record.key)
        last[record.key] = state
    return count


def test_the_shops_tables_reach_gold_as_they_are(settings: Settings, topic_name: Callable[[str], str]) -> None:
    shop = Shop(seed=5)
    made = list(islice(shop, 600))
    tables: tuple[Table, ...] = ("customers", "orders")
    contracts = []
    for table in tables:
        found = load_stream(table)
        contract = found.model_copy(
            update={"topic": found.topic.model_copy(update={"name": topic_name(table), "partitions": 2})}
        )
        contracts.append(contract)
        apply_topics(settings, desired_topics([contract]))
        options = resolve(topic=contract.topic.name)
        sender = EventSender(options.settings, options.topic, options.client)
        sender.send([(record.key, record.value) for record in made if record.table == table])
        sender.settle()
        drain(contract, settings, budget_seconds=240, idle_seconds=0)
        path = LakePaths.of(settings).silver(table)
        held = {row[0]: row[1:4] for row in rows_of(path, f"{COLUMNS[table]}, _deleted") if not row[4]}
        names = [name.split("::")[0] for name in COLUMNS[table].split(", ")]
        assert held == {n: tuple(row[name] for name in names[1:]) for n, row in shop.rows(table).items()}

    assert builds.build(settings).failures == []
    proof = verify(settings, contracts)
    assert proof.findings == []
    assert [entry.gold_version for entry in proof.proofs] == [entry.silver_version for entry in proof.proofs]
    amounts: dict[str, Any] = defaultdict(Decimal)
    for order in shop.rows("orders").values():
        amounts[order["status"]] += Decimal(order["amount"])
    cities = Counter(customer["city"] for customer in shop.rows("customers").values())
    with duckdb.connect(str(builds.gold_path(settings)), read_only=True) as published:
        by_status = published.execute("select status, sum(amount) from fct_shop_orders group by 1").fetchall()
        by_city = published.execute("select city, customers from shop_customers_by_city").fetchall()
        (unknown,) = published.execute("select count(*) from fct_shop_orders where not is_customer_known").fetchall()
        versions = published.execute(
            "select count(*), count(*) filter (where is_current) from dim_shop_customer_history"
        ).fetchall()
    assert versions == [(_versions(made), len(shop.rows("customers")))]
    assert dict(by_status) == amounts
    assert dict(by_city) == cities
    there = shop.rows("customers")
    assert unknown == (sum(order["customer_id"] not in there for order in shop.rows("orders").values()),)
