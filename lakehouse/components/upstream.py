"""The systems outside that fill a stream's topic, as assets that Dagster does not make. Here: their specs."""

import dagster as dg

from lakehouse.contracts.model import StreamContract


def upstream_key(contract: StreamContract, name: str) -> dg.AssetKey:
    """Key of a system outside that fills the stream's topic."""
    return dg.AssetKey(["upstream", contract.name, name])


def topic_parents(contract: StreamContract) -> list[dg.AssetKey]:
    """What the topic's records come from directly: systems outside, or the step of a pipeline that reads them."""
    steps = dict.fromkeys(dg.AssetKey(["batch", *source.by.split(".")]) for source in contract.upstream if source.by)
    return [*steps, *(upstream_key(contract, source.name) for source in contract.upstream if not source.by)]


def upstream_specs(contract: StreamContract) -> list[dg.AssetSpec]:
    """The systems outside, one group per family, so that lineage begins where the data do."""
    return [
        dg.AssetSpec(
            key=upstream_key(contract, source.name),
            description=source.description,
            group_name=f"upstream_{source.family}",
            owners=contract.owners,
            kinds={source.family},
            tags={"stream": contract.name},
        )
        for source in contract.upstream
    ]
