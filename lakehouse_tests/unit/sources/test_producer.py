"""The sender on librdkafka's built-in test broker: back-pressure, failures, stopping."""

import itertools
import os
import signal
import threading

import pytest

from lakehouse.errors import BrokerUnreachableError, LakehouseError, UsageError
from lakehouse.settings import load_settings
from lakehouse.sources.producer import EventSender, Message, Summary, run, stop_on_signals

BUILT_IN_BROKER: dict[str, object] = {"test.mock.num.brokers": 1, "log_level": 0, "linger.ms": 1}


def _sender(**client: object) -> EventSender:
    config = BUILT_IN_BROKER | {name.replace("_", "."): value for name, value in client.items()}
    return EventSender(load_settings(), "t", config)


def _run(sender: EventSender, values: list[bytes], *, interval: float = 0, count: int | None = None) -> Summary:
    messages = ((None, value) for value in values)
    return run(messages, sender, interval=interval, count=count, stop=threading.Event(), report=lambda _: None)


def test_all_events_are_acknowledged_through_a_queue_smaller_than_a_chunk() -> None:
    summary = _run(_sender(queue_buffering_max_messages=50), [b"x"] * 5_000)
    assert (summary.sent, summary.failed, summary.exit_code) == (5_000, 0, 0)
    assert summary.events_per_second > 0


def test_count_ends_an_endless_source() -> None:
    endless = ((None, b"x") for _ in itertools.count())
    summary = run(endless, _sender(), interval=0, count=3_001, stop=threading.Event(), report=lambda _: None)
    assert summary.sent == 3_001


@pytest.mark.parametrize(("interval", "turns"), [(0.02, 10), (0.001, 10), (0.000_1, 20)])
def test_a_fast_pace_hands_over_what_is_due_in_1_ms(
    interval: float, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = _sender()
    handed: list[int] = []
    send = sender.send

    def counted(messages: list[Message]) -> None:
        handed.append(len(messages))
        send(messages)

    monkeypatch.setattr(sender, "send", counted)
    count = max(1, round(0.001 / interval)) * turns
    summary = _run(sender, [b"x"] * count, interval=interval, count=count)
    assert summary.sent == count
    assert handed[:turns] == [count // turns] * turns
    assert summary.seconds >= interval * count * 0.8


def test_a_refused_event_fails_alone_and_fails_the_run() -> None:
    summary = _run(_sender(message_max_bytes=1_000), [b"x", b"y" * 5_000, b"z"])
    assert (summary.sent, summary.failed, summary.exit_code) == (2, 1, 1)
    assert "too large" in summary.first_error.lower()


def test_events_that_nobody_takes_fail_and_name_the_fix() -> None:
    client = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0, "delivery.timeout.ms": 300, "linger.ms": 1}
    sender = EventSender(load_settings(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1"), "t", client)
    summary = _run(sender, [b"x"] * 3)
    assert (summary.sent, summary.failed, summary.exit_code) == (0, 3, 1)
    with pytest.raises(BrokerUnreachableError, match=r"127\.0\.0\.1:1"):
        sender.raise_if_failed("a.csv")


def test_other_failures_are_no_network_trouble() -> None:
    sender = _sender(message_max_bytes=1_000)
    _run(sender, [b"y" * 5_000])
    with pytest.raises(LakehouseError, match=r"while sending a\.csv") as caught:
        sender.raise_if_failed("a.csv")
    assert not isinstance(caught.value, BrokerUnreachableError)


def test_a_property_that_does_not_exist_is_a_wrong_setting() -> None:
    with pytest.raises(UsageError, match=r'"linger\.mss"'):
        _sender(linger_mss=1)


def test_a_signal_stops_flushes_and_counts() -> None:
    sender = _sender()
    before = signal.getsignal(signal.SIGTERM)

    def messages() -> "itertools.count[int] | object":
        for number in itertools.count():
            if number == 10:
                os.kill(os.getpid(), signal.SIGTERM)
            yield None, b"x"

    with stop_on_signals() as stop:
        summary = run(
            messages(),  # type: ignore[arg-type]
            sender,
            interval=0.001,
            count=100_000,
            stop=stop,
            report=lambda _: None,
        )
    assert summary.sent == 11
    assert (summary.interrupted, summary.exit_code) == (True, 130)
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_endless_run_that_is_stopped_has_done_its_work() -> None:
    assert Summary(sent=5, failed=0, seconds=1).exit_code == 0
    assert Summary(sent=5, failed=1, seconds=1, interrupted=True).exit_code == 1
