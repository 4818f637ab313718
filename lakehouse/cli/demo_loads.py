"""What the demo sends to each stream beside sales: a small load by the means that the stream has in production.

Here: which load, how much, and whether it is there already. Not here: what becomes of it (`cli.demo_beside`), the
shop's database (`cli.demo_shop`), events (`sources`).
"""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from lakehouse.cli.demo_shop import send_orders
from lakehouse.contracts.model import StreamContract
from lakehouse.kafka.offsets import read_topic_state
from lakehouse.lake.newest import newest_time
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from lakehouse.sources.producer import Message

_SEED = 7
_EVENTS = 2_000
_CHANGES = 300
_READINGS = 200
_RETAIL_LINES = 400
_HISTORY_DAYS = 7
_HISTORY_TICKS = 600

Load = Callable[[Settings, StreamContract], int]
"""Sends a stream its load, or puts it where the stream's source finds it; returns the rows that are still to come."""


def send_loads(settings: Settings, contracts: list[StreamContract], *, full: bool) -> dict[str, int]:
    """Send each stream its load, once, and with `full` what it lacks besides; Dagster's sensors see to the rest.

    Returns:
        Rows that are not on their stream's topic yet: a sensor of Dagster finds and sends them.
    """
    coming = {}
    for contract in contracts:
        load = LOADS.get(contract.name)
        if load is not None and read_topic_state(settings, contract.topic.name).is_unused:
            coming[contract.name] = load(settings, contract)
        if full and contract.name in TOP_UPS:
            TOP_UPS[contract.name](settings, contract)
    return coming


def _send(settings: Settings, contract: StreamContract, messages: "Iterator[Message]") -> int:
    from lakehouse.kafka.client import producer_config
    from lakehouse.sources.producer import EventSender, run

    sender = EventSender(settings, contract.topic.name, producer_config(settings))
    run(messages, sender, interval=0, count=None, stop=threading.Event(), report=lambda _: None)
    sender.raise_if_failed(f"the demo's events of {contract.name}")
    return 0


def _user_events(settings: Settings, contract: StreamContract) -> int:
    from lakehouse.sources.user_events import UserEventGenerator

    events = UserEventGenerator(seed=_SEED, late_share=0.05, duplicate_share=0.01, bad_share=0.01)
    return _send(settings, contract, ((event.key, event.value) for event in islice(events, _EVENTS)))


def _past_user_events(settings: Settings, contract: StreamContract) -> None:
    """The week before today: features of users are made of what they did before."""
    from lakehouse.sources.sales import spread_over
    from lakehouse.sources.user_events import UserEventGenerator

    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if newest_time(settings, "user_events", "event_time", where=f"event_date < date '{today:%Y-%m-%d}'"):
        return
    # The day is the seed: sent again after an interrupted demo, these are the same events.
    clock = spread_over(today - timedelta(days=_HISTORY_DAYS), today, _EVENTS)
    events = UserEventGenerator(seed=today.toordinal(), now=clock)
    _send(settings, contract, ((event.key, event.value) for event in islice(events, _EVENTS)))


def _market_data(settings: Settings, contract: StreamContract) -> int:
    from lakehouse.sources.market.simulator import MarketSimulator

    ticks = islice(MarketSimulator(seed=_SEED, now=time.time), _EVENTS)
    return _send(settings, contract, (tick.message() for tick in ticks))


def _past_market_data(settings: Settings, contract: StreamContract) -> None:
    """The last whole hour in which currencies were traded: on a weekend there are no rates of now."""
    from lakehouse.sources.market.hours import is_open
    from lakehouse.sources.market.simulator import MarketSimulator
    from lakehouse.sources.sales import spread_over

    if newest_time(settings, "market_data", "event_time", where="symbol = 'EUR/USD'"):
        return
    hour = timedelta(hours=1)
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - hour
    while not is_open("EUR/USD", start):
        start -= hour
    simulator = MarketSimulator(seed=int(start.timestamp()), now=spread_over(start, start + hour, _HISTORY_TICKS))
    _send(settings, contract, (tick.message() for tick in islice(simulator, _HISTORY_TICKS)))


def _changes(settings: Settings, contract: StreamContract) -> int:
    from lakehouse.sources.shop import Shop

    records = (record for record in Shop(seed=_SEED) if record.table == contract.name)
    return _send(settings, contract, ((record.key, record.value) for record in islice(records, _CHANGES)))


def _retail(settings: Settings, contract: StreamContract) -> int:
    """Yesterday's file into the landing folder, where the sensor `landed_files` finds it."""
    from lakehouse.sources.landing import landing_folder
    from lakehouse.sources.retail import write_day

    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    write_day(landing_folder(settings, contract.name), yesterday, _RETAIL_LINES, seed=_SEED)
    return _RETAIL_LINES


def _devices(settings: Settings, contract: StreamContract) -> int:
    from lakehouse.sources.devices import DeviceGenerator

    readings = islice(DeviceGenerator(seed=_SEED), _READINGS)
    return _send(settings, contract, ((event.key, event.value) for event in readings))


LOADS: dict[str, Load] = {
    "user_events": _user_events,
    "market_data": _market_data,
    "customers": _changes,
    "orders": _changes,
    "retail": _retail,
    "system_metrics": _devices,
}
TOP_UPS: dict[str, Callable[[Settings, StreamContract], None]] = {
    "user_events": _past_user_events,
    "market_data": _past_market_data,
    "orders_batch": send_orders,
}
