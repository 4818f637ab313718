"""Market events from recorded feeds and the simulator to silver, beside a second computation from the raw files."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from typer import Exit

from lakehouse.cli.produce import market as produce_market
from lakehouse.contracts.load import load_stream
from lakehouse.kafka.client import client_config
from lakehouse.kafka.offsets import read_topic_state
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake.drain import drain
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse_tests.conftest import shared_data
from lakehouse_tests.recordings import raw_messages
from lakehouse_tests.streams import rows_of, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


def by_hand(names: list[str]) -> dict[tuple[str, str, str, str], tuple[Decimal, Decimal | None]]:
    """(source, type, symbol without slash, id) → (price, volume); the last message of a key wins."""
    found = {}
    for name in names:
        for message in raw_messages(shared_data(f"market_ws/{name}.ws.1.0.txt.gz")):
            data, source = message["data"], name.lower()
            if name == "BITSTAMP":
                if message["event"] == "trade":
                    symbol = message["channel"].split("_")[-1].upper()
                    key = (source, "trade", symbol, str(data["id"]))
                    found[key] = (Decimal(data["price_str"]), Decimal(data["amount_str"]))
            elif data.get("e") == "aggTrade":
                found[source, "trade", data["s"], str(data["a"])] = (Decimal(data["p"]), Decimal(data["q"]))
            elif data.get("e") == "kline":
                bar = data["k"]
                found[source, "bar", bar["s"], f"1m/{bar['t']}"] = (Decimal(bar["c"]), Decimal(bar["v"]))
            elif data.get("e") != "depthUpdate":
                found[source, "quote", data["s"], str(data["u"])] = (
                    (Decimal(data["b"]) + Decimal(data["a"])) / 2,
                    None,
                )
    return found


def group_position(settings: Settings, group: str, topic: str) -> dict[int, int]:
    """What lag tools show of the consumer group."""
    from confluent_kafka import ConsumerGroupTopicPartitions
    from confluent_kafka.admin import AdminClient

    request = ConsumerGroupTopicPartitions(group)
    # Kept until the answer is there: without its client the future never ends.
    admin = AdminClient(client_config(settings))
    found = admin.list_consumer_group_offsets([request])[group].result(timeout=60)
    return {place.partition: place.offset for place in found.topic_partitions if place.topic == topic}


def produce(**options: Any) -> None:
    with pytest.raises(Exit) as ended:
        produce_market(**options)
    assert ended.value.exit_code == 0


def test_recordings_and_the_simulator_end_in_silver_exactly(
    settings: Settings, topic_name: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    contract = load_stream("market_data")
    topic = topic_name("market")
    assert (contract.topic.name, contract.consumer_group) == ("market-data", "market-data-consumers")
    # The group is the stream's own; its offsets are per topic.
    contract = contract.model_copy(update={"topic": contract.topic.model_copy(update={"name": topic})})
    apply_topics(settings, desired_topics([contract]))
    names = ["BINANCE", "BINANCE_FUTURES", "BITSTAMP"]
    for name in names:
        file = shared_data(f"market_ws/{name}.ws.1.0.txt.gz")
        # Twice: what was sent before is the same event.
        produce(recording=file, pace="max", topic=topic)
        produce(recording=file, pace="max", topic=topic)
    capsys.readouterr()
    day = datetime(2026, 11, 18, tzinfo=UTC)
    produce(topic=topic, count=500, burst=True, seed=7, start=day, end=day + timedelta(days=1), as_json=True)
    summary = json.loads(capsys.readouterr().out)
    assert (summary["sent"], sum(summary["by_symbol"].values()), set(summary["by_symbol"])) == (
        500, 500, {"BTC/USDT", "ETH/USD", "EUR/USD"},
    )  # fmt: skip
    good = {"source": "binance", "event_type": "trade", "symbol": "BTC/USDT", "volume": "1"}
    now = datetime.now(UTC).isoformat()
    rejected = [
        {**good, "event_id": "1", "event_time": now, "price": "1.00000000001"},
        {**good, "event_id": "2", "event_time": now, "price": "1e5"},
        {**good, "event_id": "3", "event_time": now, "price": "-1"},
        {**good, "event_id": "4", "event_time": now, "price": "1", "event_type": "quote", "bid": "1"},
        {**good, "event_id": "5", "event_time": now, "price": "3", "event_type": "bar", "open": "1", "high": "2",
         "low": "1", "bar_start": now, "is_closed": True},
    ]  # fmt: skip
    kept = {**good, "event_id": "6", "event_time": now, "price": "0.1000000000000"}
    send(settings, topic, [json.dumps(event).encode() for event in [*rejected, kept]])

    drain(contract, settings, budget_seconds=240, idle_seconds=0)
    paths = LakePaths.of(settings)
    rows = rows_of(
        paths.silver(contract.name), "source, event_type, replace(symbol, '/', ''), event_id, price, volume, is_closed"
    )
    found = {tuple(row[:4]): row[4:6] for row in rows if row[0] != "simulator"}
    own = ("binance", "trade", "BTCUSDT", "6")
    assert found.pop(own) == (Decimal("0.1"), Decimal(1))
    assert found == by_hand(names)
    assert len(rows) == len(found) + 501
    closed = {row[2] for row in rows if row[6]}
    assert closed == {"SUSHIUSDT", "AKROUSDT", "CTKUSDT", "KEEPUSDT"}
    reasons = sorted((json.loads(r[0])["event_id"], *r[1]) for r in rows_of(
        paths.quarantine(contract.name), "decode(value), reasons"
    ))  # fmt: skip
    assert reasons == [
        ("1", "price_type", "price_positive"), ("2", "price_type", "price_positive"), ("3", "price_positive"),
        ("4", "quote_has_both_sides"), ("5", "bar_in_order"),
    ]  # fmt: skip
    days = {row[0] for row in rows_of(paths.silver(contract.name), "distinct event_date")}
    assert {date(2021, 7, 22), date(2021, 10, 12), date(2022, 1, 5), date(2026, 11, 18)} <= days
    assert group_position(settings, "market-data-consumers", topic) == read_topic_state(settings, topic).end
    assert verify(settings, [contract]).findings == []
