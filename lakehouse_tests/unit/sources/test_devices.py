"""The simulated devices: readings keep the contract, drift within what a sensor can show, are the same by seed."""

import json
from itertools import islice, pairwise

import pytest

from lakehouse.contracts.load import load_stream
from lakehouse.errors import UsageError
from lakehouse.sources.devices import SENSORS, DeviceGenerator
from lakehouse.sources.event_check import broken_promises

NOW = 1_790_000_000.0


def made(count: int, devices: int = 3, seed: int = 7) -> list[tuple[str, bytes, str]]:
    clock = iter(range(10**9))
    return list(islice(DeviceGenerator(seed=seed, devices=devices, now=lambda: NOW + next(clock)), count))


def test_readings_keep_the_contract_of_system_metrics_and_are_keyed_by_device() -> None:
    events = made(240)
    contract = load_stream("system_metrics")
    assert not any(broken_promises(contract, [value for _, value, _ in events]))
    parsed = [json.loads(value) for _, value, _ in events]
    assert set(parsed[0]) == {key for field in contract.fields for key in field.keys}
    assert [key for key, _, _ in events] == [event["host"] for event in parsed]
    assert len({event["sample_id"] for event in parsed}) == 240
    every = {(event["host"], event["metric"]) for event in parsed}
    assert every == {(f"device-{n:04d}", sensor.metric) for n in range(3) for sensor in SENSORS}
    assert "device" in {source.family for source in contract.upstream}


def test_a_reading_drifts_from_the_one_before_and_stays_possible() -> None:
    parsed = [json.loads(value) for _, value, _ in made(8_000, devices=1)]
    for sensor in SENSORS:
        figures = [event["value"] for event in parsed if event["metric"] == sensor.metric]
        assert sensor.least <= min(figures) < max(figures) <= sensor.most
        assert max(abs(after - before) for before, after in pairwise(figures)) < 7 * sensor.step


def test_the_same_seed_sends_the_same_and_no_device_sends_nothing() -> None:
    assert made(50) == made(50)
    assert made(50) != made(50, seed=8)
    with pytest.raises(UsageError, match="--devices 0"):
        made(1, devices=0)
