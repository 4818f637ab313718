"""A stream's dead letters as assets: the bronze table of rejected records, and the topic that is filled from it.

Here: their specs, and the event that says how many a run rejected. Not here: who writes them (`lake.quarantine`).
Dagster does not make them by themselves, because a record is rejected in the step that judges it.
"""

from datetime import date
from typing import Any

import dagster as dg

from lakehouse.contracts.model import StreamContract

# Of their own: between topics and bronze they would make the graph of groups go round in circles.
_GROUP = "dead_letters"


def dead_letters_key(contract: StreamContract) -> dg.AssetKey:
    """Key of the table over the stream's dead letters."""
    return dg.AssetKey(["quarantine", contract.name])


def dead_letter_specs(
    contract: StreamContract, bronze: dg.AssetKey, days: dg.PartitionsDefinition
) -> list[dg.AssetSpec]:
    """The table of dead letters, by arrival day as bronze is, and their topic."""
    topic = contract.topic
    common: dict[str, Any] = {"owners": contract.owners, "tags": {"stream": contract.name}}
    table = dg.AssetSpec(
        key=dead_letters_key(contract), deps=[bronze], group_name=_GROUP, kinds={"spark", "deltalake"},
        partitions_def=days,
        description=f"Dead letters of `{topic.name}`, each once: raw key and value, every reason, and `record`, "
        "the JSON with original_record, error_type, error_message, timestamp, context, retry_count. "
        "A partition holds what the broker received on that UTC day.",
        metadata={"dagster/table_name": f"quarantine.{contract.name}", "identity": "topic_id, partition, offset"},
        **common,
    )  # fmt: skip
    letters = dg.AssetSpec(
        key=dg.AssetKey(["kafka", topic.dlq]), deps=[table.key], group_name=_GROUP, kinds={"kafka"},
        description=f"Kafka topic `{topic.dlq}`: the same dead letters, at least once, for whoever wants to react. "
        "`lakehouse dlq list` reads it.",
        **common,
    )  # fmt: skip
    return [table, letters]


def log_rejects(
    context: dg.AssetExecutionContext, contract: StreamContract, day: date, rejected: int, by_rule: dict[str, int]
) -> None:
    """Say in the table's history how many dead letters a run added; nothing when there were none."""
    if rejected:
        metadata: dict[str, Any] = {"rows": rejected}
        metadata |= {"broken_rules": dg.MetadataValue.json(by_rule)} if by_rule else {}
        context.log_event(
            dg.AssetMaterialization(dead_letters_key(contract), partition=day.isoformat(), metadata=metadata)
        )
