"""Actions of Delta's log about data files: what to say of a new one, and what the log says of those that are there.

Here: reading and making them (Delta protocol, "Actions"). Not here: a commit (`adopt`).
"""

import json
from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote as url_quote
from urllib.parse import unquote

from lakehouse.errors import LogDamagedError
from lakehouse.lake.ledger import read_commit

Add = dict[str, Any]
# As many characters of a text as Delta's own statistics have.
_TEXT = 32
_ROUNDED = timedelta(microseconds=999)
_LAST_CHARACTER = "\U0010ffff"
# What it takes to read the rows of a file.
_TO_READ = ("path", "partitionValues", "deletionVector")


def add_of(table: Path, file: Path, partition: Mapping[str, str | None], columns: Iterable[str]) -> Add:
    """The `add` of a new data file, with statistics on these columns out of its footer."""
    state = file.stat()
    return {
        "path": url_quote(str(file.relative_to(table)), safe="/=-_.~"),
        "partitionValues": dict(partition),
        "size": state.st_size,
        "modificationTime": int(state.st_mtime * 1000),
        "dataChange": True,
        "stats": json.dumps(_statistics(file, set(columns)), separators=(",", ":")),
    }


def rows_of(add: Add) -> int:
    """Rows in the file, hidden ones too."""
    return int(json.loads(add["stats"])["numRecords"])


def hidden(add: Add, descriptor: Mapping[str, Any]) -> Add:
    """The `add` of the same file with this deletion vector. Its statistics are bounds from now on, no values."""
    statistics = {**json.loads(add["stats"]), "tightBounds": False}
    return {**add, "dataChange": True, "stats": json.dumps(statistics), "deletionVector": dict(descriptor)}


def removed(add: Add, at: int) -> dict[str, Any]:
    """The `remove` of what an `add` says; `at` in milliseconds since 1970."""
    kept = {key: add[key] for key in ("path", "partitionValues", "size", "deletionVector") if add.get(key) is not None}
    return {**kept, "deletionTimestamp": at, "dataChange": True, "extendedFileMetadata": True}


def active_adds(
    table: Path, version: int, event_dates: Container[str] | None = None, *, names: Container[str] | None = None
) -> dict[str, Add]:
    """The `add`s of the files that a version consists of, by file name.

    Args:
        table: The table.
        version: The version.
        event_dates: Only files of these event dates (ISO); None for all.
        names: Only these files, whole. None for all, with no more than it takes to read their rows: of thousands of
            small files, what else is known is more than the worker should hold.

    Raises:
        LogDamagedError: the log does not tell of the version.
    """
    log = table / "_delta_log"
    decided: set[str] = set()
    active: dict[str, Add] = {}
    # Backwards: the newest action on a file is the one that counts.
    for number in range(version, -1, -1):
        checkpoint, commit = log / f"{number:020d}.checkpoint.parquet", log / f"{number:020d}.json"
        if checkpoint.is_file():
            listed = _of_checkpoint(checkpoint, event_dates, names)
            return active | {name: add for name, add in listed if name not in decided}
        if not commit.is_file():
            raise LogDamagedError(
                f"The Delta log of {table} has neither commit {number} nor a checkpoint of it.",
                why="A commit or a checkpoint is missing.",
                fix="See docs/runbooks/LOG_DAMAGED.md.",
            )
        known = read_commit(commit)
        for add in known.added:
            name = _name(add["path"])
            is_wanted = event_dates is None or add["partitionValues"]["event_date"] in event_dates
            if name not in decided and is_wanted and (names is None or name in names):
                active[name] = add if names is not None else {key: add[key] for key in _TO_READ if key in add}
        decided |= {_name(add["path"]) for add in known.added} | set(map(_name, known.removed))
    return active


def adds_of_partition(table: Path, version: int, values: Mapping[str, str]) -> list[Add]:
    """The whole `add`s of the files that a version has with these partition values; of all its files without any.

    Raises as `active_adds`.
    """
    known = active_adds(table, version)
    names = {name for name, add in known.items() if values.items() <= add["partitionValues"].items()}
    return list(active_adds(table, version, names=names).values())


def _of_checkpoint(
    file: Path, event_dates: Container[str] | None, names: Container[str] | None
) -> Iterator[tuple[str, Add]]:
    """What a checkpoint has of these event dates and files, by file name."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    columns = ["add"] if names is not None else [f"add.{name}" for name in _TO_READ]
    with pq.ParquetFile(file) as checkpoint:
        # One without deletion vectors may have no columns for them.
        adds = checkpoint.read(columns=columns)["add"].combine_chunks()
    adds = adds.filter(adds.is_valid())
    if event_dates is not None:
        days = pc.map_lookup(adds.field("partitionValues"), "event_date", "first").to_pylist()
        adds = adds.filter(pa.array([day in event_dates for day in days], pa.bool_()))
    if names is not None:
        files = adds.field("path").to_pylist()
        adds = adds.filter(pa.array([_name(path) in names for path in files], pa.bool_()))
    for add in adds.to_pylist():
        known = {key: add[key] for key in ("path", "size", "modificationTime", "stats") if key in add}
        if add.get("deletionVector"):
            known["deletionVector"] = _without_nulls(add["deletionVector"])
        yield _name(add["path"]), {**known, "partitionValues": dict(add["partitionValues"]), "dataChange": False}


def _name(path: str) -> str:
    return Path(unquote(path)).name


def _without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _statistics(file: Path, columns: set[str]) -> dict[str, Any]:
    import pyarrow.parquet as pq

    footer = pq.read_metadata(file)
    least: dict[str, Any] = {}
    most: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    for position in range(footer.num_columns):
        name = footer.schema.column(position).path
        found = [group.column(position).statistics for group in groups]
        if name not in columns or not all(found):
            continue
        nulls[name] = sum(one.null_count for one in found)
        ranges = [(one.min, one.max) for one in found if one.has_min_max]
        bounds = _bounds(min(low for low, _ in ranges), max(high for _, high in ranges)) if ranges else None
        if bounds is not None and len(ranges) == len(found):
            least[name], most[name] = bounds
    return {
        "numRecords": footer.num_rows,
        "minValues": least,
        "maxValues": most,
        "nullCount": nulls,
        "tightBounds": True,
    }


def _bounds(low: Any, high: Any) -> tuple[Any, Any] | None:
    """Both ends as the log writes them, never narrower than the values; None for types that are left out."""
    if isinstance(low, bool):
        return None
    if isinstance(low, int):
        return low, high
    if isinstance(low, str):
        return low[:_TEXT], high if len(high) <= _TEXT else high[:_TEXT] + _LAST_CHARACTER
    if isinstance(low, datetime):
        # The log has milliseconds. In the last one before the year 10000 there is nothing to round up to.
        return _instant(low), _instant(min(high, datetime.max.replace(tzinfo=high.tzinfo) - _ROUNDED) + _ROUNDED)
    if isinstance(low, date):
        return low.isoformat(), high.isoformat()
    return None


def _instant(moment: datetime) -> str:
    utc = moment.astimezone(UTC) if moment.tzinfo else moment
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"
