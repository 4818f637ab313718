"""Copies of silver that a stream's YAML asks for (`sinks: [postgres]`) as Dagster assets, loaded when silver is new.

Here: the asset and its sensor. Not here: how a load is done (`lakehouse.lake.sinks`).
"""

import dagster as dg

from lakehouse.components.automation import Automation
from lakehouse.components.failures import typed_failures
from lakehouse.components.pending import until_asked
from lakehouse.components.resources import LakeResource
from lakehouse.components.tables import STREAM_TAG, figures, silver_key
from lakehouse.contracts.model import StreamContract


def build_sinks(contract: StreamContract) -> dg.Definitions:
    """The stream's copies; nothing when its YAML names none."""
    if "postgres" not in contract.sinks:
        return dg.Definitions()

    @dg.asset(
        key=["postgres", contract.name],
        deps=[silver_key(contract)],
        group_name="serving",
        description=f"Silver {contract.name} in PostgreSQL, row for row. {contract.description}",
        owners=contract.owners,
        kinds={"postgres"},
        tags={"stream": contract.name},
        # A load takes all that silver has by then: what comes while it runs is the next one's.
        automation_condition=until_asked(dg.AutomationCondition.any_deps_updated())
        & ~dg.AutomationCondition.in_progress(),
        pool=f"postgres_{contract.name}",
        retry_policy=dg.RetryPolicy(max_retries=3, delay=30, backoff=dg.Backoff.EXPONENTIAL),
        op_tags={STREAM_TAG: contract.name},
    )
    def copy(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[None]:
        with typed_failures(context):
            report = lake.load_postgres(contract)
        return dg.MaterializeResult(metadata=figures(report))

    sensor = Automation(
        f"{contract.name}_sinks",
        target=dg.AssetSelection.assets(copy),
        minimum_interval_seconds=30,
        description=f"Loads silver.{contract.name} into PostgreSQL when it is new.",
    )
    return dg.Definitions(assets=[copy], sensors=[sensor])
