"""CSV rows become events with their text as it is; a malformed file is named with its line before anything is sent."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import UsageError
from lakehouse.sources.csv_files import check_csv, events, find_csv, to_json
from lakehouse.sources.files import Progress, require_columns, row_key

CELLS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=12)


def _write(path: Path, data: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_values_stay_text_and_rows_are_numbered(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", 'Id,Name\n007,"x, ""y""\nz"\n\n17850.0,\n')
    (file,) = find_csv(path)
    assert (file.rows, file.columns) == (2, ["Id", "Name"])
    assert [event for _, event in events(file)] == [
        {"Id": "007", "Name": 'x, "y"\nz', "_file": "a.csv", "_line": 1},
        {"Id": "17850.0", "Name": "", "_file": "a.csv", "_line": 2},
    ]
    assert [number for number, _ in events(file, after=1)] == [2]


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=8))
def test_every_cell_comes_through_unchanged(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]]
) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([("a", "b", "c"), *rows])
    path = _write(tmp_path_factory.mktemp("csv") / "f.csv", buffer.getvalue())
    read = [tuple(str(event[name]) for name in "abc") for _, event in events(check_csv(path, "f.csv"))]
    assert read == rows


def test_a_folder_is_read_in_order_and_names_are_relative(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "sub/a.csv", "note.txt"):
        _write(tmp_path / name, "x\n1\n")
    assert [file.name for file in find_csv(tmp_path)] == ["a.csv", "b.csv", "sub/a.csv"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a,b\n1,2\n1,2,3\n", r"f\.csv:3: 3 values, but the file has 2 columns"),
        (b"a,b\n1\n", r"f\.csv:2: 1 values"),
        (b"a,b\n1,2\n3,\xff\n", r"f\.csv:3: no UTF-8"),
        (b'a,b\n1,"x"y\n', r"f\.csv:2: no regular CSV"),
        (b"", r"f\.csv:1: the file is empty"),
        (b"a,a\n", r"f\.csv:1: column 'a' appears twice"),
        (b"a,_line\n", r"f\.csv:1: column '_line'"),
    ],
)
def test_a_malformed_file_is_named_with_its_line(tmp_path: Path, data: bytes, message: str) -> None:
    _write(tmp_path / "f.csv", data)
    with pytest.raises(UsageError, match=message):
        find_csv(tmp_path)


def test_missing_paths_and_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        find_csv(tmp_path / "none")
    with pytest.raises(UsageError, match="holds no"):
        find_csv(tmp_path)


def test_files_of_another_stream_are_refused(tmp_path: Path) -> None:
    files = find_csv(_write(tmp_path / "a.csv", "x,y\n1,2\n"))
    require_columns(files, {"x"}, "s")
    with pytest.raises(UsageError, match="stream s needs columns that this file does not have: z"):
        require_columns(files, {"x", "z"}, "s")


def test_notes_belong_to_topic_and_bytes(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", "x\n1\n2\n")
    (file,) = find_csv(path)
    progress = Progress(tmp_path / "notes", "topic1")
    assert progress.rows(file) == 0
    progress.note(file, 2)
    assert Progress(tmp_path / "notes", "topic1").rows(file) == 2
    # A topic made anew is empty, a file with other bytes is another file.
    assert Progress(tmp_path / "notes", "topic2").rows(file) == 0
    (changed,) = find_csv(_write(path, "x\n1\n3\n"))
    assert progress.rows(changed) == 0
    progress.forget(file)
    assert progress.rows(file) == 0


def test_the_message_key_is_the_streams_key_or_file_and_line() -> None:
    event: dict[str, str | int] = {"id": "7", "n": "x", "_file": "a.csv", "_line": 3}
    assert row_key(["id", "n"])(event) == "7|x"
    assert row_key(["absent"])(event) == "a.csv|3"
    assert row_key([])(event) == "a.csv|3"


def test_json_keeps_letters_as_they_are() -> None:
    assert to_json({"a": "£é", "_line": 1}) == '{"a":"£é","_line":1}'.encode()


def test_a_wide_file_becomes_one_event_per_cell_and_resumes_in_the_middle_of_a_row(tmp_path: Path) -> None:
    path = tmp_path / "rates.csv"
    path.write_text("Date,USD,JPY,\n2021-12-31,1.13,130.4,\n2021-12-30,1.12,N/A,\n", encoding="utf-8")
    (file,) = find_csv(path, ("Date",))
    assert (file.rows, file.columns) == (4, ["Date", "_column", "_value"])
    assert [(e["Date"], e["_column"], e["_value"], e["_line"]) for _, e in events(file, after=1)] == [
        ("2021-12-31", "JPY", "130.4", 1), ("2021-12-30", "USD", "1.12", 2), ("2021-12-30", "JPY", "N/A", 2),
    ]  # fmt: skip
    (as_rows,) = find_csv(path)
    assert (as_rows.rows, as_rows.sha256 == file.sha256) == (2, False), "sent by rows is not sent by cells"
    with pytest.raises(UsageError, match="no column 'Day' to keep"):
        find_csv(path, ("Day",))
