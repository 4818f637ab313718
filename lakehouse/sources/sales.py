"""Simulated sales: realistic, weighted, the same for the same seed, fast enough to load a broker.

Here: events as bytes, good ones and ones broken on purpose. Not here: the shops' data (`sources.catalogue`), sending.

An event is put together from pieces of JSON that were made before: `json.dumps` of a dict of 13 values costs four
times as much. `lakehouse produce sales --check` and the tests hold the result against the stream's contract.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import accumulate
from typing import NamedTuple

from lakehouse.errors import UsageError
from lakehouse.sources.catalogue import (
    CUSTOMERS,
    DISCOUNTS,
    FIRST_CUSTOMER,
    PAYMENT_METHODS,
    QUANTITIES,
    STORES,
    catalogue,
)
from lakehouse.sources.sales_broken import BROKEN_KINDS

_SECONDS_PER_DAY = 86_400
_BLOCK = 2_048
_RECENT = 1_000

Now = Callable[[], float]


class Event(NamedTuple):
    """What is sent: the message key, the value, and the kind of damage or repetition ("" for a plain good event)."""

    key: str
    value: bytes
    kind: str


@dataclass
class Made:
    """What was made so far."""

    events: int = 0
    bad_by_kind: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0


class SalesGenerator:
    """An endless source of sales events.

    Args:
        seed: The same seed gives the same events, apart from their times, which come from `now`.
        bad_share: Share of events (0 to 1) that is broken on purpose; met exactly: of n events floor(n times share).
        duplicate_share: Share of events that repeats an earlier one byte for byte.
        now: Seconds since 1970, UTC: the time of the next sale.

    Raises:
        UsageError: when a share lies outside 0 to 1, or both together exceed 1.
    """

    def __init__(
        self, *, seed: int, bad_share: float = 0.0, duplicate_share: float = 0.0, now: Now = time.time
    ) -> None:
        for name, share in (("--bad-share", bad_share), ("--duplicate-share", duplicate_share)):
            if not 0 <= share <= 1:
                raise UsageError(f"{name} {share:g} is no share.", fix="Give a number from 0 to 1, such as 0.02.")
        if bad_share + duplicate_share > 1:
            raise UsageError("--bad-share and --duplicate-share together exceed 1.", fix="Give smaller ones.")
        self.made = Made()
        self._rng = random.Random(seed)
        self._now = now
        self._bad = Fraction(str(bad_share))
        self._duplicates = Fraction(str(duplicate_share))
        self._recent: list[Event] = []
        self._repeats_due = 0
        self._day = -1
        self._second = -1
        self._second_text = ""
        self._product_pieces: list[str] = []
        self._product_weights: list[float] = []
        self._stores = [(f',"store_id":"{store}"', f',"store_location":"{city}"}}') for store, city, _ in STORES]
        self._store_weights = list(accumulate(weight for _, _, weight in STORES))
        self._payments, self._payment_weights = _payment_pieces()
        self._plain = self._plain_events()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        made = self.made
        count = made.events
        made.events = count + 1
        if self._duplicates and _is_turn(count, self._duplicates):
            # Paid by this event or, where this one is broken or nothing can be repeated yet, by a later one.
            self._repeats_due += 1
        if self._bad and _is_turn(count, self._bad):
            kinds = list(BROKEN_KINDS)
            kind = kinds[made.bad_by_kind.total() % len(kinds)]
            made.bad_by_kind[kind] += 1
            good = next(self._plain)
            return Event(good.key, BROKEN_KINDS[kind].damage(good.value), kind)
        if self._repeats_due and self._recent:
            self._repeats_due -= 1
            made.duplicates += 1
            return self._rng.choice(self._recent)._replace(kind="duplicate")
        event = next(self._plain)
        if self._duplicates:
            self._remember(event)
        return event

    def _remember(self, event: Event) -> None:
        if len(self._recent) < _RECENT:
            self._recent.append(event)
        else:
            self._recent[self.made.events % _RECENT] = event

    def _plain_events(self) -> Iterator[Event]:
        rng, now = self._rng, self._now
        while True:
            # Drawn in blocks: one call for two thousand choices costs a fifth of two thousand calls.
            stores = rng.choices(self._stores, cum_weights=self._store_weights, k=_BLOCK)
            payments = rng.choices(self._payments, cum_weights=self._payment_weights, k=_BLOCK)
            products = [rng.random() for _ in range(_BLOCK)]
            ids = f"{rng.getrandbits(128 * _BLOCK):0{32 * _BLOCK}x}"
            # Squared: a few customers buy often, most seldom.
            customers = [FIRST_CUSTOMER + int(CUSTOMERS * rng.random() ** 2) for _ in range(_BLOCK)]
            for number in range(_BLOCK):
                moment = now()
                if int(moment) // _SECONDS_PER_DAY != self._day:
                    self._open_day(int(moment) // _SECONDS_PER_DAY)
                raw = ids[32 * number : 32 * number + 32]
                # Version 4, variant 8, as every UUID library reads it.
                order_id = f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-8{raw[17:20]}-{raw[20:]}"
                store, location = stores[number]
                piece = self._product_pieces[int(products[number] * len(self._product_pieces))]
                text = (
                    f'{{"order_id":"{order_id}"{store}{piece}{self._timestamp(moment)}'
                    f'","customer_id":"CUST_{customers[number]}"{payments[number]}{location}'
                )
                yield Event(order_id, text.encode(), "")

    def _timestamp(self, moment: float) -> str:
        second = int(moment)
        if second != self._second:
            self._second = second
            self._second_text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._second_text}.{int((moment - second) * 1000):03d}Z"

    def _open_day(self, day: int) -> None:
        self._day = day
        self._product_pieces = _product_pieces(day)


def _product_pieces(day: int) -> list[str]:
    """One piece of JSON per product and quantity, repeated according to its weight, for a plain index draw."""
    products = catalogue(day)
    total = sum(product.weight for product in products)
    pieces = []
    for product in products:
        for quantity, weight in QUANTITIES:
            # Prices are whole cents, so that total = quantity times price holds to the cent.
            piece = (
                f',"product_id":"{product.product_id}","product_name":"{product.name}","category":"{product.category}"'
                f',"quantity":{quantity},"unit_price":{_amount(product.price)}'
                f',"total_price":{_amount(product.price * quantity)},"sale_timestamp":"'
            )
            pieces += [piece] * max(1, round(200 * product.weight / total * weight))
    return pieces


def _payment_pieces() -> tuple[list[str], list[int]]:
    pieces, weights = [], []
    for method, method_weight in PAYMENT_METHODS:
        for discount, discount_weight in DISCOUNTS:
            pieces.append(f',"payment_method":"{method}","discount":{discount}')
            weights.append(method_weight * discount_weight)
    return pieces, list(accumulate(weights))


def _amount(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _is_turn(count: int, share: Fraction) -> bool:
    """Whether event number `count` (from 0) is one of floor(n times share), spread evenly."""
    return (count + 1) * share.numerator // share.denominator > count * share.numerator // share.denominator


def spread_over(first: datetime, last: datetime, events: int) -> Now:
    """A clock that steps evenly from `first` to just before `last` in so many readings.

    Raises:
        UsageError: when `last` is not after `first`, or `events` is below 1.
    """
    if last <= first:
        raise UsageError(f"--to {last.isoformat()} is not after --from {first.isoformat()}.", fix="Swap them.")
    if events < 1:
        raise UsageError(
            "--from and --to need --count: the events are spread evenly between them.", fix="Add --count 1000."
        )
    step = (last - first) / timedelta(seconds=1) / events
    readings = iter(range(events))
    start = first.timestamp()

    def now() -> float:
        return start + step * next(readings, events - 1)

    return now
