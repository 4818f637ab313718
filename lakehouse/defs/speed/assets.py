"""The speed layer as assets: windows and sessions over user events, brought up to silver by one step each.

Here: specs and the op. Not here: what a step does (`lakehouse.lake.speed`), when it runs (`automation`).
"""

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from lakehouse.components import LakeResource
from lakehouse.components.failures import typed_failures
from lakehouse.defs.speed.automation import stream_condition
from lakehouse.lake.speed.results import RESULTS, STREAM, Result

if TYPE_CHECKING:
    from lakehouse.lake.speed.writer import SpeedReport

POOL = f"speed_{STREAM}"
SILVER = dg.AssetKey(["silver", STREAM])
OWNERS = ["team:data-engineering"]


def speed_key(result: Result) -> dg.AssetKey:
    """Key of one speed table."""
    return dg.AssetKey(["speed", result.name])


def _spec(result: Result) -> dg.AssetSpec:
    columns = [dg.TableColumn(name, kind) for name, kind in result.columns.items()]
    return dg.AssetSpec(
        key=speed_key(result),
        deps=[SILVER],
        group_name="speed",
        description=f"{result.description} Exact under restart and replay: a function of silver and its batches.",
        owners=OWNERS,
        kinds={"spark", "deltalake"},
        tags={"stream": STREAM},
        automation_condition=stream_condition([SILVER]),
        metadata={
            "dagster/column_schema": dg.TableSchema(columns=columns),
            "dagster/table_name": f"speed.{result.name}",
            "watermark_delay_minutes": result.delay.total_seconds() / 60,
            "output_mode": result.mode,
            "key": ", ".join(result.keys),
        },
    )


@dg.multi_asset(
    name=f"advance_{STREAM}",
    specs=[_spec(result) for result in RESULTS],
    retry_policy=dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL),
    pool=POOL,
)
def speed_tables(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[dg.MaterializeResult[Any]]:
    """Take silver's new rows into every table and the real-time views, whatever is behind."""
    with typed_failures(context):
        summary = lake.advance_speed(lambda step: context.log.info("%s", step))
    steps = {step.table: step for step in summary.steps}
    for result in RESULTS:
        metadata = _figures(steps.get(result.name))
        if result.name in summary.published:
            metadata["published_rows"] = summary.published[result.name]
        yield dg.MaterializeResult(asset_key=speed_key(result), metadata=metadata)


def _figures(step: "SpeedReport | None") -> dict[str, Any]:
    if step is None:
        return {"rows": 0, "late": 0}
    figures = {name: value for name, value in dataclasses.asdict(step).items() if value is not None and name != "table"}
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()}
