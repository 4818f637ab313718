"""`PipelineComponent`: one `defs.yaml` becomes a batch pipeline's assets, checks, job, schedule and sensors.

Here: assembly only. Not here: what a pipeline may say (`lakehouse.contracts.pipeline`), its assets
(`pipeline_assets`), when it runs (`pipeline_schedules`, `pipeline_sensors`), what a step does (`lakehouse.lake.batch`).
"""

from typing import Any, Self

import dagster as dg
from pydantic import BaseModel

from lakehouse.components.pipeline_assets import PIPELINE_TAG, build_steps, step_key
from lakehouse.components.pipeline_schedules import build_schedule
from lakehouse.components.pipeline_sensors import build_catch_up_sensor, build_waiting_sensor
from lakehouse.contracts.pipeline import PipelineContract, Resources
from lakehouse.contracts.pipelines import EtlPipelines

KUBERNETES_TAG = "dagster-k8s/config"
MEMORY_TAG = "lakehouse/memory"


class PipelineComponent(dg.Component):
    """A batch pipeline: extract, transform, load and deliver steps, each an asset, run window by window."""

    def __init__(self, contract: PipelineContract) -> None:
        self.contract = contract

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The contract is the schema of `attributes:`; Dagster adds file and line to its messages."""
        return PipelineContract

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """Make the component of checked attributes.

        Raises:
            dagster.DagsterInvalidDefinitionError: when the file has no `attributes:`.
        """
        if not isinstance(attributes, PipelineContract):
            raise dg.DagsterInvalidDefinitionError(
                f"{context.path}: a pipeline needs `attributes:`; see docs/batch.md."
            )
        return cls(attributes)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002 - signature of the base
        """Everything that belongs to the pipeline."""
        return build_pipeline_defs(self.contract)


class EtlPipelinesComponent(dg.Component):
    """Many short pipelines in one file: `etl_<source>_<destination>`, tagged `etl` and `auto-generated`."""

    def __init__(self, pipelines: EtlPipelines) -> None:
        self.pipelines = pipelines

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The schema of `attributes:`."""
        return EtlPipelines

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """Make the component of checked attributes.

        Raises:
            dagster.DagsterInvalidDefinitionError: when the file has no `attributes:`.
        """
        if not isinstance(attributes, EtlPipelines):
            raise dg.DagsterInvalidDefinitionError(f"{context.path}: needs `attributes:`; see docs/batch.md.")
        return cls(attributes)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002 - signature of the base
        """Everything that belongs to the pipelines."""
        return dg.Definitions.merge(*(build_pipeline_defs(entry.pipeline()) for entry in self.pipelines.pipelines))


def build_pipeline_defs(contract: PipelineContract) -> dg.Definitions:
    """The definitions of one pipeline; the resource `lake` comes from `lakehouse.definitions`."""
    job = build_job(contract)
    schedule = build_schedule(contract, job)
    sensors = [build_catch_up_sensor(contract, job), build_waiting_sensor(contract, job)]
    return dg.Definitions(
        assets=build_steps(contract),
        jobs=[job],
        schedules=[schedule] if schedule is not None else [],
        sensors=[sensor for sensor in sensors if sensor is not None],
    )


def build_job(contract: PipelineContract) -> Any:
    """The job that runs one window of the pipeline; it carries the pipeline's name."""
    keys = [step_key(contract.name, step.name) for _, step in contract.steps()]
    in_parallel = dg.multiprocess_executor.configured({"max_concurrent": contract.parallel_steps})
    return dg.define_asset_job(
        name=contract.name,
        selection=dg.AssetSelection.assets(*keys),
        description=contract.description,
        # Steps of their own processes start slowly: worth it only where several run side by side.
        executor_def=in_parallel if contract.parallel_steps > 1 else dg.in_process_executor,
        tags={PIPELINE_TAG: contract.name, **dict.fromkeys(contract.tags, ""), **resource_tags(contract.resources)},
    )


def resource_tags(resources: Resources) -> dict[str, Any]:
    """Tags by which an instance allots memory and CPU to a run.

    On Kubernetes they become the run's pod; on one machine `infra/dagster/dagster.yaml` counts the large ones.
    """
    asked = {"cpu": resources.cpu, "memory": resources.memory}
    limits = {"requests": asked, "limits": {"memory": resources.memory}}
    large = {MEMORY_TAG: "large"} if resources.is_large else {}
    return {KUBERNETES_TAG: {"container_config": {"resources": limits}}, **large}
