"""Which versions of a table somebody still needs: gold, the ledger, silver's next step. Their files and commits stay.

Here: finding them. Not here: deleting the others (`vacuum`).
"""

from lakehouse.lake.gold import builds
from lakehouse.lake.guards.identity import read_lake_id
from lakehouse.lake.ledger import commits, last_commit_of, merged_through
from lakehouse.lake.paths import LakePaths
from lakehouse.settings import Settings


def gold_version(settings: Settings, layer: str, stream: str) -> int | None:
    """The version of silver or history that the published gold was built from, when it was built from this lake."""
    build = builds.last_build(settings)
    if build is None or build.lake_id != read_lake_id(LakePaths.of(settings)):
        return None
    return build.versions.get({"silver": stream, "history": f"history/{stream}"}.get(layer, ""))


def last_version(path: str, kind: str) -> int | None:
    """Version of the table's newest commit of this kind."""
    last = last_commit_of(path, kind)
    return None if last is None else last.version


def needed_version(layer: str, paths: LakePaths, stream: str, pinned: int | None) -> int | None:
    """The oldest version whose commit somebody needs: the ledger, silver's next step, gold; None when unknown."""
    if layer == "bronze":
        return _first_needed_batch(paths, stream)
    path = str(getattr(paths, layer)(stream))
    last = last_commit_of(path, layer)
    if last is None:
        return None
    return last.version if pinned is None else min(last.version, pinned)


def _first_needed_batch(paths: LakePaths, stream: str) -> int | None:
    """Version of the newest bronze batch that silver holds: it and all after it are read by planner and merges."""
    through = merged_through(paths.silver(stream))
    for commit in commits(paths.bronze(stream)):
        if commit.metadata.get("kind") == "bronze" and commit.metadata["batch"] <= through:
            return commit.version
    return None
