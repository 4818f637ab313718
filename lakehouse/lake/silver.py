"""Silver: bronze batches judged once, rejects to quarantine, the rest merged as the latest row per key.

Here: one step from `(last, n]` of bronze to silver. Not here: rules and parsing (`transforms.events`), whole-day
recomputation (`lake.rebuild.backfill`), the loop (`lake.drain`).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.crash import crash_point
from lakehouse.engine.spark import MANY_ROWS, MANY_ROWS_AGAIN, expect_rows, spark_errors
from lakehouse.errors import BatchConflictError, LogDamagedError
from lakehouse.kafka.dead_letters import Postman
from lakehouse.lake import history
from lakehouse.lake.decisions import judge_as_decided
from lakehouse.lake.guards.durable import settle
from lakehouse.lake.guards.locks import exclusive, silver_lock
from lakehouse.lake.ledger import commit_at, merged_through
from lakehouse.lake.merge.adopt import Adopted, adopt
from lakehouse.lake.merge.gate import require_quality
from lakehouse.lake.merge.known_keys import KnownKeys
from lakehouse.lake.merge.profile import Profile, profile_of
from lakehouse.lake.merge.staged import Staged, stage, staging
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.pending import files_of_all, first_of, is_small, pending_batches
from lakehouse.lake.quarantine import record_rejects, send_rejects
from lakehouse.lake.reports import BatchReport
from lakehouse.lake.schema.accepted import read_accepted, require_followed
from lakehouse.lake.schema.registered import learn
from lakehouse.lake.schema.tables import BRONZE_COLUMNS
from lakehouse.quality.rules import date_list
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_LOCK_SECONDS = 900.0


class Step(NamedTuple):
    """Bronze batches after `after` up to and including `through`: about `rows` rows, all in the arrival days `days`.

    `files` has them all, and nothing else, where that is known without asking Delta.
    """

    after: int
    through: int
    rows: int
    days: tuple[date, ...]
    generations: tuple[str, ...]
    files: tuple[Path, ...] = ()


class StagedStep(NamedTuple):
    """A step whose rows are judged and written, as files that no reader knows of. `began` is a `time.monotonic`."""

    step: Step
    rows: Staged
    began: float


class SilverWriter:
    """Brings one stream's silver up to its bronze. Asks the Delta logs before every step.

    Args:
        contract: The stream.
        settings: Lake and brokers.
        spark: The session.
        paths: The tables to fill, when not the live ones.
        first_batch: Where a table begins that holds nothing yet.
        last_batch: Asked before each step for the last batch that it may take; without it, whatever bronze has.
        send_dead_letters: Whether rejects go to the dead-letter topic as well.
    """

    def __init__(
        self,
        contract: StreamContract,
        settings: Settings,
        spark: "SparkSession",
        *,
        paths: LakePaths | None = None,
        first_batch: int = 0,
        last_batch: Callable[[], int] | None = None,
        send_dead_letters: bool = True,
    ) -> None:
        self._contract = contract
        self._settings = settings
        self._spark = spark
        self._paths = paths or LakePaths.of(settings)
        # A replay fills tables of its own while it holds the live ones' lock.
        self._lock = silver_lock(settings, f"{contract.name}-replay" if self._paths.rebuilt else contract.name)
        self._first_batch = first_batch
        self._last_batch = last_batch
        self._send_dead_letters = send_dead_letters
        # Of files that never change: a hint that saves opening them.
        self._known_keys = KnownKeys()

    @cached_property
    def _postman(self) -> Postman:
        """Its connections last as long as the writer."""
        return Postman(self._settings, self._contract.topic.name, self._contract.topic.dlq)

    @property
    def may_run_ahead(self) -> bool:
        """Whether a step may be staged while its predecessor is committed: a history needs Spark for the commit."""
        return not self._contract.keeps_history

    def next_step(self, max_rows: int, behind: Step | None = None) -> Step | None:
        """The bronze batches that silver lacks, at most about `max_rows` rows of them; None when it lacks none.

        Args:
            max_rows: A single batch may be more.
            behind: A step that is not committed yet: those after it.

        Raises:
            LogDamagedError: the next batch is not in bronze's log.
        """
        bronze = self._paths.bronze(self._contract.name)
        after = behind.through if behind else self._merged_through()
        pending = pending_batches(bronze, after)
        if self._last_batch is not None:
            last = self._last_batch()
            pending = [batch for batch in pending if batch.plan.batch <= last]
        if not pending:
            return None
        if pending[0].plan.batch != after + 1:
            raise LogDamagedError(
                f"The Delta log of {bronze} no longer holds batch {after + 1}, which silver needs next.",
                why="Old commits were cleaned up before silver read them, or a commit is missing.",
                fix="See docs/runbooks/LOG_DAMAGED.md.",
            )
        taken = first_of(pending, max_rows)
        rows = sum(batch.plan.span for batch in taken)
        days = tuple(sorted({batch.plan.day for batch in taken}))
        return Step(after, taken[-1].plan.batch, rows, days, pending[-1].plan.generations, files_of_all(taken))

    def _merged_through(self) -> int:
        return max(self._first_batch - 1, merged_through(self._paths.silver(self._contract.name)))

    def catch_up_history(self) -> None:
        """Bring a history that is behind silver up to it: it is new, or was switched off for a while."""
        path = self._paths.silver(self._contract.name)
        if self._contract.keeps_history:
            with exclusive(self._lock, _LOCK_SECONDS):
                history.catch_up(self._spark, self._contract, self._paths, merged_through(path))

    def merge(self, step: Step) -> BatchReport:
        """Judge one step, write its rejects, merge its valid rows under the number of its last batch.

        Raises as `staged` and `commit`.
        """
        with self.staged(step) as ready:
            return self.commit(ready)

    @contextmanager
    def staged(self, step: Step) -> Iterator[StagedStep]:
        """The step's rows, judged and written by Spark; gone afterwards, with whatever was not committed.

        Raises:
            SparkUnreachableError: Spark went away; the next step will tell what is committed.
            DiskFullError: as it says.
        """
        began = time.monotonic()
        with staging(self._contract, self._paths.silver(self._contract.name)) as rows:
            with spark_errors():
                expect_rows(self._spark, step.rows, many=MANY_ROWS_AGAIN)
                fetch = step.rows < MANY_ROWS_AGAIN and is_small(step.files)
                stage(self._judged(step), rows, few=step.rows < MANY_ROWS, fetch=fetch)
            yield StagedStep(step, rows, began)

    def commit(self, ready: StagedStep) -> BatchReport:
        """Write the rejects of a staged step, merge its valid rows.

        Raises:
            QualityStopError: a rule of severity fail is broken; silver and quarantine are as before.
            SchemaIncompatibleError: events are not as the contract has them, and its `evolve` says stop.
            BatchConflictError: another writer was faster; start again.
            DiskFullError: as it says.
        """
        step, staged, began = ready
        profile = profile_of(staged)
        require_quality(self._contract, profile)
        with exclusive(self._lock, _LOCK_SECONDS):
            self._require_turn(step)
            # Before anything is written: rejects of another contract's rules would stay in quarantine.
            require_followed(self._contract, read_accepted(self._paths.silver(self._contract.name)))
            record_rejects(self._spark, staged, self._settings, self._paths, step.after, step.through)
            if profile.rejected and self._send_dead_letters:
                send_rejects(staged, self._postman)
            done = self._commit(staged, profile, step)
        crash_point("after_silver_commit")
        silver = self._paths.silver(self._contract.name)
        commit = commit_at(silver, done.version)
        settle(silver, commit, self._settings)
        changed = done.inserted + done.updated
        return BatchReport(
            layer="silver",
            stream=self._contract.name,
            batch=step.through,
            rows=changed,
            day=step.days[-1],
            seconds=time.monotonic() - began,
            delta_version=done.version,
            committed_at=commit.committed_at.timestamp(),
            read=profile.read,
            rejected=profile.rejected,
            rejected_by_rule=profile.rejected_by_rule,
            warned_by_rule=profile.warned_by_rule,
            duplicates=max(0, profile.valid - changed),
            event_dates=profile.event_dates,
        )

    def _judged(self, step: Step) -> "DataFrame":
        path = self._paths.bronze(self._contract.name)
        if step.files:
            # What Delta would find out again from its log, with a job of its own.
            of_step = self._spark.read.schema(BRONZE_COLUMNS).option("basePath", path)
            bronze = of_step.parquet(*map(str, step.files))
        else:
            bronze = (
                self._spark.read.format("delta")
                .load(path)
                .where(f"arrival_date IN ({date_list(step.days)}) AND batch > {step.after} AND batch <= {step.through}")
            )
        learn(bronze, self._contract, self._settings, self._paths)
        return judge_as_decided(bronze, self._contract, step.generations, self._paths)

    def _require_turn(self, step: Step) -> None:
        if self._merged_through() != step.after:
            raise BatchConflictError(
                f"Batches up to {step.through} of stream {self._contract.name} were merged by another writer.",
                why="Two drains ran at once, or this one was asleep for a while.",
                fix="Nothing: the step starts again from what is committed.",
            )

    def _commit(self, staged: Staged, profile: Profile, step: Step) -> Adopted:
        contract = self._contract
        if contract.keeps_history:
            kept = self._paths.history(contract.name)
            with spark_errors():
                if profile.valid == 0:
                    history.note_empty_step(self._spark, contract, kept, step.through)
                else:
                    history.bring_in(staged.valid(self._spark), contract, kept, through=step.through)
            crash_point("between_history_and_silver")
        metadata = {
            "kind": "silver",
            "stream": contract.name,
            "after": step.after,
            "through": step.through,
            "read": profile.read,
            "valid": profile.valid,
            "rejected": profile.rejected,
        }
        # A step without valid rows is a commit without files: the position must advance.
        return adopt(
            staged,
            profile.event_dates,
            metadata,
            transaction=(f"silver/{contract.name}", step.through),
            known=self._known_keys,
        )
