"""What an event waits for that finds everything at rest: a tick of Dagster's sensor, a run, the drain's first batch.

Here: the shipped stream `sales` with Dagster as `lakehouse dev` starts it, all sensors on. Not here: a live drain's
latency (`latency`).
"""

import os
import time
from statistics import median

from benchmarks.figures import Figure
from benchmarks.workbench import Workbench
from lakehouse.contracts.load import load_stream, load_streams
from lakehouse.contracts.model import StreamContract
from lakehouse.engine.embedded import ports
from lakehouse.engine.embedded import stack as embedded
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake.ledger import last_plan

_EVENTS, _TIMES = 200, 3
_REST_SECONDS = 45
_PATIENCE_SECONDS = 120.0


def measure(bench: Workbench) -> list[Figure]:
    """Seconds from the broker's word on 200 events to the commit that has them, the median of several rests."""
    apply_topics(bench.settings, desired_topics(load_streams()))
    sales = load_stream("sales")
    bench.say("sensor: starting Dagster")
    wanted = bench.settings.model_copy(update={"dagster_port": ports.any_free(set())})
    embedded.start(wanted, ("kafka", "spark", "dagster"), owner_pid=os.getpid())
    seconds = []
    for number in range(_TIMES + 1):
        if number:
            time.sleep(_REST_SECONDS)
        bench.say(f"sensor: {_EVENTS} events, the {number + 1}. time")
        seconds.append(_until_bronze(bench, sales))
    first, *rested = seconds
    return [
        Figure(
            "sensor_to_bronze_seconds",
            "idle sensor → bronze",
            median(rested),
            "s",
            "lower",
            target=10.0,
            note=f"{', '.join(f'{each:.1f}' for each in rested)} s after rests of {_REST_SECONDS} s; "
            f"{first:.1f} s the first after Dagster's start",
        )
    ]


def _until_bronze(bench: Workbench, contract: StreamContract) -> float:
    bronze = bench.paths.bronze(contract.name)
    before = _taken(bronze)
    bench.fill(contract, _EVENTS)
    began = time.monotonic()
    while _taken(bronze) < before + _EVENTS:
        assert time.monotonic() < began + _PATIENCE_SECONDS, "no run came: see the logs of dagster-daemon"
        time.sleep(0.05)
    return time.monotonic() - began


def _taken(bronze: str) -> int:
    """Offsets that the table has taken."""
    known = last_plan(bronze)
    return 0 if known is None else sum(known[0].end.values())
