"""`lakehouse produce market`: simulated, live or recorded market events to the topic `market-data`.

Here: arguments and summary. Not here: the sources themselves (`sources.market`).
"""

import random
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.console import err
from lakehouse.cli.dates import moment_option
from lakehouse.cli.produce_options import AsJson, Brokers, Config, Section, TopicName, clock, one_line
from lakehouse.cli.produce_summary import conclude
from lakehouse.errors import LakehouseError, UsageError

if TYPE_CHECKING:
    from threading import Event

    from lakehouse.settings import Settings
    from lakehouse.sources.market.tick import Tick

STREAM = "market_data"


def market(
    source: Annotated[str, typer.Option(help="simulator, binance, coinbase or exchange_rate.")] = "simulator",
    symbols: Annotated[str | None, typer.Option(help="Symbols as BASE/QUOTE, comma-separated.")] = None,
    recording: Annotated[Path | None, typer.Option(help="Send a recorded feed instead of a source.")] = None,
    pace: Annotated[str, typer.Option(help="Pace of the recording: 1x, 10x, …, max.")] = "1x",
    brokers: Brokers = None,
    topic: TopicName = None,
    count: Annotated[int | None, typer.Option(help="How many events; without it, until Ctrl-C.")] = None,
    interval: Annotated[
        float | None, typer.Option(help="Seconds between events (simulator) or questions (services). [default: 1]")
    ] = None,
    burst: Annotated[bool, typer.Option("--burst", help="As fast as the broker takes them.")] = False,
    seed: Annotated[int | None, typer.Option(help="The simulator's; the same seed sends the same prices.")] = None,
    start: Annotated[
        datetime | None, moment_option("--from", "Simulated times from this UTC time on, not now.")
    ] = None,
    end: Annotated[datetime | None, moment_option("--to", "Simulated times spread evenly up to this UTC time.")] = None,
    config: Config = None,
    section: Section = "local",
    as_json: AsJson = False,
) -> None:
    """Send market events, keyed by symbol.

    Examples: lakehouse produce market --count 1000 --burst --seed 7
    lakehouse produce market --source binance --interval 5
    lakehouse produce market --recording feed.txt.gz --pace 10x
    """
    from lakehouse.contracts.load import load_stream
    from lakehouse.kafka.offsets import read_topic_state
    from lakehouse.sources.config import resolve
    from lakehouse.sources.market.recording import Recording, paced, parse_pace
    from lakehouse.sources.market.simulator import SYMBOLS, MarketSimulator
    from lakehouse.sources.producer import EventSender, run, stop_on_signals

    if count is not None and count < 1:
        raise UsageError(f"--count {count} is not possible.", fix="Give 1 or more, or leave it out for no end.")
    contract = load_stream(STREAM)
    options = resolve(
        brokers=brokers,
        topic=topic or contract.topic.name,
        interval=interval,
        config=config,
        section=section,
        source=STREAM,
    )
    wanted = tuple(name.strip().upper() for name in symbols.split(",")) if symbols else ()
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    speed = parse_pace(pace)
    read_topic_state(options.settings, options.topic)
    counts: Counter[str] = Counter()
    with stop_on_signals() as stop:
        step = 0.0
        if recording is not None:
            ticks = _until(stop, paced(Recording(recording), None if burst else speed, sleep=stop.wait))
        elif source == "simulator":
            times = {"now": time.time, **clock(start, end, count)}
            ticks = iter(MarketSimulator(seed=seed, symbols=wanted or SYMBOLS, **times))
            step = 0 if burst else options.interval
        else:
            ticks = _polled(source, options.settings, wanted, options.interval, stop)
        sender = EventSender(options.settings, options.topic, options.client)
        is_waited_for = recording is not None or source != "simulator"
        summary = run(
            _counted(ticks, counts),
            sender,
            # Each event is sent when it is there: what waits for its time must not wait for a full chunk as well.
            interval=step if not is_waited_for or burst else 0,
            chunk=1 if is_waited_for and not burst else None,
            count=count,
            stop=stop,
            report=one_line,
        )
    by_symbol = dict(sorted(counts.items()))
    more = {"source": str(recording) if recording else source, "by_symbol": by_symbol, "seed": seed}
    details = " · ".join(f"{name} {number:,}" for name, number in by_symbol.items())
    conclude(summary, options.topic, more, details=details, as_json=as_json)


def _counted(ticks: "Iterator[Tick]", counts: "Counter[str]") -> Iterator[tuple[str | None, bytes | None]]:
    for tick in ticks:
        counts[tick.symbol] += 1
        yield tick.message()


def _until(stop: "Event", ticks: "Iterator[Tick]") -> "Iterator[Tick]":
    for tick in ticks:
        if stop.is_set():
            return
        yield tick


def _polled(
    name: str, settings: "Settings", symbols: tuple[str, ...], interval: float, stop: "Event"
) -> "Iterator[Tick]":
    """Ticks of a service, asked every `interval` seconds; one that is out of order is asked again later."""
    from lakehouse.sources.market.feeds import open_feed

    with open_feed(name, settings, symbols=symbols) as feed:
        while not stop.is_set():
            try:
                yield from feed.poll()
            except LakehouseError as error:
                if not error.retryable:
                    raise
                err.print(error.one_line(), markup=False, soft_wrap=True)
            stop.wait(max(interval, 0.1))
