"""The serving layer as an asset: the live page of key figures, out of the view that joins batch and speed.

Here: the asset. Not here: the view (`lakehouse.lake.serving.view`), the page (`lakehouse.lake.serving.kpi_page`), the
sensor (`defs.speed`).
"""

from typing import Any

import dagster as dg

from lakehouse.components import LakeResource
from lakehouse.components.failures import typed_failures
from lakehouse.defs.speed.assets import OWNERS, SILVER
from lakehouse.defs.speed.automation import stream_condition
from lakehouse.lake.speed.results import STREAM

BATCH = dg.AssetKey(["batch", "daily_agg"])


@dg.asset(
    key=dg.AssetKey(["serving", "kpis"]),
    deps=[BATCH, dg.AssetKey(["speed", "user_event_counts_1m"]), dg.AssetKey(["speed", "windowed_counts"])],
    group_name="serving",
    owners=OWNERS,
    kinds={"duckdb", "html"},
    tags={"stream": STREAM},
    automation_condition=stream_condition([SILVER, BATCH]),
    description="Key figures of the site, live: batch up to the last complete day, speed after it, no event twice.",
)
def kpis(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[Any]:
    """Read the serving view, replace the page."""
    with typed_failures(context):
        page = lake.publish_kpis()
    return dg.MaterializeResult(
        metadata={
            "page": dg.MetadataValue.path(str(page.path)),
            "last_complete_day": str(page.kpis.boundary or "none"),
            "newest_event": str(page.kpis.as_of or "none"),
            **{f"today_{name}": value for name, value in page.kpis.today.items()},
        }
    )


@dg.definitions
def serving() -> dg.Definitions:
    """Definitions of the serving layer."""
    return dg.Definitions(assets=[kpis])
