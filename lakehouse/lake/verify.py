"""The proof: from the lake and the broker alone, was anything lost or doubled from Kafka to gold?

Here: putting the proofs of each layer together. Not here: what each layer must satisfy (`lake.proofs`).
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.spark import MANY_ROWS_ONCE, connect, expect_rows, spark_errors
from lakehouse.errors import LogDamagedError
from lakehouse.kafka.offsets import TopicReader
from lakehouse.lake.gold.builds import gold_path
from lakehouse.lake.guards.identity import read_lake_id
from lakehouse.lake.ledger import Commit, current_version, last_commit_of, plans_in
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.plan import Plan
from lakehouse.lake.proofs.bronze import prove_bronze
from lakehouse.lake.proofs.damage import look_at_stream
from lakehouse.lake.proofs.finding import Finding
from lakehouse.lake.proofs.gold import prove_gold
from lakehouse.lake.proofs.history import prove_history
from lakehouse.lake.proofs.silver import prove_silver
from lakehouse.lake.schema.retained import deleted
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_AT_ONCE = 4


@dataclass(frozen=True)
class StreamProof:
    """One stream's accounts. Everything is counted in rows.

    Attributes:
        stream: Its name.
        waiting: Offsets on the broker that are not read yet.
        bronze: Rows in bronze that silver has judged.
        unmerged: Bronze rows that silver has not judged yet.
        silver: Rows in silver.
        quarantined: Rejected rows.
        repeats: Valid rows that another row of the same key superseded.
        gold_version: Silver version that gold was built from; None when it was not.
        silver_version: Silver's version that was looked at.
        gaps: Offsets that somebody accepted as lost (`lakehouse accept-gap`).
        expired: Rows that retention deleted from bronze, as the contract says.
        closed: Bronze rows of event dates whose other records were deleted; they are not compared.
        unproved: Silver rows of those dates.
    """

    stream: str
    waiting: int
    bronze: int
    unmerged: int
    silver: int
    quarantined: int
    repeats: int
    gold_version: int | None
    silver_version: int | None
    gaps: int = 0
    expired: int = 0
    closed: int = 0
    unproved: int = 0


@dataclass(frozen=True)
class VerifyReport:
    """The verdict. `ok` only when no proof found anything."""

    lake_id: str | None
    proofs: list[StreamProof] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Nothing was found."""
        return not self.findings


def verify(
    settings: Settings,
    streams: list[StreamContract],
    on_progress: Callable[[str], None] = lambda _: None,
    before_gold: Callable[[], object] = lambda: None,
) -> VerifyReport:
    """Prove the streams, four at a time: much of it is small queries that leave a core idle. Writes nothing.

    Args:
        settings: Lake, brokers, Spark, gold.
        streams: What to prove.
        on_progress: Told what is being looked at, from any thread.
        before_gold: Called for each stream, from any thread, before its gold is looked at; may wait for it to be built.

    Raises:
        BrokerUnreachableError, SparkUnreachableError: the question could not be asked.
        LogDamagedError: a Delta log cannot be read.
    """
    began = time.monotonic()

    sessions: list[SparkSession] = []

    def look_at(contract: StreamContract) -> tuple[StreamProof | None, list[Finding]]:
        on_progress(contract.name)
        return _look_at(contract, settings, before_gold, sessions)

    threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="verify")
    try:
        looks = list(threads.map(look_at, streams))
    except KeyboardInterrupt:
        # Whoever stops it does not want to wait for the proofs that are under way.
        threads.shutdown(wait=False, cancel_futures=True)
        for session in sessions:
            # One that has ended has nothing to stop.
            with suppress(Exception):
                session.interruptAll()
        raise
    finally:
        threads.shutdown()
    return VerifyReport(
        read_lake_id(LakePaths.of(settings)),
        [proof for proof, _ in looks if proof is not None],
        [finding for _, found in looks for finding in found],
        time.monotonic() - began,
    )


def _look_at(
    contract: StreamContract, settings: Settings, before_gold: Callable[[], object], sessions: "list[SparkSession]"
) -> tuple[StreamProof | None, list[Finding]]:
    """The proof of one stream and what is wrong; no proof of tables that are damaged."""
    paths = LakePaths.of(settings)
    look = look_at_stream(contract.name, paths)
    if look.damage:
        # No count means anything while files are missing; Spark could not even read them.
        return None, [Finding(contract.name, "storage", str(damage)) for damage in look.damage]
    spark = connect(settings.spark_remote)
    sessions.append(spark)
    try:
        with TopicReader(settings) as topics, spark_errors():
            return _prove(spark, contract, settings, paths, list(plans_in(look.commits)), topics, before_gold)
    finally:
        spark.stop()


def _prove(
    spark: "SparkSession",
    contract: StreamContract,
    settings: Settings,
    paths: LakePaths,
    history: list[tuple[Plan, Commit]],
    topics: TopicReader,
    before_gold: Callable[[], object],
) -> tuple[StreamProof, list[Finding]]:
    state = topics.state(contract.topic.name)
    if not history:
        waiting = sum(state.end[p] - state.start[p] for p in state.end)
        return StreamProof(contract.name, waiting, 0, 0, 0, 0, 0, None, None), []
    last = history[-1][0]
    expect_rows(spark, last.offsets_read, many=MANY_ROWS_ONCE)
    gone = deleted(paths.bronze(contract.name))
    table = paths.bronze(contract.name)
    bronze = spark.read.format("delta").load(table)
    if gone is not None:
        # A run that was killed has noted what it did not delete yet.
        bronze = bronze.where(f"arrival_date >= DATE'{gone.before}'")
    findings = prove_bronze(table, bronze, contract, settings, history, state, gone.before if gone else None)
    waiting = sum(max(0, end - last.end.get(p, 0)) for p, end in state.end.items())
    merged = last_commit_of(paths.silver(contract.name), "silver")
    through = -1 if merged is None else int(merged.metadata["through"])
    unmerged = bronze.where(f"batch > {through}").count() if through < last.batch else 0
    version = current_version(paths.silver(contract.name))
    if version is None:
        raise LogDamagedError(
            f"Stream {contract.name} has bronze but no silver table.",
            why="A drain makes both before its first batch; somebody removed silver.",
            fix=f"lakehouse drain {contract.name}",
        )
    silver = prove_silver(spark, contract, paths, through=through, version=version)
    versions = prove_history(spark, contract, paths, through=through) if contract.keeps_history else []
    before_gold()
    gold = prove_gold(spark, contract, paths, gold_path(settings))
    proof = StreamProof(
        stream=contract.name,
        waiting=waiting,
        bronze=silver.bronze_rows,
        unmerged=unmerged,
        silver=silver.silver_rows,
        quarantined=silver.quarantine_rows,
        repeats=silver.repeats,
        gold_version=gold.silver_version,
        silver_version=version,
        gaps=sum(plan.gap.offsets for plan, _ in history if plan.gap),
        expired=gone.total if gone else 0,
        closed=silver.closed_rows,
        unproved=silver.unproved_rows,
    )
    return proof, [*findings, *silver.findings, *versions, *gold.findings]
