"""Repair: damaged tables of a stream mended from what is left, which is bronze for silver and Kafka for bronze.

Here: what is set aside, what is read again, what is lost. Not here: finding damage (`lake.proofs.damage`). Nothing is
deleted: files that are in the way are moved to `<root>/aside`.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from lakehouse.contracts.evolution import schema_of
from lakehouse.contracts.model import StreamContract
from lakehouse.engine.spark import connect
from lakehouse.errors import LogDamagedError
from lakehouse.lake.drain import drain
from lakehouse.lake.events import Fact, write_facts
from lakehouse.lake.guards.identity import require_lake
from lakehouse.lake.guards.locks import bronze_lock, exclusive, silver_lock
from lakehouse.lake.ledger import last_plan, merged_through
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.lake.proofs.damage import Damage, look, look_at_stream
from lakehouse.lake.repair.refetch import refetch
from lakehouse.lake.schema.accepted import Accepted, last_accepted, note_accepted
from lakehouse.lake.schema.tables import ensure_tables
from lakehouse.settings import Settings

_LOCK_SECONDS = 900.0


@dataclass
class RepairReport:
    """What was wrong, what was done about it, and what cannot be mended (`lost`: one range of offsets each)."""

    stream: str
    found: list[str]
    done: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    read_again: int = 0


def repair(
    contract: StreamContract,
    settings: Settings,
    *,
    dry_run: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> RepairReport:
    """Find all damage in the stream's tables and mend it; ends with a drain, which fills what was taken back.

    No other writer of the stream may run meanwhile.

    Raises:
        LogDamagedError: an older commit of bronze is gone; only a backup has it.
        Stop: as `lake.drain.drain`, whose part comes last: what was mended before stays mended.
    """
    require_lake(settings)
    paths = LakePaths.of(settings)
    found = look_at_stream(contract.name, paths).damage
    report = RepairReport(contract.name, [str(damage) for damage in found])
    _require_mendable(contract.name, found, paths)
    if dry_run or not found:
        return report
    work = _Repair(contract, settings, report, say)
    with exclusive(silver_lock(settings, contract.name), _LOCK_SECONDS):
        with exclusive(bronze_lock(settings, contract.name), _LOCK_SECONDS):
            work.bronze([damage for damage in found if damage.path == paths.bronze(contract.name)])
        work.silver([damage for damage in found if damage.path != paths.bronze(contract.name)])
    say("draining")
    summary = drain(contract, settings, budget_seconds=settings.drain_budget_seconds, idle_seconds=0)
    report.read_again += summary.bronze_rows
    details = {"found": report.found, "done": report.done, "lost": report.lost}
    write_facts(paths, [Fact(contract.name, "bronze", "repair", rows=report.read_again, details=details)])
    return report


def _require_mendable(stream: str, found: list[Damage], paths: LakePaths) -> None:
    """The middle of bronze's log is the one thing that nothing else knows."""
    for damage in found:
        if damage.path == paths.bronze(stream) and damage.version is not None and not damage.newest:
            raise LogDamagedError(
                f"Stream {stream}: {damage}.",
                why="Commits after it build upon it, and no other place holds what it said.",
                fix=f"Restore {damage.file} from a backup, or start the stream anew (docs/runbooks/README.md).",
            )


class _Repair:
    def __init__(
        self, contract: StreamContract, settings: Settings, report: RepairReport, say: Callable[[str], None]
    ) -> None:
        self._contract = contract
        self._settings = settings
        self._paths = LakePaths.of(settings)
        self._report = report
        self._say = say
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        self._aside = Path(self._paths.root) / "aside" / f"{contract.name}-{stamp}"

    def bronze(self, found: list[Damage]) -> None:
        """Take back an unreadable last commit; read lost files again from Kafka."""
        path = self._paths.bronze(self._contract.name)
        for damage in found:
            if damage.version is not None:
                commit = Path(damage.file)
                self._set_aside(commit, f"took back bronze's commit {damage.version}")
                # Checksums of a commit that is no more confuse every reader.
                for left in (commit.with_suffix(".crc"), *commit.parent.glob(f".{commit.stem}.*")):
                    self._set_aside(left, f"took back its {left.name}")
                found = look(path).damage
        cut = [damage for damage in found if damage.kind == "data file cut off"]
        for damage in cut:
            self._set_aside(Path(damage.file), "set a cut-off data file of bronze aside")
        if found and table_exists(path):
            self._say("reading lost files of bronze again")
            names = [str(Path(damage.file).relative_to(path)) for damage in found if damage.version is None]
            rows, lost = refetch(self._contract, self._settings, names)
            self._report.read_again += rows
            self._report.lost += lost
            self._report.done.append(f"read {rows:,} rows of {len(names)} lost files of bronze again from Kafka")

    def silver(self, found: list[Damage]) -> None:
        """Silver, quarantine and history are functions of bronze: damaged, or ahead of it, they are made anew."""
        silver = self._paths.silver(self._contract.name)
        known = last_plan(self._paths.bronze(self._contract.name))
        is_ahead = not found and merged_through(silver) > (known[0].batch if known else -1)
        if found or is_ahead:
            accepted = last_accepted(silver)
            for layer in ("silver", "quarantine", "history"):
                path = getattr(self._paths, layer)(self._contract.name)
                self._set_aside(Path(path), f"set {layer} aside, to be made anew from bronze")
            if accepted is not None and accepted.retired:
                self._remember_retired(accepted)

    def _remember_retired(self, accepted: Accepted) -> None:
        """Make silver anew, told what events may still have of fields that are no more: those are no unknown ones."""
        spark = connect(self._settings.spark_remote)
        try:
            ensure_tables(spark, self._contract, self._paths)
            shape = schema_of(self._contract)
            retired = {name: keys for name, keys in accepted.retired.items() if shape.field(name) is None}
            told = Accepted(version=accepted.version, shape=shape, retired=retired)
            note_accepted(spark, self._paths.silver(self._contract.name), told)
        finally:
            spark.stop()

    def _set_aside(self, file: Path, what: str) -> None:
        if not file.exists():
            return
        target = self._aside / file.relative_to(self._paths.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(file, target)
        self._report.done.append(f"{what} ({target})")
        self._say(what)
