"""The arrivals sensor under Dagster's own daemon code, which may be told to die on the way.

`python -m lakehouse_tests.faults.daemon DAGSTER_HOME POINT` dies at that one of Dagster's crash flags.
"""

import logging
import signal
import sys
import time
from datetime import date
from pathlib import Path

import dagster as dg
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.scheduler.instigation import TickStatus
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.sensor import execute_sensor_iteration

from lakehouse.components import LakeResource
from lakehouse.components.arrivals import build_arrivals_sensor
from lakehouse.components.stream import build_stream_defs
from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.lake.monitoring.progress import Backlog

SENSOR = "sales_arrivals"


class WaitingLake(LakeResource):
    """A lake for which seventy records wait."""

    def backlog(self, contract: StreamContract) -> Backlog:
        return Backlog(70, [(date(2026, 11, 20), 70)], {0: 10}, "topic-id", last_batch=4, silver_batch=4)


SALES = load_stream("sales")
_stream = build_stream_defs(SALES)
defs = dg.Definitions(
    assets=_stream.assets,
    asset_checks=_stream.asset_checks,
    jobs=_stream.jobs,
    sensors=[build_arrivals_sensor(SALES, f"drain_{SALES.name}", WaitingLake())],
    resources={"lake": WaitingLake()},
)


def evaluate(home: Path, point: str = "") -> None:
    """Evaluate once and die at `point`, or evaluate until a tick has ended."""
    loaded_here = LoadableTargetOrigin(executable_path=sys.executable, python_file=__file__, attribute="defs")
    origin = InProcessCodeLocationOrigin(loaded_here)
    flags = {SENSOR: {point: int(signal.SIGKILL)}} if point else None
    with (
        dg.DagsterInstance.from_config(str(home)) as instance,
        WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget(origin)) as workspace,
    ):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            list(execute_sensor_iteration(workspace, logging.getLogger(SENSOR), None, None, debug_crash_flags=flags))
            if last_tick(instance) not in {None, TickStatus.STARTED}:
                return
            # The sensor's own minimum interval of five seconds.
            time.sleep(0.5)


def last_tick(instance: dg.DagsterInstance) -> TickStatus | None:
    """How the newest tick of the sensor ended."""
    for state in instance.all_instigator_state():
        if state.origin.instigator_name == SENSOR:
            ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
            return ticks[0].status if ticks else None
    return None


if __name__ == "__main__":
    evaluate(Path(sys.argv[1]), sys.argv[2])
