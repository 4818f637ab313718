"""CSV files as events: one per row, every value the text that is in the file, with file name and row number.

A wide file, which has a column for each day or currency, can be unpivoted: one event per cell, with `_column` and
`_value` beside the columns that are kept.

Here: reading and checking files before anything is sent. Not here: sending and resuming (`sources.files`).
"""

import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse.errors import UsageError

FILE_KEY = "_file"
LINE_KEY = "_line"
COLUMN_KEY = "_column"
VALUE_KEY = "_value"
_HASH_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class CsvFile:
    """A file that was read to its end and found good.

    Attributes:
        path: Where it is.
        name: How events name it: relative to the folder that was asked for.
        columns: Of its events; from its first line, unless it is unpivoted.
        rows: Events.
        sha256: Of its bytes, and of `keep`, in hex.
        keep: Columns that stay when the others are unpivoted; none when it is read row by row.
    """

    path: Path
    name: str
    columns: list[str]
    rows: int
    sha256: str
    keep: tuple[str, ...] = ()


def find_csv(path: Path, keep: tuple[str, ...] = ()) -> list[CsvFile]:
    """The file, or all `*.csv` below the folder in alphabetical order, each read and checked to its end.

    Raises:
        UsageError: when there is none, or one is no readable, regular CSV; names file and line.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist.", fix="Give a CSV file or a folder of them with --path.")
    root, paths = (path, sorted(path.rglob("*.csv"))) if path.is_dir() else (path.parent, [path])
    if not paths:
        raise UsageError(f"{path} holds no *.csv file.", fix="Name a file, or the folder that holds them, with --path.")
    return [check_csv(file, file.relative_to(root).as_posix(), keep) for file in paths]


def check_csv(path: Path, name: str, keep: tuple[str, ...] = ()) -> CsvFile:
    """Read one file to its end; with `keep` the other columns are unpivoted. Raises as `find_csv`."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_HASH_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", fix="Let this user read it.") from error
    rows = 0
    columns: list[str] = []
    for columns, row in _rows(path):  # noqa: B007 - the last columns are the file's columns
        rows += row is not None
    if not keep:
        return CsvFile(path, name, columns, rows, digest.hexdigest())
    missing = sorted(set(keep) - set(columns))
    if missing:
        raise UsageError(f"{path}:1: there is no column {missing[0]!r} to keep.", fix=f"It has: {', '.join(columns)}.")
    # Sent whole and sent cell by cell are two different things to have sent.
    digest.update("\n".join(keep).encode())
    cells = rows * len(_melted(columns, keep))
    return CsvFile(path, name, [*keep, COLUMN_KEY, VALUE_KEY], cells, digest.hexdigest(), keep)


def events(file: CsvFile, *, after: int = 0) -> Iterator[tuple[int, dict[str, str | int]]]:
    """Number (from 1) and event of every event after the given one. Raises as `find_csv`."""
    number = line = 0
    for columns, row in _rows(file.path):
        if row is None:
            continue
        line += 1
        values = dict(zip(columns, row, strict=True))
        for cell in _cells(values, columns, file.keep):
            number += 1
            if number > after:
                event: dict[str, str | int] = {**cell, FILE_KEY: file.name, LINE_KEY: line}
                yield number, event


def _cells(values: dict[str, str], columns: list[str], keep: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """The row itself, or each of its cells."""
    if not keep:
        yield values
        return
    kept = {name: values[name] for name in keep}
    for name in _melted(columns, keep):
        yield {**kept, COLUMN_KEY: name, VALUE_KEY: values[name]}


def _melted(columns: list[str], keep: tuple[str, ...]) -> list[str]:
    """Columns that become events; a comma at the end of every line makes one without a name, which is none."""
    return [name for name in columns if name and name not in keep]


def to_json(event: dict[str, str | int]) -> bytes:
    """The event as it is sent."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def _rows(path: Path) -> Iterator[tuple[list[str], list[str] | None]]:
    """The columns with None once, then with each row."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            yield from _regular_rows(path, reader)
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path}:{_line_of_bad_byte(path)}: no UTF-8 ({error.reason}).", fix="Convert the file to UTF-8."
        ) from error


def _regular_rows(path: Path, reader: Any) -> Iterator[tuple[list[str], list[str] | None]]:
    try:
        columns: list[str] = next(reader, [])
        _check_columns(path, columns)
        yield columns, None
        for row in reader:
            if not row:
                continue
            if len(row) != len(columns):
                raise UsageError(
                    f"{path}:{reader.line_num}: {len(row)} values, but the file has {len(columns)} columns.",
                    fix="Correct the line; nothing of this file was sent.",
                )
            yield columns, row
    except csv.Error as error:
        raise UsageError(f"{path}:{reader.line_num}: no regular CSV: {error}.", fix="Correct the line.") from error


def _check_columns(path: Path, columns: list[str]) -> None:
    if not columns:
        raise UsageError(f"{path}:1: the file is empty.", fix="Its first line must name the columns.")
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise UsageError(f"{path}:1: column {twice[0]!r} appears twice.", fix="Give one of them another name.")
    taken = sorted({FILE_KEY, LINE_KEY, COLUMN_KEY, VALUE_KEY} & set(columns))
    if taken:
        raise UsageError(
            f"{path}:1: column {taken[0]!r} is a name that every event gets by itself.", fix="Give it another name."
        )


def _line_of_bad_byte(path: Path) -> int:
    number = 0
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return number
