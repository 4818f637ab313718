"""Simulated devices: sensors in the shops that measure temperature, humidity, power and battery, by seed.

Here: events of the stream `system_metrics`, as a device would send them. Not here: pacing and sending
(`sources.producer`), figures that are really measured (`ops.samples`).
"""

import json
import random
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from lakehouse.errors import UsageError
from lakehouse.sources.sales import Event, Now

_ROOMS = ("cold_store", "sales_floor", "stock_room", "loading_dock")


class _Sensor(NamedTuple):
    """What is measured, in which unit, around which figure, and how far one reading lies from the one before."""

    metric: str
    unit: str
    usual: float
    step: float
    least: float
    most: float


SENSORS = (
    _Sensor("device_temperature_celsius", "celsius", 19.0, 0.3, -30.0, 60.0),
    _Sensor("device_humidity_percent", "percent", 45.0, 1.0, 0.0, 100.0),
    _Sensor("device_power_watts", "watts", 120.0, 8.0, 0.0, 2_000.0),
    _Sensor("device_battery_percent", "percent", 95.0, 0.2, 0.0, 100.0),
)


class DeviceGenerator:
    """An endless source of readings: each of the devices in turn, each of its sensors in turn.

    A reading drifts from the one before and is drawn back to what is usual, within what the sensor can show.

    Args:
        seed: The same seed gives the same readings, apart from their times, which come from `now`.
        devices: How many there are.
        now: Seconds since 1970, UTC: the time of the next reading.

    Raises:
        UsageError: when there is no device.
    """

    def __init__(self, *, seed: int, devices: int = 20, now: Now = time.time) -> None:
        if devices < 1:
            raise UsageError(f"--devices {devices} is not possible.", fix="Give 1 or more.")
        self._rng = random.Random(seed)
        self._now = now
        self._made = 0
        self._readings = [[sensor.usual for sensor in SENSORS] for _ in range(devices)]

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        turn, number = divmod(self._made, len(self._readings))
        self._made += 1
        place = turn % len(SENSORS)
        sensor, readings = SENSORS[place], self._readings[number]
        drift = self._rng.gauss(0, sensor.step) + (sensor.usual - readings[place]) * 0.05
        readings[place] = min(sensor.most, max(sensor.least, readings[place] + drift))
        host = f"device-{number:04d}"
        event = {
            "sample_id": str(uuid.UUID(int=self._rng.getrandbits(128))),
            "sampled_at": datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds"),
            "host": host,
            "metric": sensor.metric,
            "value": round(readings[place], 2),
            "unit": sensor.unit,
            "labels": json.dumps({"room": _ROOMS[number % len(_ROOMS)]}),
        }
        return Event(host, json.dumps(event, separators=(",", ":")).encode(), "")
