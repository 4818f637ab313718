"""`StreamComponent`: one `defs.yaml` becomes a stream's assets, checks, jobs, schedule and arrivals sensor.

Here: assembly only. Not here: what a contract may say (`lakehouse.contracts.model` is the one schema), what a run does
(`tables`), what is checked (`checks`), when a run is launched (`arrivals`).
"""

from typing import Self

import dagster as dg
from pydantic import BaseModel

from lakehouse.components.arrivals import build_arrivals_sensor
from lakehouse.components.checks import build_bronze_checks, build_silver_checks
from lakehouse.components.dead_letters import dead_letter_specs
from lakehouse.components.maintenance import build_maintenance_schedule
from lakehouse.components.quality import build_unusual_checks, unusual_check_keys
from lakehouse.components.sinks import build_sinks
from lakehouse.components.tables import (
    DRAIN,
    MODE_TAG,
    STREAM_TAG,
    bronze_key,
    build_tables,
    partitions,
    silver_key,
    table_keys,
    topic_spec,
)
from lakehouse.components.upstream import upstream_specs
from lakehouse.contracts.model import StreamContract


class StreamComponent(dg.Component):
    """A Kafka topic, its bronze and silver tables, one check per rule, a drain job and the sensor that starts it."""

    def __init__(self, contract: StreamContract) -> None:
        self.contract = contract

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The contract is the schema of `attributes:`; Dagster adds file and line to its messages."""
        return StreamContract

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """Make the component of checked attributes.

        Raises:
            dagster.DagsterInvalidDefinitionError: when the file has no `attributes:`.
        """
        if not isinstance(attributes, StreamContract):
            raise dg.DagsterInvalidDefinitionError(
                f"{context.path}: a stream needs `attributes:`; see sales/defs.yaml."
            )
        return cls(attributes)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002 - signature of the base
        """Everything that belongs to the stream."""
        return build_stream_defs(self.contract)


def build_stream_defs(contract: StreamContract) -> dg.Definitions:
    """The definitions of one stream; the resource `lake` comes from `lakehouse.definitions`."""
    name = f"drain_{contract.name}"
    job = dg.define_asset_job(
        name=name,
        # What is unusual is judged hourly, over whole hours; the drain's own checks are about what it brought.
        selection=dg.AssetSelection.assets(*table_keys(contract))
        - dg.AssetSelection.checks(*unusual_check_keys(contract)),
        description=f"Takes what waits on {contract.topic.name} into bronze and silver, then checks both.",
        executor_def=dg.in_process_executor,
        # Its sensor asks again with an attempt number; Dagster's own retry would be a second opinion.
        tags={STREAM_TAG: contract.name, MODE_TAG: DRAIN, "dagster/max_retries": "0"},
    )
    own = dg.Definitions(
        assets=[
            *upstream_specs(contract),
            topic_spec(contract),
            build_tables(contract),
            *dead_letter_specs(contract, bronze_key(contract), partitions(contract)),
        ],
        asset_checks=[
            build_bronze_checks(contract),
            build_silver_checks(contract),
            build_unusual_checks(contract),
            # A warning in the graph when silver has followed a changed contract.
            *dg.build_column_schema_change_checks(assets=[silver_key(contract)]),
        ],
        jobs=[job],
        schedules=[build_maintenance_schedule(contract)],
        sensors=[build_arrivals_sensor(contract, name)],
    )
    return dg.Definitions.merge(own, build_sinks(contract))
