"""What the demo shows beside sales: further streams, change data and a batch pipeline, each with a small load.

Here: which, how much, one line for each. Not here: the storyboard (`cli.demo`), anything that moves data.
"""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from lakehouse.cli.console import err
from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.errors import LakehouseError
from lakehouse.kafka.offsets import read_topic_state
from lakehouse.lake.ledger import last_plan, merged_through
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.tally import Tally
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from lakehouse.sources.producer import Message

_SEED = 7
_EVENTS = 2_000
_CHANGES = 300
_PATIENCE_SECONDS = 300.0
_POLL_SECONDS = 0.25
# Publication day of the bundled sample's first report.
_COVID_DAY = "2026-03-02"


def streams_beside(*, full: bool) -> list[StreamContract]:
    """The further streams, in the order in which they are shown."""
    return [load_stream(name) for name in (*_SOURCES, *_OF_PIPELINES) if full or name not in _ONLY_FULL]


def send_loads(settings: Settings, contracts: list[StreamContract]) -> None:
    """Send each stream a small load unless its topic holds some already; Dagster's sensors see to the rest."""
    for contract in contracts:
        source = _SOURCES.get(contract.name)
        if source is not None and not any(read_topic_state(settings, contract.topic.name).end.values()):
            _send(settings, contract, source())


def show_streams(settings: Settings, contracts: list[StreamContract]) -> None:
    """Wait until silver has all that is on each stream's topic, and say what became of it.

    Raises:
        LakehouseError: it takes too long.
    """
    paths = LakePaths.of(settings)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    for contract in contracts:
        end = read_topic_state(settings, contract.topic.name).end
        while not _has_all(paths, contract.name, end):
            if time.monotonic() > deadline:
                waited = f"After {_PATIENCE_SECONDS:.0f} s"
                raise too_long(settings, f"{waited} silver does not have all of {contract.name}.")
            time.sleep(_POLL_SECONDS)
        totals = Tally(contract, paths).update()
        err.print(
            f"✓ {contract.name} ({contract.mode}): {totals.bronze:,} records · {totals.valid:,} valid · "
            f"{totals.rejected:,} quarantined",
            markup=False,
            soft_wrap=True,
        )


def too_long(settings: Settings, problem: str) -> LakehouseError:
    """What the demo says when it has waited in vain for Dagster's runs: the reason that they or the daemon gave."""
    from lakehouse.engine.embedded.dagster_ui import DAEMON
    from lakehouse.engine.embedded.last_words import last_words
    from lakehouse.ops.logs import log_path
    from lakehouse.ops.run_lines import last_failure

    failure = last_failure(log_path())
    daemon = last_words([settings.home / "logs" / f"{DAEMON}.log"])
    reasons = [
        f"The last run that failed ({failure['run_id'][:8]}, {failure.get('job')}) said: {failure['cause']}"
        if failure
        else "No run has failed; the machine may be busy.",
        f"Dagster's daemon said: {daemon}" if daemon else "",
    ]
    return LakehouseError(
        problem,
        why=" ".join(filter(None, reasons)),
        fix=f"Look at {settings.home / 'logs'} and at Dagster's runs; running the demo again goes on.",
    )


def _has_all(paths: LakePaths, stream: str, end: dict[int, int]) -> bool:
    known = last_plan(paths.bronze(stream))
    if known is None:
        return not any(end.values())
    plan = known[0]
    is_read = all(plan.end.get(partition, 0) >= offset for partition, offset in end.items())
    return is_read and merged_through(paths.silver(stream)) >= plan.batch


def show_pipelines(settings: Settings, *, full: bool) -> None:
    """Run one window of each batch pipeline; a window that was run before keeps its rows."""
    from lakehouse.contracts.pipelines import load_pipeline
    from lakehouse.lake.batch.run import run_pipeline

    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    windows = {"orders_star": yesterday}
    if full:
        windows |= {"daily_etl": yesterday, "covid_etl": _COVID_DAY}
    for name, window in windows.items():
        began = time.monotonic()
        reports = run_pipeline(load_pipeline(name), window, settings, lambda _: None)
        steps = " → ".join(f"{report.step} {report.rows:,}" for report in reports)
        err.print(
            f"✓ pipeline {name}, {window}: {steps} · {time.monotonic() - began:.1f} s", markup=False, soft_wrap=True
        )


def _send(settings: Settings, contract: StreamContract, messages: "Iterator[Message]") -> None:
    from lakehouse.kafka.client import producer_config
    from lakehouse.sources.producer import EventSender, run

    sender = EventSender(settings, contract.topic.name, producer_config(settings))
    run(messages, sender, interval=0, count=None, stop=threading.Event(), report=lambda _: None)
    sender.raise_if_failed(f"the demo's events of {contract.name}")


def _user_events() -> "Iterator[Message]":
    from lakehouse.sources.user_events import UserEventGenerator

    events = UserEventGenerator(seed=_SEED, late_share=0.05, duplicate_share=0.01, bad_share=0.01)
    return ((event.key, event.value) for event in islice(events, _EVENTS))


def _market_data() -> "Iterator[Message]":
    from lakehouse.sources.market.simulator import MarketSimulator

    return (tick.message() for tick in islice(MarketSimulator(seed=_SEED, now=time.time), _EVENTS))


def _changes(table: str) -> "Callable[[], Iterator[Message]]":
    def records() -> "Iterator[Message]":
        from lakehouse.sources.shop import Shop

        shop = Shop(seed=_SEED)
        return islice(((record.key, record.value) for record in shop if record.table == table), _CHANGES)

    return records


_SOURCES: "dict[str, Callable[[], Iterator[Message]]]" = {
    "user_events": _user_events,
    "market_data": _market_data,
    "customers": _changes("customers"),
    "orders": _changes("orders"),
}
_OF_PIPELINES = ("covid_updates",)
_ONLY_FULL = ("orders", *_OF_PIPELINES)
