"""The systems outside that fill a stream's topic, as assets that Dagster does not make. Here: their specs."""

import dagster as dg

from lakehouse.contracts.model import StreamContract


def upstream_key(contract: StreamContract, name: str) -> dg.AssetKey:
    """Key of a system outside that fills the stream's topic."""
    return dg.AssetKey(["upstream", contract.name, name])


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
