"""Kappa replay: silver and quarantine computed anew from bronze beside the live tables, then put in their place.

Here: the second pair of tables, catching up, the comparison, the swap. Not here: judging and merging (`lake.silver`),
single days (`lake.rebuild.backfill`). The stream goes on meanwhile; only the last steps and the swap hold its lock.
Every part can be killed and repeated: the second pair knows from its own log how far it is, and swapping twice is
swapping once.
"""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.crash import crash_point
from lakehouse.engine.spark import connect, spark_errors
from lakehouse.errors import UsageError
from lakehouse.lake import history
from lakehouse.lake.events import Fact, write_facts
from lakehouse.lake.guards.conflicts import again_after_conflict
from lakehouse.lake.guards.durable import settle
from lakehouse.lake.guards.identity import require_lake
from lakehouse.lake.guards.locks import exclusive, lake_lock, silver_lock
from lakehouse.lake.ledger import commits, current_version, merged_through, plans
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.proofs.compare import differing, fingerprints
from lakehouse.lake.proofs.damage import require_sound
from lakehouse.lake.rejects.outcome import Choice
from lakehouse.lake.rejects.replay import replay as release
from lakehouse.lake.schema.retained import closed_before
from lakehouse.lake.schema.tables import ensure_tables
from lakehouse.lake.silver import SilverWriter
from lakehouse.lake.steps import Steps
from lakehouse.settings import Settings
from lakehouse.transforms.events import silver_columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_LOCK_SECONDS = 900.0


@dataclass(frozen=True)
class ReplayReport:
    """What a replay did.

    Attributes:
        stream: Its name.
        since: First event date that was replaced; None: all.
        through: Last bronze batch that the new silver holds.
        rows: Rows of the new silver in the replaced dates.
        changed: Event dates (ISO) on which new and old silver differ.
        version_before: Silver's version before the swap, for time travel.
        version: Silver's version of the swap.
        seconds: How long it took.
    """

    stream: str
    since: date | None
    through: int
    rows: int
    changed: list[str]
    version_before: int
    version: int
    seconds: float


def replay(
    contract: StreamContract,
    settings: Settings,
    since: datetime | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> ReplayReport:
    """Rebuild silver of event dates from `since` on (None: all) from bronze alone, and swap it in.

    Raises:
        UsageError: an unfinished replay of other dates or another contract is there, dates are named for a `cdc`
            stream, or bronze no longer holds all records of the dates.
        LockBusyError: another replay of the stream is running.
        Stop: as `lake.silver.SilverWriter.merge`; the same command goes on where it stopped.
    """
    began = time.monotonic()
    if contract.is_cdc and since is not None:
        raise UsageError(
            f"Stream {contract.name} can only be replayed as a whole.",
            why="It keeps the current row of each key, and the date of such a row moves.",
            fix=f"lakehouse replay {contract.name}",
        )
    require_lake(settings)
    with exclusive(_replay_lock(contract, settings), 0):
        return _rebuilt(contract, settings, since, say, began)


def _rebuilt(
    contract: StreamContract, settings: Settings, since: datetime | None, say: Callable[[str], None], began: float
) -> ReplayReport:
    paths = LakePaths.of(settings)
    require_sound(contract.name, paths)
    day = None if since is None else since.astimezone(UTC).date()
    _require_in_bronze(contract, paths, day)
    _require_same(contract, paths, day)
    if day is not None:
        # Rejects of all dates are replaced. Of those that pass today some belong to dates that stay as they are.
        release(contract, settings, Choice())
    spark = connect(settings.spark_remote)
    try:
        with exclusive(silver_lock(settings, contract.name), _LOCK_SECONDS):
            ensure_tables(spark, contract, paths)
        # The history is made anew in its place, once silver is swapped.
        ensure_tables(spark, contract.model_copy(update={"history": "none"}), paths.beside)
        work = _Replay(contract, settings, spark, day)
        work.catch_up(say)
        with exclusive(silver_lock(settings, contract.name), _LOCK_SECONDS):
            work.catch_up(say)
            say("comparing and swapping")
            report = work.swap(began)
    finally:
        spark.stop()
    _remove(contract, settings)
    details = {"since": str(day), "changed": report.changed, "version_before": report.version_before}
    fact = Fact(contract.name, "silver", "kappa", report.through, report.rows, 0, report.seconds, 0, details)
    write_facts(paths, [fact])
    return report


def abort(contract: StreamContract, settings: Settings) -> bool:
    """Remove the second pair of tables of a replay; the live ones are untouched. False when there was none.

    Raises:
        LockBusyError: a replay of the stream is running.
    """
    with exclusive(_replay_lock(contract, settings), 0):
        return _remove(contract, settings)


def _replay_lock(contract: StreamContract, settings: Settings) -> Path:
    return lake_lock(settings, f"replay-{contract.name}")


def _remove(contract: StreamContract, settings: Settings) -> bool:
    home = _home(contract, LakePaths.of(settings))
    if not home.exists():
        return False
    shutil.rmtree(home)
    return True


def _home(contract: StreamContract, paths: LakePaths) -> Path:
    return Path(paths.beside.silver(contract.name)).parent


def _require_in_bronze(contract: StreamContract, paths: LakePaths, day: date | None) -> None:
    """What retention deleted from bronze cannot be computed from bronze."""
    closed = closed_before(contract, paths)
    if closed is not None and (day is None or day < closed):
        raise UsageError(
            f"Silver of stream {contract.name} can be replayed from {closed} on.",
            why="Retention deleted older records from bronze; silver keeps what was made of them.",
            fix=f"lakehouse replay {contract.name} --from {closed}",
        )


def _require_same(contract: StreamContract, paths: LakePaths, day: date | None) -> None:
    """An unfinished replay goes on only when it is this one."""
    note = _home(contract, paths) / "replay.json"
    mine = {"since": None if day is None else day.isoformat(), "contract": contract.model_dump(mode="json")}
    if note.is_file():
        if json.loads(note.read_text(encoding="utf-8")) != json.loads(json.dumps(mine)):
            raise UsageError(
                f"An unfinished replay of stream {contract.name} began with other dates or another contract.",
                fix=f"Give it up first: lakehouse replay {contract.name} --abort",
            )
        return
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(mine), encoding="utf-8")


class _Replay:
    def __init__(self, contract: StreamContract, settings: Settings, spark: "SparkSession", day: date | None) -> None:
        self._contract = contract
        self._settings = settings
        self._spark = spark
        self._day = day
        self._live = LakePaths.of(settings)
        self._new = self._live.beside
        self._first = _first_batch(self._live.bronze(contract.name), contract, day)
        self._writer = SilverWriter(
            contract.model_copy(update={"history": "none"}),
            settings,
            spark,
            paths=self._new,
            first_batch=self._first,
            last_batch=lambda: self._target,
            send_dead_letters=False,
        )

    def catch_up(self, say: Callable[[str], None]) -> None:
        """Take every batch that live silver has."""
        with Steps(self._writer, self._settings.max_batch_rows) as steps:
            while merged_through(self._new.silver(self._contract.name)) < self._target:
                done = steps.merge_next()
                if done is None:
                    return
                crash_point("kappa_after_step")
                say(f"replayed through batch {done.batch} of {self._target}")

    @property
    def _target(self) -> int:
        return merged_through(self._live.silver(self._contract.name))

    def swap(self, began: float) -> ReplayReport:
        """Put the new rows in the place of the old ones: one commit of silver, then one of quarantine."""
        name = self._contract.name
        before = current_version(self._live.silver(name)) or 0
        through = merged_through(self._new.silver(name))
        where = "true" if self._day is None else f"event_date >= DATE'{self._day}'"
        with spark_errors():
            rows, changed = self._compare(where)
            self._overwrite("silver", where, through, self._new_rows("silver"))
            crash_point("kappa_after_silver")
            self._overwrite("quarantine", f"batch >= {self._first}", through, self._new_rejects())
            if self._contract.keeps_history:
                kept = history.held_through(self._live.history(name))
                history.rebuild(self._spark, self._contract, self._live, max(self._target, kept))
        version = current_version(self._live.silver(name)) or 0
        return ReplayReport(name, self._day, through, rows, changed, before, version, time.monotonic() - began)

    def _compare(self, where: str) -> tuple[int, list[str]]:
        """Rows of the new silver, and the dates on which it differs from the live one."""
        found = fingerprints(
            {
                name: (
                    self._spark.read.format("delta")
                    .load(paths.silver(self._contract.name))
                    .where(where)
                    .select(*silver_columns(self._contract)),
                    "event_date",
                )
                for name, paths in (("held", self._live), ("new", self._new))
            }
        )
        changed = [str(day) for day in differing(found["held"], found["new"])]
        return sum(rows for rows, _ in found["new"].values()), changed

    def _new_rows(self, layer: str) -> "DataFrame":
        return self._spark.read.format("delta").load(getattr(self._new, layer)(self._contract.name))

    def _new_rejects(self) -> "DataFrame":
        """Rejects by the contract of today, but for the rows that silver keeps of dates that stay as they are."""
        rejects = self._new_rows("quarantine")
        if self._day is None:
            return rejects
        silver = self._spark.read.format("delta").load(self._live.silver(self._contract.name))
        kept = silver.where(f"event_date < DATE'{self._day}'")
        identity = ("topic_id", "partition", "offset")
        return rejects.join(kept.selectExpr(*(f"_{name} AS {name}" for name in identity)), list(identity), "left_anti")

    @again_after_conflict
    def _overwrite(self, layer: str, where: str, through: int, rows: "DataFrame") -> None:
        live = str(getattr(self._live, layer)(self._contract.name))
        metadata = {"kind": "kappa", "stream": self._contract.name, "through": through, "where": where}
        columns = self._new_rows(layer).columns
        writer = rows.where(where).select(*columns).write.format("delta").mode("overwrite")
        writer.option("replaceWhere", where).option("userMetadata", json.dumps(metadata)).save(live)
        settle(live, next(commits(live)), self._settings)


def _first_batch(bronze: str, contract: StreamContract, day: date | None) -> int:
    """The first batch that can hold an event of `day` or later: what arrived earlier was further in the future."""
    if day is None:
        return 0
    arrived = day - timedelta(days=1) - contract.lateness.future
    first = 0
    for plan, _ in plans(bronze):
        if plan.day < arrived:
            return plan.batch + 1
        first = plan.batch
    return first
