"""Replay: quarantined records judged again by the contract of today; what passes goes to silver, once.

Here: one replay of one stream. Not here: sending corrected records (`lake.rejects.resend`), rows of silver that the
contract of today would reject (`lake.rebuild.backfill`).
"""

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.crash import crash_point
from lakehouse.engine.spark import MANY_ROWS, connect, expect_rows, materialised, spark_errors
from lakehouse.errors import QualityStopError
from lakehouse.kafka.dead_letters import Postman, Rejected
from lakehouse.lake.decisions import current_user, judge_as_decided
from lakehouse.lake.events import Fact, write_facts
from lakehouse.lake.guards.conflicts import again_after_conflict
from lakehouse.lake.guards.durable import settled
from lakehouse.lake.guards.identity import require_lake
from lakehouse.lake.guards.locks import exclusive, silver_lock
from lakehouse.lake.history import bring_in
from lakehouse.lake.ledger import last_plan, merged_through
from lakehouse.lake.log.metadata import commits_say
from lakehouse.lake.merge.adopt import adopt
from lakehouse.lake.merge.staged import stage, staging
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.lake.rejects.outcome import (
    KEPT,
    RELEASED,
    REWRITTEN,
    Choice,
    Found,
    Misplaced,
    ReplayReport,
    count_fates,
)
from lakehouse.lake.schema.tables import ensure_tables
from lakehouse.quality.rules import date_list
from lakehouse.settings import Settings
from lakehouse.transforms.events import current_rows, slim, valid_rows
from lakehouse.transforms.rejects import as_quarantine

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_LOCK_SECONDS = 900.0
_SOURCE = "replayed"
_IDENTITY = ("topic_id", "partition", "offset")


def replay(contract: StreamContract, settings: Settings, choice: Choice, *, dry_run: bool = False) -> ReplayReport:
    """Judge quarantined records again and bring silver and quarantine to what the contract of today says of them.

    Three steps, each harmless when done again, so that a killed replay is finished by the same command:

    1. The rows that pass are merged into silver; order decides, so the second time changes nothing.
    2. Their dead letters are marked as released: at least once, as all that goes to that topic.
    3. One commit takes them out of quarantine and gives the others their reasons of today, by identity.

    Quarantine forgets a record last: while it is there, the next replay finds it. The lock of silver's writers is held
    throughout. A replay that lost it (asleep while another host went on) does no harm either: its rows win in silver
    only against earlier ones, and what it takes out of quarantine is in silver by then. Silver's ledger stays as it is:
    the commits carry kinds of their own.

    Records of a step that silver has not finished are left to the drain.

    Raises:
        QualityStopError: a record that passes breaks a rule of severity fail; nothing was changed.
        SchemaIncompatibleError: silver cannot follow the contract of today; nothing was changed.
        BatchConflictError: other writers were faster six times.
        SparkUnreachableError: Spark went away; run the same command again.
    """
    began = time.monotonic()
    require_lake(settings)
    paths = LakePaths.of(settings)
    if not table_exists(paths.quarantine(contract.name)):
        return ReplayReport(contract.name)
    spark = connect(settings.spark_remote)
    try:
        with exclusive(silver_lock(settings, contract.name), _LOCK_SECONDS), spark_errors():
            if not dry_run:
                ensure_tables(spark, contract, paths)
            report = _Replay(spark, contract, settings).run(choice, dry_run=dry_run)
        with spark_errors():
            misplaced = _misplaced(spark, contract, paths)
    finally:
        spark.stop()
    done = replace(report, misplaced=misplaced, seconds=time.monotonic() - began)
    if not dry_run and done.released + done.rewritten:
        write_facts(paths, [_fact(done, choice)])
    return done


class _Replay:
    def __init__(self, spark: "SparkSession", contract: StreamContract, settings: Settings) -> None:
        self._spark = spark
        self._contract = contract
        self._settings = settings
        self._paths = LakePaths.of(settings)

    @again_after_conflict
    def run(self, choice: Choice, *, dry_run: bool) -> ReplayReport:
        stream = self._contract.name
        with spark_errors():
            judged = self._judged(choice)
            if judged is None:
                return ReplayReport(stream)
            found = count_fates(judged)
            self._require_quality(found)
            changed = 0
            if not dry_run:
                # Silver has it on the disk before quarantine forgets it.
                with settled(self._settings, self._paths.silver(stream)):
                    changed = self._to_silver(judged, found)
                crash_point("replay_after_silver")
                self._mark_letters(judged, found)
                crash_point("replay_after_letters")
                with settled(self._settings, self._paths.quarantine(stream)):
                    self._out_of_quarantine(judged, found)
                crash_point("replay_after_quarantine")
        fates = found.by_fate
        return ReplayReport(
            stream=stream,
            judged=fates.total(),
            released=fates[RELEASED],
            silver_rows=changed,
            rewritten=fates[REWRITTEN],
            kept=fates[KEPT],
            reasons=dict(found.reasons.most_common()),
        )

    def _judged(self, choice: Choice) -> "DataFrame | None":
        """The chosen records, judged anew, each with its `_fate`; None when there are none."""
        stream = self._contract.name
        newest = last_plan(self._paths.bronze(stream))
        through = merged_through(self._paths.silver(stream))
        quarantine = self._spark.read.format("delta").load(self._paths.quarantine(stream))
        chosen = quarantine.where(f"batch <= {through} AND {choice.condition()}")
        days = {row["arrival_date"]: row["count"] for row in chosen.groupBy("arrival_date").count().collect()}
        if newest is None or not days:
            return None
        expect_rows(self._spark, sum(days.values()))
        bronze = (
            self._spark.read.format("delta")
            .load(self._paths.bronze(stream))
            .where(f"arrival_date IN ({date_list(sorted(days))}) AND {choice.of_records()}")
            .join(chosen.select(*_IDENTITY), list(_IDENTITY), "left_semi")
        )
        judged = slim(judge_as_decided(bronze, self._contract, newest[0].generations, self._paths), self._contract)
        before = chosen.selectExpr(
            *(f"{name} AS _{name}" for name in _IDENTITY),
            "key AS _key_before",
            "record AS _record_before",
            "array_join(reasons, ',') AS _reasons_before",
        )
        fate = (
            f"CASE WHEN _broken = '' THEN '{RELEASED}' WHEN _broken = _reasons_before THEN '{KEPT}' "
            f"ELSE '{REWRITTEN}' END AS _fate"
        )
        return materialised(judged.join(before, [f"_{name}" for name in _IDENTITY]).selectExpr("*", fate))

    def _require_quality(self, found: Found) -> None:
        if found.failed:
            broken = ", ".join(f"{rule} ({rows} rows)" for rule, rows in sorted(found.failed.items()))
            raise QualityStopError(
                f"Stream {self._contract.name}: records to be released break rules of severity fail: {broken}.",
                why="Such rows must not reach silver. Silver and quarantine are unchanged.",
                fix="See docs/runbooks/QUALITY_STOP.md, or replay others: --reason, or single records.",
            )

    def _to_silver(self, judged: "DataFrame", found: Found) -> int:
        if not found.by_fate[RELEASED]:
            return 0
        released = judged.where(f"_fate = '{RELEASED}'")
        if self._contract.keeps_history:
            rows = valid_rows(released, self._contract)
            bring_in(rows, self._contract, self._paths.history(self._contract.name), through=None)
        metadata = {"kind": "replay", "stream": self._contract.name, "released": found.by_fate[RELEASED]}
        with staging(self._contract, self._paths.silver(self._contract.name)) as staged:
            stage(released, staged, few=found.by_fate[RELEASED] < MANY_ROWS)
            done = adopt(staged, found.event_dates, metadata)
        return done.inserted + done.updated

    def _mark_letters(self, judged: "DataFrame", found: Found) -> None:
        """Say on the dead-letter topic that these records need no more care."""
        if not found.by_fate[RELEASED]:
            return
        identity = ", '/', ".join(f"_{name}" for name in _IDENTITY)
        released = judged.where(f"_fate = '{RELEASED}'").selectExpr(
            f"concat({identity}) AS id", "_key_before AS key", "_record_before AS record"
        )
        letters = (
            Rejected(row["id"], None if row["key"] is None else bytes(row["key"]), row["record"])
            for row in released.toLocalIterator()
        )
        Postman(self._settings, self._contract.topic.name, self._contract.topic.dlq).post(letters, state=RELEASED)

    def _out_of_quarantine(self, judged: "DataFrame", found: Found) -> None:
        if not found.by_fate[RELEASED] + found.by_fate[REWRITTEN]:
            return
        changed = judged.where(f"_fate != '{KEPT}'")
        days = [row[0] for row in changed.select("arrival_date").distinct().collect()]
        # A record without a broken rule has one reason, the empty one: it is released.
        as_quarantine(changed, self._contract).createOrReplaceTempView(_SOURCE)
        same = " AND ".join(f"t.{name} = s.{name}" for name in ("arrival_date", *_IDENTITY))
        rewritten = ", ".join(f"{name} = s.{name}" for name in ("reasons", "error_type", "error_message", "record"))
        metadata = {
            "kind": "replay",
            "stream": self._contract.name,
            "released": found.by_fate[RELEASED],
            "rewritten": found.by_fate[REWRITTEN],
        }
        with commits_say(self._spark, metadata):
            self._spark.sql(
                f"MERGE INTO delta.`{self._paths.quarantine(self._contract.name)}` t USING {_SOURCE} s "
                f"ON t.arrival_date IN ({date_list(sorted(days))}) AND {same} "
                f"WHEN MATCHED AND s.reasons = array('') THEN DELETE WHEN MATCHED THEN UPDATE SET {rewritten}"
            ).collect()


def _misplaced(spark: "SparkSession", contract: StreamContract, paths: LakePaths) -> Misplaced | None:
    rules = [f"coalesce({rule.sql}, false)" for rule in contract.rules if rule.severity == "error"]
    path = paths.silver(contract.name)
    if not rules or not table_exists(path):
        return None
    held = current_rows(spark.read.format("delta").load(path), contract)
    broken = held.where(f"NOT ({' AND '.join(rules)})")
    row = broken.selectExpr("count(*) AS rows", "min(event_date) AS first", "max(event_date) AS last").collect()[0]
    return Misplaced(row["rows"], row["first"], row["last"]) if row["rows"] else None


def _fact(report: ReplayReport, choice: Choice) -> Fact:
    details: dict[str, Any] = {
        "who": current_user(),
        "released": report.released,
        "rewritten": report.rewritten,
        "kept": report.kept,
        "reason": choice.reason,
        "records": [f"{name.partition}:{name.offset}" for name in choice.names],
    }
    return Fact(
        report.stream,
        "silver",
        "replay",
        rows=report.silver_rows,
        rejected=report.rewritten + report.kept,
        seconds=report.seconds,
        details=details,
    )
