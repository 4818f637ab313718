"""The events of a soak: the same for the same seed, apart from their times. Here: which generator a stream gets."""

import random
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice

from lakehouse.contracts.model import StreamContract
from lakehouse.sources.contract_events import ContractEvents
from lakehouse.sources.sales import Now, SalesGenerator

BAD_SHARE = 0.05
REPEATED_SHARE = 0.05
_SPAN = timedelta(days=2)
_PER_DAY = 100


class Feed:
    """Events of one stream, out of order over two days, some broken, some repeated.

    Attributes:
        source: Name of the generator.
    """

    def __init__(self, stream: str, contract: StreamContract, seed: int) -> None:
        clock = shuffled_clock(contract, seed, time.time())
        self._events: Iterator[tuple[str | None, bytes]]
        if stream == "sales":
            self.source = "simulated sales"
            generator = SalesGenerator(seed=seed, bad_share=BAD_SHARE, duplicate_share=REPEATED_SHARE, now=clock)
            self._events = ((event.key, event.value) for event in generator)
        else:
            self.source = "values by field type"
            self._events = iter(
                ContractEvents(contract, seed=seed, bad_share=BAD_SHARE, repeated_share=REPEATED_SHARE, now=clock)
            )

    def take(self, count: int) -> list[tuple[str | None, bytes]]:
        """The next events."""
        return list(islice(self._events, count))


def shuffled_clock(contract: StreamContract, seed: int, end: float) -> Now:
    """Times in no order within the two days before `end`, or within half of what the contract takes as late.

    Changes the day only now and then: the catalogue of the simulated shops is made anew for each.
    """
    source = random.Random(f"{seed}/clock")  # noqa: S311 - simulated data
    span = min(_SPAN, contract.lateness.past / 2) if contract.lateness.past is not None else _SPAN
    step = span.total_seconds() / 2
    readings = 0

    def now() -> float:
        nonlocal readings
        half = readings // _PER_DAY % 2
        readings += 1
        return end - step * (half + source.random())

    return now
