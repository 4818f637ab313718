"""Where a record came from and where it went: Kafka, bronze, the rules, silver, gold, and back from a mart.

Here: putting the parts of the answer together. Not here: the parts (`lake.traces`), printing (`cli.trace`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.spark import connect, expect_rows, spark_errors
from lakehouse.lake.decisions import discarded
from lakehouse.lake.ledger import Commit, last_plan, merged_through
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.plan import Plan
from lakehouse.lake.schema.retained import deleted
from lakehouse.lake.traces import gold
from lakehouse.lake.traces.answer import (
    CellTrace,
    GoldPart,
    NotFoundError,
    Origin,
    SilverRow,
    State,
    Trace,
    Version,
    shown,
    shown_raw,
)
from lakehouse.lake.traces.origin import absent, broker_state, locate, on_broker, retention_note
from lakehouse.lake.traces.verdict import Examined, decoded, examine
from lakehouse.lake.traces.versions import silver_row, truncate_row, versions_of
from lakehouse.lake.traces.words import (
    LAST_TRUNCATE,
    VERIFY,
    beaten,
    earlier_truncate,
    not_merged,
    why_quarantined,
)
from lakehouse.quality.rules import quote
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def trace_record(
    contract: StreamContract, settings: Settings, partition: int, offset: int, *, show_pii: bool = False
) -> Trace:
    """Trace the record at one place of the topic; of the newest generation that has it.

    Raises:
        NotFoundError: bronze has no such record; says why.
        SparkUnreachableError: the question could not be asked.
    """
    with _session(settings) as spark:
        return _Tracer(spark, contract, settings, show_pii).record(partition, offset)


def trace_key(
    contract: StreamContract, settings: Settings, key: Sequence[str], day: date | None, *, show_pii: bool = False
) -> Trace:
    """Trace the strongest record of a business key: silver's row, or the last record when silver has none.

    Args:
        contract: The stream.
        settings: The lake.
        key: A text per key field.
        day: Only this event date; without it, the newest one.
        show_pii: Show personal fields and raw content.

    Raises:
        NotFoundError: bronze has no record with this key.
        SparkUnreachableError: the question could not be asked.
    """
    with _session(settings) as spark:
        return _Tracer(spark, contract, settings, show_pii).key(key, day)


def trace_cell(
    contract: StreamContract, settings: Settings, *, table: str, where: str, limit: int, show_pii: bool = False
) -> CellTrace:
    """The records behind rows of a mart. Raises as `traces.gold.rows_behind`."""
    with _session(settings) as spark:
        return gold.rows_behind(spark, contract, settings, table=table, where=where, limit=limit, show_pii=show_pii)


@contextmanager
def _session(settings: Settings) -> "Iterator[SparkSession]":
    spark = connect(settings.spark_remote)
    try:
        with spark_errors():
            yield spark
    finally:
        spark.stop()


class _Tracer:
    def __init__(self, spark: "SparkSession", contract: StreamContract, settings: Settings, show_pii: bool) -> None:
        self._spark = spark
        self._contract = contract
        self._settings = settings
        self._show_pii = show_pii
        self._paths = LakePaths.of(settings)
        known = last_plan(self._paths.bronze(contract.name))
        if known is None:
            raise NotFoundError(f"Stream {contract.name} has no bronze yet.", fix=f"lakehouse drain {contract.name}")
        self._newest = known[0]
        self._through = merged_through(self._paths.silver(contract.name))

    def record(self, partition: int, offset: int) -> Trace:
        origin, row = self._origin(partition, offset)
        versions = [] if row.key is None else self._versions(row.key, row.fields["event_date"])
        return self._answer(origin, row, versions)

    def key(self, key: Sequence[str], day: date | None) -> Trace:
        versions = [v for v in self._versions(key, day) if day is None or v.event_date in (day, None)]
        if not versions:
            named = ", ".join(f"{name} {text!r}" for name, text in zip(self._contract.key, key, strict=True))
            when = f" on {day}" if day else ""
            raise NotFoundError(
                f"No record of stream {self._contract.name} has {named}{when}.",
                why=f"Bronze was read through batch {self._newest.batch}"
                f"{retention_note(deleted(self._paths.bronze(self._contract.name)))}.",
            )
        best = versions[0]
        origin, row = self._origin(best.partition, best.offset, best.topic_id)
        return self._answer(origin, row, versions)

    def _versions(self, key: Sequence[str], day: date | None) -> list[Version]:
        expect_rows(self._spark, self._newest.offsets_read)
        return versions_of(
            self._spark,
            self._contract,
            self._paths,
            key=key,
            day=day,
            generations=self._newest.generations,
            through=self._through,
        )

    def _origin(self, partition: int, offset: int, topic_id: str | None = None) -> tuple[Origin, Examined]:
        """The record's bronze row, judged, and how it got there.

        Raises:
            NotFoundError: bronze has no such row.
        """
        path = self._paths.bronze(self._contract.name)
        located = locate(path, partition, offset)
        if located is None:
            raise AssertionError("bronze has a plan")
        hits = [hit for hit in located.hits if topic_id in (None, hit[0].topic_id)]
        if not hits and located.is_whole:
            raise absent(self._contract, self._settings, located, partition, offset)
        # When the log no longer reaches back to the batch, the table is asked without knowing its day.
        plan, commit = hits[0] if hits else (None, None)
        expect_rows(self._spark, 1)
        rows = self._spark.read.format("delta").load(path).where(f"partition = {partition} AND offset = {offset}")
        if plan is not None:
            rows = rows.where(f"arrival_date = DATE'{plan.day}' AND batch = {plan.batch}")
        elif topic_id is not None:
            rows = rows.where(f"topic_id = {quote(topic_id)}")
        found = sorted(examine(rows, self._contract, self._paths), key=lambda row: int(row.bronze["batch"]))
        if not found:
            raise absent(self._contract, self._settings, located, partition, offset)
        row = found[-1]
        others = [hit[0].topic_id for hit in located.hits if hit[0].topic_id != row.bronze["topic_id"]]
        return self._described(row, plan, commit, others), row

    def _described(self, row: Examined, plan: Plan | None, commit: Commit | None, others: list[str]) -> Origin:
        raw, generations = row.bronze, self._newest.generations
        key, value, encoding = decoded(raw["key"], raw["value"])
        state = broker_state(self._contract, self._settings)
        return Origin(
            topic=self._contract.topic.name,
            topic_id=raw["topic_id"],
            generation=generations.index(raw["topic_id"]),
            partition=raw["partition"],
            offset=raw["offset"],
            timestamp=raw["timestamp"],
            arrival_date=raw["arrival_date"],
            batch=raw["batch"] if plan is None else plan.batch,
            delta_version=commit.version if commit else None,
            committed_at=commit.committed_at if commit else None,
            on_broker=on_broker(state, raw["topic_id"], raw["partition"], raw["offset"]),
            key=shown_raw(self._contract, key, show_pii=self._show_pii),
            value=shown_raw(self._contract, value, show_pii=self._show_pii),
            encoding=encoding,
            value_bytes=None if raw["value"] is None else len(raw["value"]),
            other_generations=[generations.index(topic_id) for topic_id in others],
        )

    def _answer(self, origin: Origin, row: Examined, versions: list[Version]) -> Trace:
        expect_rows(self._spark, 1)
        day = row.fields["event_date"]
        held = None
        part = GoldPart(None, False, "it is not in silver")
        if row.key is not None and day is not None:
            held = silver_row(self._spark, self._contract, self._paths, row.key, day)
        elif row.is_truncate:
            held = truncate_row(self._spark, self._contract, self._paths)
        state, why = self._state(origin, row, versions, held)
        if held is not None and row.key is not None:
            part = gold.marts_of(self._spark, self._contract, self._settings, row.key, held, show_pii=self._show_pii)
            visible = shown(self._contract, held.row, show_pii=self._show_pii)
            held = SilverRow(held.delta_version, held.committed_at, held.through, visible)
        return Trace(
            stream=self._contract.name,
            record=origin,
            fields=shown(self._contract, row.fields, show_pii=self._show_pii),
            rules=row.rules,
            state=state,
            reasons=row.broken,
            why=why,
            silver=held,
            versions=versions,
            gold=part,
        )

    def _state(
        self, origin: Origin, row: Examined, versions: list[Version], held: SilverRow | None
    ) -> tuple[State, str]:
        """What became of the record, by silver and quarantine themselves, and why in words."""
        if origin.batch > self._through:
            return "not_merged", not_merged(origin, row, self._through)
        is_held = held is not None and _place(held) == _identity(origin)
        reasons = None if is_held else self._reasons_recorded(origin)
        if reasons is not None:
            decision = discarded(self._paths, self._contract.name).get("/".join(map(str, _identity(origin))))
            return "quarantined", why_quarantined(reasons, row.broken, decision)
        if is_held and row.broken:
            return (
                "in_silver",
                f"silver has it, though it breaks {', '.join(row.broken)} today; {VERIFY} {self._contract.name}",
            )
        if row.broken:
            return "quarantined", f"quarantine lacks it; {VERIFY} {self._contract.name}"
        if held is None:
            return "not_merged", f"silver lacks it; {VERIFY} {self._contract.name}"
        if row.is_truncate:
            return ("in_silver", LAST_TRUNCATE) if is_held else ("beaten", earlier_truncate(held))
        if is_held:
            gone = ", and says that the row was deleted" if held.row.get("_deleted") else ""
            return "in_silver", f"it is the strongest record of its key{gone}"
        mine = next((v for v in versions if (v.topic_id, v.partition, v.offset) == _identity(origin)), None)
        return "beaten", beaten(self._contract, held, mine.beaten_by if mine is not None else "")

    def _reasons_recorded(self, origin: Origin) -> list[str] | None:
        """The reasons that quarantine has for the record; None when it is not there."""
        table = self._spark.read.format("delta").load(self._paths.quarantine(self._contract.name))
        recorded = (
            table.where(f"arrival_date = DATE'{origin.arrival_date}' AND batch = {origin.batch}")
            .where(f"partition = {origin.partition} AND offset = {origin.offset}")
            .where(f"topic_id = {quote(origin.topic_id)}")
            .select("reasons")
            .collect()
        )
        return list(recorded[0]["reasons"]) if recorded else None


def _place(held: SilverRow) -> tuple[str, int, int]:
    return held.row["_topic_id"], held.row["_partition"], held.row["_offset"]


def _identity(origin: Origin) -> tuple[str, int, int]:
    return origin.topic_id, origin.partition, origin.offset
