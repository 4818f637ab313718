"""Building gold: dbt on a work file, then one atomic rename that analysts never notice.

Here: the life of a build (lock, plan, dbt, record, publish), addresses. Not here: how dbt runs (`lake.gold.dbt_run`),
what a build reads (`lake.gold.build_plan`), its file (`lake.gold.work_file`), its catalogue (`lake.gold.catalogue`),
what the marts say (`dbt_project/`).

Every build works on a file of its own, mostly a copy of what is published, and ends with a rename over that. So a build
that fails or is killed leaves nothing behind that a later one could trip over, and gold is always exactly silver at the
recorded versions.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from lakehouse.engine.duck import duck_connection
from lakehouse.engine.embedded.manifest import PROJECT, fingerprint
from lakehouse.engine.storage import storage_errors
from lakehouse.errors import GoldBusyError, GoldMissingError, UsageError
from lakehouse.lake.gold import build_plan, build_record, dbt_run, work_file
from lakehouse.lake.gold.build_record import BuildPlan, BuildRecord, Mode
from lakehouse.lake.gold.pseudonyms import secret_key
from lakehouse.lake.guards.identity import read_lake_id
from lakehouse.lake.guards.locks import LockBusyError, exclusive
from lakehouse.lake.paths import LakePaths
from lakehouse.settings import Settings

LOCK_TIMEOUT_SECONDS = 300.0


@dataclass(frozen=True)
class GoldReport:
    """What a build did.

    Attributes:
        published: Whether the file that readers open is exactly silver at `versions`.
        path: That file.
        mode: `full`, `incremental` or `unchanged` (nothing to do: silver and project are as they were).
        models: Models and snapshots built.
        tests_passed: Data tests that passed.
        failures: Failed models and tests, one sentence each; with one of them nothing is published.
        warnings: Tests that only warn.
        versions: Silver version of each stream that gold was built from.
        touched: Number of event dates computed anew per stream; None for all.
        left_alone: Models that are as they were, since nothing that they are made of has changed.
        seconds: Wall time of the whole build.
    """

    published: bool
    path: Path
    mode: Mode
    versions: dict[str, int]
    touched: dict[str, int | None]
    models: int = 0
    tests_passed: int = 0
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    invocation_id: str = ""
    left_alone: list[str] = field(default_factory=list)
    seconds: float = 0.0


def gold_path(settings: Settings) -> Path:
    """The published, read-only DuckDB file."""
    return settings.home / "gold" / "gold.duckdb"


def work_path(settings: Settings) -> Path:
    """The file that dbt writes to."""
    return settings.home / "gold" / "build" / dbt_run.WORK_FILE


def require_gold(settings: Settings) -> Path:
    """The published file.

    Raises:
        GoldMissingError: with the command that makes it.
    """
    path = gold_path(settings)
    if not path.is_file():
        raise GoldMissingError(
            f"There is no gold at {path} yet.", why="It was never built.", fix="lakehouse gold build"
        )
    return path


def last_build(settings: Settings) -> BuildRecord | None:
    """What the published file says about its own build: when, and which silver versions it holds."""
    return build_record.read_record(gold_path(settings))


@dataclass
class GoldBuild:
    """A build under way: what dbt must be given, and how to publish. Made by `building`."""

    settings: Settings
    plan: BuildPlan
    env: dict[str, str]
    arguments: list[str]
    state: Path
    warned: frozenset[str]
    left_alone: list[str]

    def publish(self, result: dbt_run.DbtResult) -> Path:
        """Record the build in the work file and put that in the place of the published one.

        What rows have gone from silver are gone from the file too, not only from its tables.
        """
        work, gold = work_path(self.settings), gold_path(self.settings)
        with duck_connection(work) as connection:
            build_record.write_record(
                connection,
                self.plan,
                built_at=datetime.now(UTC),
                invocation_id=result.invocation_id,
                warned=(self.warned - result.ran) | result.warned,
            )
            connection.execute("checkpoint")
        work_file.publish(work, gold, pack=self.plan.loses_rows and self.plan.mode != "full")
        return gold


@contextmanager
def building(
    settings: Settings, *, full_refresh: bool = False, frozen: bool = False, wait_seconds: float = LOCK_TIMEOUT_SECONDS
) -> Iterator[GoldBuild]:
    """Hold the build lock, prepare the work file and pin silver; the caller runs dbt with `env` and `arguments`.

    Nothing is published unless the caller calls `publish`.

    Args:
        settings: Which lake and which state folder.
        full_refresh: Compute every mart anew.
        frozen: Read the silver versions that gold shows already, for builds of single models.
        wait_seconds: How long to wait for another build.

    Raises:
        GoldBusyError: when another build holds the lock for longer.
        DiskFullError, SetupError: when the state folder cannot be written.
    """
    # Readers import this module too, and they must start fast.
    from lakehouse.contracts.load import load_streams

    folder, work = gold_path(settings).parent, work_path(settings)
    with storage_errors(), _exclusively(folder / "build.lock", wait_seconds):
        paths = LakePaths.of(settings)
        pii_key = secret_key(folder)
        lake_id = read_lake_id(paths)
        previous = last_build(settings)
        plan = build_plan.plan_build(
            paths,
            build_plan.gold_streams(PROJECT, load_streams()),
            previous,
            project=fingerprint(PROJECT, pii_key),
            lake_id=lake_id,
            full_refresh=full_refresh,
            frozen=frozen,
        )
        known = previous if previous is not None and previous.lake_id == lake_id else None
        warned = known.warned if known else frozenset()
        env = dbt_run.environment(
            lake_root=paths.root, folder=work.parent, pii_key=pii_key, plan_json=plan.as_json(), warned=bool(warned)
        )
        left_alone = dbt_run.left_alone(plan, frozen=frozen)
        arguments = dbt_run.build_arguments(plan, left_alone)
        is_whole = plan.mode == "full" and not frozen
        keep: work_file.Keep = "nothing" if known is None else "history" if is_whole else "everything"
        work_file.begin(work, gold_path(settings), keep)
        try:
            yield GoldBuild(settings, plan, env, arguments, folder / "dbt", warned, left_alone)
        finally:
            # After a full disk above all: what nobody will read must not keep it full.
            work_file.remove(work)


def build(
    settings: Settings,
    *,
    select: str | None = None,
    full_refresh: bool = False,
    on_progress: dbt_run.Progress | None = None,
) -> GoldReport:
    """Bring gold to silver as it is now, test it, and publish it when every test of severity error passes.

    Args:
        settings: Which lake and which state folder.
        select: dbt selection; those models are built again at the silver versions that gold shows already, because
            tables of two versions in one file would contradict each other.
        full_refresh: Compute every mart anew instead of the event dates that changed.
        on_progress: Called with (done, total, node).

    Returns:
        The report; with `failures` nothing was published and the old gold is as it was.

    Raises:
        GoldBuildError: when dbt itself could not run.
        GoldBusyError: when another build holds the lock.
        UsageError: when `select` is given before gold was ever built whole.
    """
    started = time.monotonic()
    if select is not None:
        last = last_build(settings)
        if last is None or last.lake_id != read_lake_id(LakePaths.of(settings)):
            raise UsageError(
                "Single models can be built only into a gold of this lake that exists.", fix="lakehouse gold build"
            )
    with building(settings, full_refresh=full_refresh or select is not None, frozen=select is not None) as run:
        versions = {name: pin.version for name, pin in run.plan.pins.items()}
        touched = {name: None if pin.touched is None else len(pin.touched) for name, pin in run.plan.pins.items()}
        if run.plan.mode == "unchanged":
            seconds = time.monotonic() - started
            return GoldReport(True, gold_path(settings), "unchanged", versions, touched, seconds=seconds)
        selection = ["--select", *select.split()] if select else []
        result = dbt_run.run_dbt([*run.arguments, *selection], run.env, run.state, on_progress)
        if select and not (result.models or result.failures):
            raise UsageError(f"No model matches {select!r}.", fix="dbt ls --project-dir dbt_project")
        if not result.failures:
            run.publish(result)
    return GoldReport(
        published=not result.failures,
        path=gold_path(settings),
        mode=run.plan.mode,
        versions=versions,
        touched=touched,
        models=result.models,
        tests_passed=result.tests_passed,
        failures=result.failures,
        warnings=result.warnings,
        invocation_id=result.invocation_id,
        left_alone=run.left_alone,
        seconds=time.monotonic() - started,
    )


@contextmanager
def _exclusively(path: Path, wait_seconds: float) -> Iterator[None]:
    """One build at a time on this machine."""
    try:
        with exclusive(path, wait_seconds):
            yield
    except LockBusyError as error:
        raise GoldBusyError(
            f"Gold is being built by process {error.holder}.", fix="Wait for it to end, then run the command again."
        ) from error
