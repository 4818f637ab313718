"""A stream's topic, bronze and silver as Dagster assets.

Bronze and silver are one multi-asset, because one loop feeds both: a drain commits a bronze batch and merges it into
silver before it takes the next. The run's tag `lakehouse/mode` decides what the op does:

- `drain` (job `drain_<stream>`, launched by the arrivals sensor): take the day's backlog, report while it runs.
- otherwise (UI, backfill): bronze[D] is verified against the broker and gaps are filled, silver[D] is recomputed.

Both write the stream's tables, so they share one pool, `lake_<stream>`: never two writers from Dagster at once.
Here: specs and the op. Not here: how a batch is committed (`lakehouse.lake`).
"""

import dataclasses
import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg

from lakehouse.components.columns import bronze_schema, silver_lineage, silver_schema
from lakehouse.components.dead_letters import log_rejects
from lakehouse.components.failures import typed_failures
from lakehouse.components.progress_log import ProgressLog
from lakehouse.components.resources import LakeResource
from lakehouse.components.upstream import topic_parents
from lakehouse.components.workers import mark_worker
from lakehouse.contracts.model import StreamContract
from lakehouse.quality.report import profile_markdown

MODE_TAG = "lakehouse/mode"
STREAM_TAG = "lakehouse/stream"
REASON_TAG = "lakehouse/reason"
DRAIN = "drain"
# A Spark server that died is back within seconds; after 14 of them the sensor asks again, with growing pauses.
RETRY = dg.RetryPolicy(max_retries=3, delay=2, backoff=dg.Backoff.EXPONENTIAL)


def topic_key(contract: StreamContract) -> dg.AssetKey:
    """Key of the stream's Kafka topic."""
    return dg.AssetKey(["kafka", contract.topic.name])


def bronze_key(contract: StreamContract) -> dg.AssetKey:
    """Key of the stream's bronze table."""
    return dg.AssetKey(["bronze", contract.name])


def silver_key(contract: StreamContract) -> dg.AssetKey:
    """Key of the stream's silver table."""
    return dg.AssetKey(["silver", contract.name])


def history_key(contract: StreamContract) -> dg.AssetKey:
    """Key of the stream's history table."""
    return dg.AssetKey(["history", contract.name])


def table_keys(contract: StreamContract) -> list[dg.AssetKey]:
    """Keys of the stream's tables: bronze, silver, and the history where one is kept."""
    return [bronze_key(contract), silver_key(contract), *([history_key(contract)] if contract.keeps_history else [])]


def pool(contract: StreamContract) -> str:
    """Concurrency pool of everything that writes the stream's tables."""
    return f"lake_{contract.name}"


def code_version(contract: StreamContract) -> str:
    """Changes when anything in the contract changes."""
    return hashlib.sha256(contract.model_dump_json().encode()).hexdigest()[:12]


def partitions(contract: StreamContract) -> dg.DailyPartitionsDefinition:
    """UTC days from the contract's start up to and including today."""
    return dg.DailyPartitionsDefinition(start_date=contract.start.isoformat(), timezone="UTC", end_offset=1)


def topic_spec(contract: StreamContract) -> dg.AssetSpec:
    """The topic, as an asset that Dagster does not make."""
    topic = contract.topic
    return dg.AssetSpec(
        key=topic_key(contract),
        deps=topic_parents(contract),
        description=f"Kafka topic `{topic.name}`. {contract.description}",
        group_name="sources",
        owners=contract.owners,
        kinds={"kafka"},
        tags={"stream": contract.name},
        metadata={
            "partitions": topic.partitions,
            "retention_hours": topic.retention.total_seconds() / 3600,
            "dead_letters": topic.dlq,
        },
    )


def table_specs(contract: StreamContract) -> list[dg.AssetSpec]:
    """Bronze, silver and, where one is kept, the history."""
    freshness = dg.FreshnessPolicy.time_window(fail_window=contract.freshness.fail, warn_window=contract.freshness.warn)
    common: dict[str, Any] = {
        "owners": contract.owners,
        "kinds": {"spark", "deltalake"},
        "tags": {"stream": contract.name},
        "partitions_def": partitions(contract),
        "freshness_policy": freshness,
        "code_version": code_version(contract),
    }
    bronze = dg.AssetSpec(
        key=bronze_key(contract),
        deps=[topic_key(contract)],
        group_name="bronze",
        description=f"Every record of `{contract.topic.name}` as received, append-only, exactly once. "
        "A partition holds what the broker received on that UTC day.",
        metadata={
            "dagster/column_schema": bronze_schema(),
            "dagster/table_name": f"bronze.{contract.name}",
            "identity": "topic_id, partition, offset",
        },
        **common,
    )
    silver = dg.AssetSpec(
        key=silver_key(contract),
        deps=[bronze.key],
        group_name="silver",
        description=f"{contract.description} Valid, one row per {', '.join(contract.key)}. "
        + (
            "The state of now; whatever day is materialised, the whole table is computed anew."
            if contract.is_cdc
            else "A partition holds the events that happened on that UTC day."
        ),
        metadata={
            "dagster/column_schema": silver_schema(contract),
            "dagster/column_lineage": silver_lineage(contract, bronze.key),
            "dagster/table_name": f"silver.{contract.name}",
            "key": ", ".join(contract.key),
            "mode": contract.mode,
        },
        **common,
    )
    return [bronze, silver, *([_history_spec(contract, common)] if contract.keeps_history else [])]


def _history_spec(contract: StreamContract, common: dict[str, Any]) -> dg.AssetSpec:
    return dg.AssetSpec(
        key=history_key(contract),
        deps=[bronze_key(contract)],
        group_name="silver",
        description=f"Every version of every row of `{contract.name}`: valid_from, valid_to, is_current where "
        f"is_version. A version begins when {', '.join(contract.tracked)} changes. Written before silver's merge.",
        metadata={"dagster/table_name": f"history.{contract.name}", "key": ", ".join(contract.key)},
        **common,
    )


def build_tables(contract: StreamContract) -> dg.AssetsDefinition:
    """The multi-asset that fills bronze and silver; see the module's first lines for its two modes."""

    @dg.multi_asset(
        name=f"load_{contract.name}",
        specs=table_specs(contract),
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
        retry_policy=RETRY,
        pool=pool(contract),
    )
    def load(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[dg.MaterializeResult[Any]]:
        days = [date.fromisoformat(key) for key in context.partition_keys]
        with typed_failures(context):
            if context.run.tags.get(MODE_TAG) == DRAIN:
                mark_worker(context.instance, context.run_id, {})
                for day in days:
                    _drain_day(context, lake, contract, day)
            else:
                _materialise(context, lake, contract, days)
        for key in _selected(context, contract):
            yield dg.MaterializeResult(asset_key=key)

    return load


def _selected(context: dg.AssetExecutionContext, contract: StreamContract) -> list[dg.AssetKey]:
    return [key for key in table_keys(contract) if key in context.selected_asset_keys]


def _drain_day(context: dg.AssetExecutionContext, lake: LakeResource, contract: StreamContract, day: date) -> None:
    """Drain one arrival day; what was committed is logged even when the drain stops with an error."""
    keys = {"bronze": bronze_key(contract), "silver": silver_key(contract)}
    common = {"silver": _schema_metadata(contract)}
    progress = ProgressLog(
        context.log_event, keys, first=contract.start, last=lambda: datetime.now(tz=UTC).date(), common=common
    )
    try:
        summary = lake.drain(contract, day=day, report=progress)
    except BaseException:
        progress.flush()
        raise
    for warning in summary.warnings:
        context.log.warning(warning)
    progress.flush(without=day)
    log_rejects(context, contract, day, summary.rejected, progress.broken)
    context.instance.add_run_tags(context.run_id, {REASON_TAG: summary.reason})
    totals = {"bronze": summary.bronze_rows, "silver": summary.silver_rows}
    for layer, key in keys.items():
        metadata: dict[str, Any] = {
            **common.get(layer, {}),
            **progress.rest(layer, day),
            "run_rows": totals[layer],
            "run_batches": summary.batches,
            "run_seconds": round(summary.seconds, 3),
            "ended_because": summary.reason,
        }
        if layer == "silver":
            metadata |= {"run_rejected": summary.rejected, "rows_outside_partitions": progress.outside}
            metadata |= {"broken_rules": dg.MetadataValue.json(progress.broken)} if progress.broken else {}
            metadata |= profile_metadata(lake, contract, day) if summary.silver_rows else {}
        context.add_asset_metadata(metadata, asset_key=key, partition_key=day.isoformat())
    context.log.info(
        "%s %s: %d batches, %d rows to bronze, %d to silver, %d rejected, %.1f s; ended because: %s.",
        contract.name,
        day,
        summary.batches,
        summary.bronze_rows,
        summary.silver_rows,
        summary.rejected,
        summary.seconds,
        summary.reason,
    )


def _materialise(
    context: dg.AssetExecutionContext, lake: LakeResource, contract: StreamContract, days: list[date]
) -> None:
    """Verify bronze days, recompute silver days, each with its own figures."""

    def note(key: dg.AssetKey, day: date, report: Any) -> None:
        context.add_asset_metadata(figures(report), asset_key=key, partition_key=day.isoformat())

    selected = _selected(context, contract)
    if bronze_key(contract) in selected:
        for day in days:
            note(bronze_key(contract), day, lake.verify_bronze_day(contract, day))
            context.log.info("bronze.%s %s: compared with the broker.", contract.name, day)
    if {silver_key(contract), history_key(contract)} & set(selected):
        reports = lake.rebuild_silver(
            contract, days, lambda report: context.log.info("silver.%s %s: %s", contract.name, report.day, report.note)
        )
        for report in reports if silver_key(contract) in selected else []:
            note(silver_key(contract), report.day, report)
            context.add_asset_metadata(
                _schema_metadata(contract) | profile_metadata(lake, contract, report.day),
                asset_key=silver_key(contract),
                partition_key=report.day.isoformat(),
            )


def _schema_metadata(contract: StreamContract) -> dict[str, Any]:
    """Silver's columns in this event: what a check compares with the event before."""
    return {"dagster/column_schema": silver_schema(contract)}


def profile_metadata(lake: LakeResource, contract: StreamContract, day: date) -> dict[str, Any]:
    """The profile of one event date: a table with plots for people, nulls and medians as numbers that Dagster plots."""
    columns = lake.profile(contract, [day])
    if not columns:
        return {}
    metadata: dict[str, Any] = {"profile": dg.MetadataValue.md(profile_markdown(columns))}
    for column in columns:
        if column.nulls:
            metadata[f"nulls_{column.name}"] = column.nulls
        if column.histogram:
            metadata[f"median_{column.name}"] = column.quantiles[0.5]
    return metadata


def figures(report: Any) -> dict[str, Any]:
    """A report's fields as metadata: numbers and texts as they are, mappings as JSON, nothing for what is empty."""
    metadata: dict[str, Any] = {}
    for name, value in dataclasses.asdict(report).items():
        if isinstance(value, bool | int | str):
            metadata[name] = value
        elif isinstance(value, float):
            metadata[name] = round(value, 3)
        elif isinstance(value, dict | list) and value:
            metadata[name] = dg.MetadataValue.json(value)
    return metadata
