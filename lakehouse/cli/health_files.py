"""The parts of `lakehouse health` that are files of this machine: contracts, lake, gold.

Here: looking at them. Not here: services, the command (`cli.health`).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakehouse.settings import Settings


@dataclass(frozen=True)
class Health:
    """One part: healthy, unhealthy, or absent (not there yet, which is no fault)."""

    name: str
    state: str
    detail: str
    fix: str = ""


def ask_contracts() -> Health:
    """Every stream's and pipeline's YAML loads; a broken one stops all commands and runs that read it."""
    from lakehouse.contracts import load, pipelines

    streams = sorted(load.STREAMS_FOLDER.glob("*/defs.yaml"))
    batch = sorted(pipelines.BATCH_FOLDER.glob("*/defs.yaml"))
    wrong = {
        "lakehouse streams validate": load.collect_problems(
            streams, load.load_contract, lambda: load.load_streams(load.STREAMS_FOLDER)
        ),
        "lakehouse pipelines validate": load.collect_problems(
            batch, pipelines.load_pipeline_file, lambda: pipelines.load_pipelines(pipelines.BATCH_FOLDER)
        ),
    }
    problems = [line for found in wrong.values() for error in found for line in error.problem.splitlines()]
    if problems:
        commands = " && ".join(command for command, found in wrong.items() if found)
        return Health("contracts", "unhealthy", "; ".join(problems), f"Correct what is named, then: {commands}")
    return Health("contracts", "healthy", f"{len(streams)} files of streams, {len(batch)} of pipelines")


def ask_lake(settings: "Settings") -> Health:
    """The last commit of every table, read without Spark."""
    from pathlib import Path

    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    from lakehouse.lake.guards.identity import read_lake_id
    from lakehouse.lake.paths import LakePaths

    paths = LakePaths.of(settings)
    try:
        lake_id = read_lake_id(paths)
    except (OSError, ValueError, KeyError) as error:
        return Health("lake", "unhealthy", f"{paths.identity} cannot be read: {error}", "lakehouse verify")
    if lake_id is None:
        return Health("lake", "absent", f"{paths.root}: nothing was written yet")
    tables = sorted(log.parent for log in Path(paths.root).glob("*/*/_delta_log"))
    broken = []
    for table in tables:
        try:
            DeltaTable(str(table)).version()
        except (DeltaError, OSError) as error:
            broken.append(f"{table.relative_to(paths.root)}: {str(error).splitlines()[0]}")
    if broken:
        return Health("lake", "unhealthy", "; ".join(broken), "lakehouse verify")
    return Health("lake", "healthy", f"{paths.root}, {len(tables)} tables, id {lake_id}")


def ask_gold(settings: "Settings") -> Health:
    """The published file opens; its age in words."""
    import duckdb

    from lakehouse.cli.up import age
    from lakehouse.lake.gold.builds import gold_path, last_build

    path = gold_path(settings)
    if not path.is_file():
        return Health("gold", "absent", "never built; make it: lakehouse gold build")
    try:
        build = last_build(settings)
    except duckdb.Error as error:
        return Health("gold", "unhealthy", f"{path}: {str(error).splitlines()[0]}", "lakehouse gold build")
    if build is None:
        return Health("gold", "unhealthy", f"{path} does not say when it was built", "lakehouse gold build")
    return Health("gold", "healthy", f"{path}, built {age(build.built_at.isoformat())} ago")
