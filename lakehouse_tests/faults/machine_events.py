"""What the state machine sends: events by kind, as bytes, with what must become of them.

Here: the kinds, their bytes, Hypothesis strategies, the small stream's contract. Not here: sending, the model of the
tables (`machine_model`).
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from lakehouse.contracts.model import Mode, StreamContract

PARTITIONS = 2
FIVE_MEGABYTES = 5 << 20
_LATE = timedelta(days=3)


def small_contract(topic: str, mode: Mode) -> StreamContract:
    """Readings of meters: few fields, late by up to three days, messages of 6 MB."""
    return StreamContract.model_validate(
        {
            "name": "readings",
            "description": "Readings of meters.",
            "topic": {"name": topic, "partitions": PARTITIONS, "config": {"max.message.bytes": str(6 << 20)}},
            "owners": ["team:test"],
            "start": "2024-01-01",
            "event_time": "at",
            "key": ["id"],
            "mode": mode,
            "fields": [
                {"name": "id", "type": "string", "description": "Meter."},
                {"name": "at", "type": "timestamp", "description": "When it was read."},
                {"name": "amount", "type": "long", "description": "What it said."},
            ],
            "rules": [{"name": "amount_positive", "sql": "amount > 0"}],
            "lateness": {"past": f"{_LATE.days}d", "future": "1d"},
        }
    )


# Moments relative to the machine's start: out of order, on several days, at the same time.
GOOD_MINUTES = (0, -1, -1, -5, -30, 60, -24 * 60, -2 * 24 * 60, 20 * 60)
# Raw values that carry no reading, with the reason that they are in quarantine for.
UNREADABLE: dict[str, tuple[bytes | None, str]] = {
    "tombstone": (None, "no_value"),
    "empty": (b"", "malformed_json"),
    "bad_json": (b'{"id": ', "malformed_json"),
    "no_object": (b"[1, 2]", "malformed_json"),
    "not_utf8": (b'\xff\xfe{"id": "a"}', "not_utf8"),
    "deep": (b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "malformed_json"),
}
# Kinds of readings that parse, with the reason against them; "" for those that are good.
READINGS = {
    "plain": "",
    "new_field": "",
    "repeated_field": "",
    "five_megabytes": "",
    "zero": "amount_positive",
    "wrong_type": "amount_type",
    "object": "amount_type",
    "1e400": "amount_type",
    "no_key": "id_present",
    "too_late": "event_time_not_too_old",
    "year_1970": "event_time_not_too_old",
    "year_2262": "event_time_not_in_future",
}
_WILD = {
    "year_1970": datetime(1970, 1, 1, tzinfo=UTC),
    "year_2262": datetime(2262, 4, 11, tzinfo=UTC),
}


@dataclass(frozen=True)
class Event:
    """One record to be sent. `key`, `minutes` and `amount` count for readings only."""

    kind: str
    partition: int
    key: str = "a"
    minutes: int = 0
    amount: int = 1

    @property
    def reason(self) -> str:
        """The first reason that it must be in quarantine for; empty when it is good."""
        return UNREADABLE[self.kind][1] if self.kind in UNREADABLE else READINGS[self.kind]

    def moment(self, start: datetime) -> datetime:
        """Its event time."""
        if self.kind == "too_late":
            return start - _LATE - timedelta(hours=1)
        return _WILD.get(self.kind, start + timedelta(minutes=self.minutes))

    def value(self, start: datetime) -> bytes | None:
        """The record's bytes."""
        if self.kind in UNREADABLE:
            return UNREADABLE[self.kind][0]
        body: dict[str, object] = {
            "id": None if self.kind == "no_key" else self.key,
            "at": self.moment(start).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "amount": {"zero": 0, "wrong_type": "three", "object": {"pieces": 1}}.get(self.kind, self.amount),
        }
        if self.kind == "new_field":
            body["tier"] = {"level": 2}
        if self.kind == "five_megabytes":
            body["padding"] = "x" * FIVE_MEGABYTES
        text = json.dumps(body)
        if self.kind == "1e400":
            text = text.replace(f'"amount": {self.amount}', '"amount": 1e400')
        if self.kind == "repeated_field":
            # Of two values of one field the last counts.
            text = text.replace('"amount": ', '"amount": 99, "amount": ')
        return text.encode()


def events() -> st.SearchStrategy[Event]:
    """Mostly good readings of few meters, so that keys meet; now and then anything else."""
    partition = st.integers(0, PARTITIONS - 1)
    readings = st.builds(
        Event,
        kind=st.sampled_from(["plain", *READINGS]),
        partition=partition,
        key=st.sampled_from("abc"),
        minutes=st.sampled_from(GOOD_MINUTES),
        amount=st.integers(1, 9),
    )
    plain = st.builds(
        Event,
        kind=st.just("plain"),
        partition=partition,
        key=st.sampled_from("abcd"),
        minutes=st.sampled_from(GOOD_MINUTES),
        amount=st.integers(1, 9),
    )
    unreadable = st.builds(Event, kind=st.sampled_from(sorted(UNREADABLE)), partition=partition)
    return st.one_of(plain, plain, readings, unreadable)
