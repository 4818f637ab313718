"""The sensor that evaluates automation conditions, when there is something to evaluate.

Here: whether anything happened since the last look. Not here: conditions (`components.pending`, `defs.gold`,
`defs.speed`).
"""

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.metadata import RawMetadataMapping
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.definitions.target import ExecutableDefinition


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
        metadata: What components add to it.
    """

    def __init__(
        self,
        name: str,
        *,
        target: dg.AssetSelection,
        minimum_interval_seconds: int,
        description: str,
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
        self._newest: tuple[int | None, ...] = ()
        self._given: str | None = None

    def evaluate_tick(self, context: dg.SensorEvaluationContext) -> SensorExecutionData:
        """Ask the conditions, unless nothing was recorded since they were last asked and Dagster took the answer."""
        newest = context.instance.event_log_storage.get_maximum_record_id()
        # Asked once more after the last record: it is in the log a moment before all that it changes is.
        if self._newest == (newest, newest) and self._given == context.cursor:
            message = "Nothing was recorded since the conditions were last asked."
            return SensorExecutionData(skip_message=message, cursor=context.cursor)
        answer = super().evaluate_tick(context)
        self._newest, self._given = (*self._newest, newest)[-2:], answer.cursor
        return answer

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
            metadata=self.metadata if metadata is None else metadata,
        )
