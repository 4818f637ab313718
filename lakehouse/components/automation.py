"""The sensor that evaluates automation conditions, when there is something to evaluate.

Here: whether anything happened since the last look, whether it is time, what a request covers. Not here: conditions
(`components.pending`, `defs.gold`, `defs.speed`), what is kept of answers (`components.evaluations`).
"""

import math
import time
from collections.abc import Sequence

import dagster as dg
from dagster import _check as check
from dagster._core.definitions.metadata import RawMetadataMapping
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.definitions.target import ExecutableDefinition
from dagster._record import copy

from lakehouse.components.evaluations import decisive, forget_old

_FORGET_SECONDS = 3600


class Automation(dg.AutomationConditionSensorDefinition):
    """An automation sensor, on from the start, that asks its conditions only after Dagster recorded something.

    Ours speak of runs, materializations and checks alone, never of the time of day. To look at them again and again
    while nothing happens took Dagster's daemon a seventh of a processor. Evaluated in the code server: the daemon would
    read and write the memory of all conditions at each tick, whatever came of it.

    Args:
        name: Of the sensor.
        target: The assets whose conditions it evaluates.
        minimum_interval_seconds: How often it looks.
        description: For the UI.
        pause_seconds: Conditions that were asked are left alone for so long, unless a run has ended meanwhile: what
            happens within a run mostly changes no answer before its end.
        asks_for_all: Whether a request for one asset of the target is one for all of them and their checks. One
            condition then speaks for all; the same on each would be asked, remembered and kept once for each.
        metadata: What components add to it.
    """

    def __init__(
        self,
        name: str,
        *,
        target: dg.AssetSelection,
        minimum_interval_seconds: int,
        description: str,
        pause_seconds: float = 0,
        asks_for_all: bool = False,
        metadata: RawMetadataMapping | None = None,
    ) -> None:
        super().__init__(
            name,
            target=target,
            minimum_interval_seconds=minimum_interval_seconds,
            description=description,
            metadata=metadata,
            # Without it its layer stays as it was when somebody last pressed a button.
            default_status=dg.DefaultSensorStatus.RUNNING,
            use_user_code_server=True,
        )
        self._selection = target
        self._pause = pause_seconds
        self._asks_for_all = asks_for_all
        self._asked: tuple[float, float | None] = (-math.inf, None)
        self._newest: tuple[int | None, ...] = ()
        self._given: str | None = None
        self._forgot = -math.inf

    def evaluate_tick(self, context: dg.SensorEvaluationContext) -> SensorExecutionData:
        """Ask the conditions, unless nothing was recorded since they were last asked and Dagster took the answer."""
        newest = context.instance.event_log_storage.get_maximum_record_id()
        # Asked once more after the last record: it is in the log a moment before all that it changes is.
        if self._newest == (newest, newest) and self._given == context.cursor:
            message = "Nothing was recorded since the conditions were last asked."
            return SensorExecutionData(skip_message=message, cursor=context.cursor)
        asked, before = self._asked
        end = _last_end(context.instance) if self._pause else None
        if end == before and time.monotonic() < asked + self._pause:
            message = f"The conditions were asked less than {self._pause:.0f} s ago, and no run has ended since."
            return SensorExecutionData(skip_message=message, cursor=context.cursor)
        self._asked = (time.monotonic(), end)
        answer = super().evaluate_tick(context)
        self._newest, self._given = (*self._newest, newest)[-2:], answer.cursor
        self._forget_old(context.instance)
        requests = answer.run_requests or []
        return copy(
            answer,
            run_requests=[self._whole(request, context) for request in requests] if self._asks_for_all else requests,
            automation_condition_evaluations=[decisive(each) for each in answer.automation_condition_evaluations],
        )

    def with_attributes(
        self,
        *,
        jobs: Sequence[ExecutableDefinition] | None = None,  # noqa: ARG002 - of Dagster's own signature; there are none
        metadata: RawMetadataMapping | None = None,
    ) -> "Automation":
        """A copy with other metadata; Dagster's own would be a sensor that always asks."""
        return Automation(
            self.name,
            target=self._selection,
            minimum_interval_seconds=self.minimum_interval_seconds or 0,
            description=self.description or "",
            pause_seconds=self._pause,
            asks_for_all=self._asks_for_all,
            metadata=self.metadata if metadata is None else metadata,
        )

    def _whole(self, request: dg.RunRequest, context: dg.SensorEvaluationContext) -> dg.RunRequest:
        keys = self._selection.resolve(check.not_none(context.repository_def).asset_graph)
        return request.with_replaced_attrs(asset_selection=sorted(keys), asset_check_keys=None)

    def _forget_old(self, instance: dg.DagsterInstance) -> None:
        if time.monotonic() > self._forgot + _FORGET_SECONDS:
            self._forgot = time.monotonic()
            forget_old(instance)


def _last_end(instance: dg.DagsterInstance) -> float | None:
    """When the run that ended last did, in seconds since 1970; None when none has."""
    ended = dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE])
    records = instance.get_run_records(ended, limit=1, order_by="update_timestamp")
    return records[0].end_time if records else None
