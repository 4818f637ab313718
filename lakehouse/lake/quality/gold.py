"""Gold in the quality run: the figures of every published table, and its totals against silver.

Here: which tables and streams belong together, and the totals. Not here: the figures one by one
(`lake.quality.gold_figures`), comparing totals (`lake.proofs.gold`).
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.duck import delta_connection, duck_connection
from lakehouse.engine.embedded.manifest import MANIFEST
from lakehouse.engine.spark import MANY_ROWS_ONCE, connect, expect_rows, spark_errors
from lakehouse.lake.gold.build_plan import date_fingerprints, latest_version
from lakehouse.lake.gold.build_record import BuildRecord
from lakehouse.lake.gold.builds import gold_path, last_build
from lakehouse.lake.gold.lineage import tables_below
from lakehouse.lake.ledger import commits, offsets_read
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.lake.proofs.gold import Totals, compare_totals
from lakehouse.lake.quality.gold_figures import PREFIX, Waiting, count_tables, figure_results, keep
from lakehouse.quality.results import CheckResult
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_NAMED = 5


def check_gold(
    contracts: Iterable[StreamContract],
    settings: Settings,
    *,
    days: list[date] | None,
    now: datetime,
    only: str | None = None,
) -> list[CheckResult]:
    """Count every published table and compare the totals that contracts reconcile; nothing when gold was never built.

    Args:
        contracts: The streams.
        settings: Lake, gold and Spark.
        days: Event dates whose totals are compared; None for all.
        now: Time of the run (UTC).
        only: This table alone.

    Raises:
        SparkUnreachableError: the totals could not be asked for.
    """
    record, path = last_build(settings), gold_path(settings)
    if record is None:
        return []
    paths, streams = LakePaths.of(settings), {contract.name: contract for contract in contracts}
    below = tables_below(MANIFEST)
    with duck_connection(path, read_only=True) as gold:
        tables = count_tables(gold, only)
        known = keep(paths, tables, now=now)
        waiting = _waiting(paths, record, streams, now=now)
        results: list[CheckResult] = []
        for table in tables:
            sources = [waiting[name] for name in sorted(below.get(table.name, ())) if name in waiting]
            results += figure_results(table, known, sources, now=now)
        chosen = [
            contract
            for contract in streams.values()
            if contract.name in record.versions and any(only in (None, wanted.table) for wanted in contract.reconcile)
        ]
        if chosen:
            results += _totals(gold, chosen, record, settings, days, only)
    return results


def _waiting(
    paths: LakePaths, record: BuildRecord, streams: Mapping[str, StreamContract], *, now: datetime
) -> dict[str, Waiting]:
    """For each table of silver that gold was built from: what changed since."""
    found = {}
    with delta_connection(modest=True) as duck:
        for name, pinned in record.versions.items():
            path, contract = paths.readable(name), streams.get(name.removeprefix("history/"))
            if contract is None or not table_exists(path):
                continue
            held = record.dates.get(name, {})
            version = latest_version(path)
            is_dates = held if version == pinned else date_fingerprints(duck, path, version)
            unseen = sum(held.get(day) != is_dates.get(day) for day in held.keys() | is_dates.keys())
            waits = _since(path, pinned, now) if unseen else timedelta()
            found[name] = Waiting(len(held.keys() | is_dates.keys()), unseen, waits, contract.freshness.fail)
    return found


def _since(path: str, version: int, now: datetime) -> timedelta:
    """How long ago the first commit after this version changed rows."""
    oldest = now
    for commit in commits(path):
        if commit.version <= version:
            break
        if commit.brings_rows or commit.takes_rows:
            oldest = commit.committed_at
    return max(now - oldest, timedelta())


def _totals(
    gold: "DuckDBPyConnection",
    contracts: Iterable[StreamContract],
    record: BuildRecord,
    settings: Settings,
    days: list[date] | None,
    only: str | None,
) -> list[CheckResult]:
    paths, found = LakePaths.of(settings), []
    spark = connect(settings.spark_remote)
    try:
        with spark_errors():
            for contract in contracts:
                version = record.versions[contract.name]
                wanted = [one for one in contract.reconcile if only in (None, one.table)]
                expect_rows(spark, offsets_read(paths.bronze(contract.name)), many=MANY_ROWS_ONCE)
                narrowed = contract.model_copy(update={"reconcile": wanted})
                found += [
                    _accuracy(contract, version, totals)
                    for totals in compare_totals(spark, narrowed, paths, gold, version, days)
                ]
    finally:
        spark.stop()
    return found


def _accuracy(contract: StreamContract, version: int, totals: Totals) -> CheckResult:
    differ = len(totals.differences)
    share = (totals.compared - differ) / totals.compared if totals.compared else 1.0
    said = "; ".join(totals.differences[:_NAMED])
    text = said or f"{totals.compared:,} totals are those of silver.{contract.name} at version {version}"
    return CheckResult(
        table=PREFIX + totals.table, check="accuracy", dimension="accuracy", passed=not differ, severity="critical",
        rows=totals.compared, broken=differ, observed=share, low=1.0, high=1.0,
        message=f"accuracy {share:.2%}: {text}.",
    )  # fmt: skip
