"""Recorded exchange feeds: every message with its receive time, replayed at the pace of the recording or a multiple.

Here: the file's form and the pace. Not here: what the messages say (`exchanges`).

A line is `<receive seconds>: <JSON>`, `<address> <-> <seconds>` (the connection) or `<address> <- <seconds>: <JSON>`
(a message that was sent).
"""

import gzip
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from lakehouse.errors import SourceRefusedError, UsageError
from lakehouse.sources.market import exchanges
from lakehouse.sources.market.exchanges import Parse
from lakehouse.sources.market.tick import Tick, from_epoch
from lakehouse.sources.raw_json import parse_json

_OPENED = re.compile(r"^(wss?://\S+) <-> [\d.]+$")
_SENT = re.compile(r"^wss?://\S+ <- [\d.]+: ")
_RECEIVED = re.compile(r"^(\d+(?:\.\d+)?): (.*)$")
_FEEDS: dict[str, Parse] = {
    "stream.binance.com": exchanges.binance,
    "fstream.binance.com": exchanges.binance_futures,
    "ws.bitstamp.net": exchanges.bitstamp,
    "ws-feed.exchange.coinbase.com": exchanges.coinbase,
}
_PACE = re.compile(r"^(\d+(?:\.\d+)?)x$")


class Recording:
    """The ticks of one file, in the order in which they were received.

    Args:
        path: The file, plain or gzip.

    Attributes:
        counts: Messages by what became of them: `trade`, `quote`, `bar`, and `no_price` for the others.

    Raises:
        UsageError: when it cannot be read or has another form; names the line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.counts: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Tick]:
        self.counts.clear()
        parse: Parse | None = None
        for number, line in enumerate(self._lines(), start=1):
            opened = _OPENED.match(line)
            if opened:
                parse = self._feed(opened[1], number)
                continue
            received = _RECEIVED.match(line)
            if received and parse:
                tick = self._tick(parse, received[1], received[2], number)
                self.counts[tick.event_type if tick else "no_price"] += 1
                if tick:
                    yield tick
            elif not _SENT.match(line):
                raise self._wrong(number, "no line of a recording")

    def _tick(self, parse: Parse, seconds: str, text: str, number: int) -> Tick | None:
        try:
            message: Any = parse_json(text)
            return parse(message, from_epoch(seconds, "seconds"))
        except (ValueError, KeyError, TypeError, SourceRefusedError) as error:
            raise self._wrong(number, f"{type(error).__name__}: {error}") from error

    def _feed(self, address: str, number: int) -> Parse:
        for host, parse in _FEEDS.items():
            if re.match(rf"^wss?://{re.escape(host)}[:/]", address):
                return parse
        raise self._wrong(number, f"{address.split('?', maxsplit=1)[0]} is none of {', '.join(_FEEDS)}")

    def _lines(self) -> Iterator[str]:
        opener: Any = gzip.open if self._path.suffix == ".gz" else open
        try:
            with opener(self._path, "rt", encoding="utf-8") as stream:
                for line in stream:
                    if line.strip():
                        yield line.rstrip("\n")
        except (OSError, EOFError, UnicodeDecodeError) as error:
            raise UsageError(
                f"{self._path} cannot be read as a recording: {error}.",
                fix="See docs/sources.md for the form of a recording.",
            ) from error

    def _wrong(self, number: int, what: str) -> UsageError:
        return UsageError(f"{self._path}:{number}: {what}.", fix="See docs/sources.md for the form of a recording.")


def parse_pace(text: str) -> float | None:
    """`1x`, `10x`, `0.5x` as a multiple of the recorded pace; `max` (None) does not wait.

    Raises:
        UsageError: for anything else.
    """
    if text == "max":
        return None
    match = _PACE.match(text)
    if match is None or float(match[1]) == 0:
        raise UsageError(f"--pace {text!r} is not possible.", fix="Write 1x, 10x, 0.5x, or max.")
    return float(match[1])


def paced(
    ticks: Iterable[Tick],
    pace: float | None,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[Tick]:
    """Give each tick when it is due: as far from the first as it was received, divided by the pace."""
    first: datetime | None = None
    began = clock()
    for tick in ticks:
        if pace is not None and tick.received_at is not None:
            first = first or tick.received_at
            due = began + (tick.received_at - first).total_seconds() / pace
            ahead = due - clock()
            if ahead > 0:
                sleep(ahead)
        yield tick
