"""Is there anything new for a window? Asked before a run is started, from the Delta logs alone, without Spark.

Here: the question. Not here: what a schedule does about the answer (`components.pipeline_schedules`).
"""

from pathlib import Path

from lakehouse.contracts.pipeline import PipelineContract
from lakehouse.contracts.window import Window
from lakehouse.lake.ledger import current_version, read_commit
from lakehouse.lake.paths import LakePaths
from lakehouse.settings import Settings


def nothing_new(pipeline: PipelineContract, window: Window, settings: Settings) -> str:
    """Why a run would find nothing; empty when it may find something.

    Only pipelines that read nothing but tables can be told so: a table that has no commit since the window began holds
    no row of it. (Rows dated into the future are the exception; the next run of that window takes them.)
    """
    tables = [step.table for step in pipeline.extract]
    if not all(tables):
        return ""
    paths = LakePaths.of(settings)
    for table in tables:
        path = f"{paths.root}/{str(table).replace('.', '/')}"
        version = current_version(path)
        if version is None:
            continue
        log = Path(path) / "_delta_log" / f"{version:020d}.json"
        if not log.is_file() or read_commit(log).committed_at >= window.start:
            return ""
    return f"nothing was written to {', '.join(map(str, tables))} since {window.start:%Y-%m-%d %H:%M}"
