"""Where a speed table stands in silver, and what silver has that it lacks: read from the two Delta logs.

Here: positions and the decision between going on and starting over. Not here: computing (`lake.speed.writer`).
"""

from dataclasses import asdict, dataclass, fields
from typing import Any

from lakehouse.lake.ledger import commits, last_commit_of
from lakehouse.lake.paths import table_exists
from lakehouse.lake.speed.results import KIND


@dataclass(frozen=True)
class Position:
    """What a commit of a speed table says about itself.

    Attributes:
        step: Number of the step, growing by one; also the commit's transaction version.
        silver_id: The silver table's own id; another table, another story.
        silver_version: Silver's Delta version that the result is a function of.
        through: Last bronze batch in it.
        seen: Highest event time in it, microseconds since 1970; None when there is none.
        late: Late rows left out so far.
        rebuilt: The last step that computed everything anew.
    """

    step: int
    silver_id: str
    silver_version: int
    through: int
    seen: int | None
    late: int
    rebuilt: int

    def to_metadata(self, table: str) -> dict[str, Any]:
        """As it stands in the commit."""
        return {"kind": KIND, "table": table, **asdict(self)}


@dataclass(frozen=True)
class Advance:
    """A step to take: silver's batches after `after` up to `through`, as silver is at `silver_version`.

    `is_rebuild` says that silver did more than take new rows since the last step, so the result is computed anew.
    """

    after: int
    through: int
    silver_id: str
    silver_version: int
    is_rebuild: bool


def position_of(path: str) -> Position | None:
    """Where the speed table at this path stands; None when it holds nothing yet."""
    commit = last_commit_of(path, KIND)
    if commit is None:
        return None
    return Position(**{field.name: commit.metadata[field.name] for field in fields(Position)})


def next_advance(silver: str, position: Position | None) -> Advance | None:
    """What silver has that the position lacks; None when it lacks nothing."""
    if not table_exists(silver):
        return None
    from deltalake import DeltaTable

    silver_id = str(DeltaTable(silver, without_files=True).metadata().id)
    is_same = position is not None and position.silver_id == silver_id
    known = position.silver_version if position is not None and is_same else -1
    head, through, is_plain, reached = -1, -1, True, False
    for commit in commits(silver):
        head = max(head, commit.version)
        if commit.version <= known:
            reached = True
        else:
            # New batches only ever add rows; whatever else changes rows may change any of them.
            is_plain = is_plain and not commit.takes_rows and (not commit.brings_rows or _is_merge(commit.metadata))
        if through < 0 and commit.metadata.get("kind") == "silver":
            through = int(commit.metadata["through"])
        if reached and through >= 0:
            break
    if position is None:
        return None if through < 0 else Advance(-1, through, silver_id, head, is_rebuild=True)
    if not is_same or not reached or not is_plain:
        return Advance(-1, through, silver_id, head, is_rebuild=True)
    if through <= position.through:
        return None
    return Advance(position.through, through, silver_id, head, is_rebuild=False)


def _is_merge(metadata: dict[str, Any]) -> bool:
    return metadata.get("kind") == "silver"
