"""The ledger: which micro-batch was committed last, read from the Delta log and nowhere else.

Here: plans as they stand in commits, and reading them back. Not here: making plans (`lake.planner`), writing tables.
"""

import base64
import json
import string
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lakehouse.errors import LogDamagedError
from lakehouse.lake.paths import table_exists

Offsets = dict[int, int]

_Z85_TO_B85 = str.maketrans(
    string.digits + string.ascii_lowercase + string.ascii_uppercase + ".-:+=^!/*?&<>()[]{}@%$#",
    string.digits + string.ascii_uppercase + string.ascii_lowercase + "!#$%&()*+-;<=>?@^_`{|}~",
)


@dataclass(frozen=True)
class Gap:
    """Somebody's word that offsets are lost for good, so that reading may go on behind them.

    Attributes:
        code: The stop that it answers: RESUME_POINT_GONE or TOPIC_RECREATED.
        lost: `{partition: (first, end)}` of the plan's topic id that bronze will never have, `end` excluded.
        who: Who accepted it.
        why: The reason given.
        at: When, UTC.
    """

    code: str
    lost: dict[int, tuple[int, int]]
    who: str
    why: str
    at: datetime

    @property
    def offsets(self) -> int:
        """How many offsets are lost; transaction markers among them cannot be told apart any more."""
        return sum(end - first for first, end in self.lost.values())

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the commit."""
        return {
            "code": self.code,
            "lost": {partition: list(ends) for partition, ends in self.lost.items()},
            "who": self.who,
            "why": self.why,
            "at": self.at.isoformat(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Gap":
        """The gap that a commit carries."""
        return cls(
            code=data["code"],
            lost={int(partition): (first, end) for partition, (first, end) in data["lost"].items()},
            who=data["who"],
            why=data["why"],
            at=datetime.fromisoformat(data["at"]),
        )


@dataclass(frozen=True)
class Plan:
    """A bronze micro-batch: read `start[p]` up to but not including `end[p]` of every partition `p`.

    With a `gap` it reads nothing: it records that what lies between `start` and `end` is lost, or that the topic was
    made anew.

    `batch` grows by one from plan to plan of a stream. `day` is the arrival day (UTC) that the whole batch belongs to.
    `generations` lists the topic ids that the stream has had, oldest first; the last one is `topic_id`.
    `writer` tells this attempt apart from any other with the same numbers.
    """

    stream: str
    topic_id: str
    batch: int
    start: Offsets
    end: Offsets
    day: date
    writer: str
    generations: tuple[str, ...]
    gap: Gap | None = None

    @property
    def app_id(self) -> str:
        """Transaction identity under which Delta drops repeated batch numbers, also across generations of the topic."""
        return f"bronze/{self.stream}"

    @property
    def span(self) -> int:
        """Offsets to read; the number of rows when no transaction markers lie between."""
        return 0 if self.gap else sum(self.end[p] - self.start[p] for p in self.end)

    @property
    def ranges(self) -> dict[int, list[int]]:
        """`{partition: [start, end]}` of the partitions in which this batch reads something."""
        if self.gap:
            return {}
        return {p: [self.start[p], self.end[p]] for p in sorted(self.end) if self.end[p] > self.start[p]}

    def to_json(self) -> str:
        """The text that goes into the commit as userMetadata."""
        return json.dumps(
            {
                "kind": "bronze",
                "stream": self.stream,
                "topic_id": self.topic_id,
                "batch": self.batch,
                "start": self.start,
                "end": self.end,
                "day": self.day.isoformat(),
                "writer": self.writer,
                "generations": list(self.generations),
                **({"gap": self.gap.to_dict()} if self.gap else {}),
            }
        )

    @classmethod
    def from_metadata(cls, data: dict[str, Any]) -> "Plan":
        """The plan that a commit carries."""
        return cls(
            stream=data["stream"],
            topic_id=data["topic_id"],
            batch=data["batch"],
            start={int(p): offset for p, offset in data["start"].items()},
            end={int(p): offset for p, offset in data["end"].items()},
            day=date.fromisoformat(data["day"]),
            writer=data["writer"],
            generations=tuple(data["generations"]),
            gap=Gap.from_dict(data["gap"]) if "gap" in data else None,
        )


@dataclass(frozen=True)
class Commit:
    """One commit of a Delta log: its version, our metadata (empty when it is not ours), Delta's metrics and `add`s."""

    version: int
    metadata: dict[str, Any]
    metrics: dict[str, Any]
    committed_at: datetime
    added: tuple[dict[str, Any], ...]

    @property
    def added_stats(self) -> list[dict[str, Any]]:
        """The statistics of the files that it added, where they have some."""
        return [json.loads(add["stats"]) for add in self.added if add.get("stats")]


def current_version(path: str) -> int | None:
    """The table's latest version, or None when there is no table.

    Raises:
        LogDamagedError: when the log cannot be read.
    """
    if not table_exists(path):
        return None
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        return int(DeltaTable(path, without_files=True).version())
    except DeltaError as error:
        raise LogDamagedError(f"The Delta log of {path} cannot be read.", why=str(error).splitlines()[0]) from error


def commits(path: str) -> Iterator[Commit]:
    """The commits of a table, newest first, as far back as the log is kept."""
    version = current_version(path)
    while version is not None and version >= 0:
        file = Path(path) / "_delta_log" / f"{version:020d}.json"
        if not file.is_file():
            return
        yield read_commit(file)
        version -= 1


def read_commit(file: Path) -> Commit:
    """Parse one commit file.

    Raises:
        LogDamagedError: when the file is empty or torn; names it.
    """
    version = int(file.stem)
    try:
        actions = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        info: dict[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
    except ValueError as error:
        raise LogDamagedError(
            f"Commit {version} of {file.parent.parent} is torn: {file}.",
            why="The machine or the disk failed while it was written.",
            fix="See docs/runbooks/LOG_DAMAGED.md.",
        ) from error
    if not actions:
        raise LogDamagedError(
            f"Commit {version} of {file.parent.parent} is empty: {file}.",
            why="The machine lost power before the file reached the disk.",
            fix="See docs/runbooks/LOG_DAMAGED.md.",
        )
    return Commit(
        version=version,
        metadata=_own_metadata(info.get("userMetadata")),
        metrics=info.get("operationMetrics") or {},
        committed_at=datetime.fromtimestamp(int(info.get("timestamp", 0)) / 1000, UTC),
        added=tuple(action["add"] for action in actions if "add" in action),
    )


def last_commit_of(path: str, kind: str) -> Commit | None:
    """The newest commit that carries our metadata of this kind; None when the log has none."""
    for commit in commits(path):
        if commit.metadata.get("kind") == kind:
            return commit
    return None


def last_plan(path: str) -> tuple[Plan, Commit] | None:
    """The bronze batch committed last, with its commit; None when nothing was ever ingested."""
    commit = last_commit_of(path, "bronze")
    return None if commit is None else (Plan.from_metadata(commit.metadata), commit)


def recorded_gaps(path: str) -> int:
    """Offsets that bronze lacks because somebody accepted their loss."""
    plans = (Plan.from_metadata(c.metadata) for c in commits(path) if c.metadata.get("kind") == "bronze")
    return sum(plan.gap.offsets for plan in plans if plan.gap)


def merged_through(silver_path: str) -> int:
    """The last bronze batch that silver holds; -1 when it holds none."""
    commit = last_commit_of(silver_path, "silver")
    return -1 if commit is None else int(commit.metadata["through"])


def files_of(add: dict[str, Any]) -> list[str]:
    """Names, relative to the table, of the files behind one `add`: the data file and its deletion vector's, if any."""
    vector = add.get("deletionVector") or {}
    if vector.get("storageType") != "u":
        return [unquote(add["path"])]
    # A prefix of any length, then a UUID in 20 characters of ZeroMQ's base 85.
    text = vector["pathOrInlineDv"]
    prefix, code = text[:-20], text[-20:].translate(_Z85_TO_B85)
    name = f"deletion_vector_{uuid.UUID(bytes=base64.b85decode(code))}.bin"
    return [unquote(add["path"]), f"{prefix}/{name}" if prefix else name]


def _own_metadata(text: str | None) -> dict[str, Any]:
    if not text or not text.startswith("{"):
        return {}
    data = json.loads(text)
    return data if isinstance(data, dict) and "kind" in data else {}
