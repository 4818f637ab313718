"""Names out of YAML, file names and the keys of records cannot leave their place: refused, or harmless."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.types import SQL_WORDS
from lakehouse.errors import SetupError, UsageError
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.rejects.ids import RecordName
from lakehouse.settings import load_settings
from lakehouse.sources.csv_files import CsvFile, check_csv
from lakehouse.sources.files import Progress

ESCAPES = ("../x", "a/b", "..", ".", "a\n", "a`b", "a'b", 'a"b', "a;b", "a b", "%2F", "a\0", "ä", "", "A" * 300, "1a")
names = st.one_of(
    st.text(max_size=80), st.sampled_from(ESCAPES), st.from_regex(r"[a-z][a-z0-9_]{0,70}", fullmatch=True)
)


FIELDS = [
    {"name": "id", "type": "string", "description": "Number."},
    {"name": "at", "type": "timestamp", "description": "When."},
]


def stream_with(**changes: Any) -> dict[str, Any]:
    contract = {"name": "parcels", "description": "Parcels.", "topic": {"name": "parcels"}, "owners": ["team:test"]}
    return contract | {"start": "2026-01-01", "event_time": "at", "key": ["id"], "fields": FIELDS} | changes


def is_taken(document: dict[str, Any]) -> bool:
    try:
        StreamContract.model_validate(document)
    except ValidationError:
        return False
    return True


@settings(deadline=None, max_examples=60)
@given(name=names)
def test_a_name_in_yaml_is_plain_or_refused(name: str) -> None:
    """Streams, fields, rules and the columns of marts stand in paths and in SQL."""
    is_plain = re.fullmatch("[a-z][a-z0-9_]{0,62}", name, re.ASCII) is not None
    rule = {"name": name, "sql": "true"}
    mart = {"table": "parcels_daily", "totals": {"parcels": "count(*)"}}
    assert is_taken(stream_with(name=name)) == (is_plain and name not in SQL_WORDS)
    for document in (
        stream_with(rules=[rule]),
        stream_with(reconcile=[mart | {"table": name}]),
        stream_with(reconcile=[mart | {"by": {name: "id"}}]),
        stream_with(reconcile=[mart | {"totals": {name: "count(*)"}}]),
    ):
        assert is_taken(document) == is_plain
    new = {"name": name, "type": "string", "description": "Any.", "nullable": True}
    assert is_taken(stream_with(fields=[*FIELDS, new])) == (is_plain and name not in {"id", "at", "event_date"})


def test_words_that_sql_cannot_read_as_a_table_are_refused_as_names_of_streams() -> None:
    """As this release of DuckDB reads them: after an upgrade the list may have to follow."""
    refused = set()
    with duckdb.connect() as connection:
        words = [word for (word,) in connection.execute("select keyword_name from duckdb_keywords()").fetchall()]
        for word in words:
            connection.execute(f'create table "{word}" (n int)')
            refused.add(word)
            with suppress(duckdb.ParserException):
                connection.execute(f"from {word}")
                refused.remove(word)
    assert refused == SQL_WORDS
    assert [word for word in words if is_taken(stream_with(name=word))] == [w for w in words if w not in refused]


@settings(deadline=None, max_examples=60)
@given(name=st.one_of(names, st.from_regex(r"[a-zA-Z0-9._-]{1,210}", fullmatch=True)))
@example("..")
@example(".")
@example("...")
@example(".a")
@example("a" * 200)
@example("a" * 201)
def test_a_topic_is_named_as_kafka_allows(name: str) -> None:
    wanted = re.fullmatch("[a-zA-Z0-9._-]{1,200}", name, re.ASCII) is not None and name not in {".", ".."}
    assert is_taken(stream_with(topic={"name": name})) == wanted


@given(
    text=st.one_of(st.text(), st.from_regex(r"\d{1,5}:\d{1,9}"), st.sampled_from(["0:1; --", "x' OR 1/0/1", "a/0/1"]))
)
def test_a_record_is_named_by_numbers_and_a_plain_id_or_not_at_all(text: str) -> None:
    try:
        found = RecordName.parse(text)
    except UsageError:
        return
    assert isinstance(found.partition, int)
    assert isinstance(found.offset, int)
    assert found.topic_id is None or re.fullmatch("[A-Za-z0-9_-]+", found.topic_id)


def csv_file(folder: Path, name: str) -> CsvFile:
    path = folder / name
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    return check_csv(path, name)


@pytest.mark.parametrize("name", ["it's.csv", '"; rm.csv', "a\nb.csv", "%2F..%2Fx.csv", "`x`.csv", "…漢😀.csv", ".csv"])
def test_progress_of_a_file_stays_in_its_folder_whatever_the_file_is_called(tmp_path: Path, name: str) -> None:
    (tmp_path / "data").mkdir()
    file = csv_file(tmp_path / "data", name)
    progress = Progress(tmp_path / "notes", "topic")
    progress.note(file, 1)
    assert progress.rows(file) == 1
    (note,) = [path for path in (tmp_path / "notes").rglob("*") if path.is_file()]
    assert re.fullmatch(r"[0-9a-f]{24}\.json", note.name)


@pytest.mark.parametrize("name", ["a`b", "100%", "a*b", "a?b", "a[b]", "a{b}", "a\\b", "a\nb"])
def test_a_lake_does_not_live_where_no_table_can(tmp_path: Path, name: str) -> None:
    with pytest.raises(SetupError, match="cannot live in"):
        LakePaths.of(load_settings(LAKEHOUSE_ROOT=str(tmp_path / name)))
    assert LakePaths.of(load_settings(LAKEHOUSE_ROOT=str(tmp_path / "it's an #odd, ünï & place")))
