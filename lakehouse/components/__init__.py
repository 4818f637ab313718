"""The component types that a `defs.yaml` may name, and the resource that definitions share. Only re-exports."""

from lakehouse.components.pipeline import EtlPipelinesComponent, PipelineComponent
from lakehouse.components.resources import LakeResource
from lakehouse.components.stream import StreamComponent

__all__ = ["EtlPipelinesComponent", "LakeResource", "PipelineComponent", "StreamComponent"]
