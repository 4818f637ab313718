"""Actions of Delta's log about data files: what to say of a new one, and what the log says of those that are there.

Here: reading and making them (Delta protocol, "Actions"). Not here: a commit (`adopt`).
"""

import json
from collections.abc import Iterable, Mapping
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
_LAST_CHARACTER = "\U0010ffff"


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


def adds_of(table: Path, version: int, names: Iterable[str]) -> dict[str, Add]:
    """The `add`s of active files of a version, by file name.

    Raises:
        LogDamagedError: the log does not tell of one of them.
    """
    wanted = set(names)
    found: dict[str, Add] = {}
    log = table / "_delta_log"
    while wanted and version >= 0:
        checkpoint = log / f"{version:020d}.checkpoint.parquet"
        commit = log / f"{version:020d}.json"
        known = _of_checkpoint(checkpoint, wanted) if checkpoint.is_file() else _of_commit(commit)
        found |= {name: add for name, add in known.items() if name in wanted}
        wanted -= known.keys()
        if checkpoint.is_file():
            break
        version -= 1
    if wanted:
        raise LogDamagedError(
            f"The Delta log of {table} does not tell of its data file {min(wanted)}.",
            why="A commit or a checkpoint is missing.",
            fix="See docs/runbooks/LOG_DAMAGED.md.",
        )
    return found


def _of_commit(file: Path) -> dict[str, Add]:
    return {_name(add): add for add in read_commit(file).added} if file.is_file() else {}


def _of_checkpoint(file: Path, wanted: set[str]) -> dict[str, Add]:
    import pyarrow.parquet as pq

    rows = pq.read_table(file, columns=["add"])["add"].to_pylist()
    adds = [row for row in rows if row is not None and _name(row) in wanted]
    return {
        _name(add): {
            "path": add["path"],
            "partitionValues": dict(add["partitionValues"]),
            "size": add["size"],
            "modificationTime": add["modificationTime"],
            "dataChange": False,
            "stats": add["stats"],
            **({"deletionVector": _without_nulls(add["deletionVector"])} if add.get("deletionVector") else {}),
        }
        for add in adds
    }


def _name(add: Add) -> str:
    return Path(unquote(add["path"])).name


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
        # The log has milliseconds.
        return _instant(low), _instant(high + timedelta(microseconds=999))
    if isinstance(low, date):
        return low.isoformat(), high.isoformat()
    return None


def _instant(moment: datetime) -> str:
    utc = moment.astimezone(UTC) if moment.tzinfo else moment
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"
