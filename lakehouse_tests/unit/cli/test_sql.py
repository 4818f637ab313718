"""`lakehouse sql`: forms of the answer, what goes where, and errors that name the next step."""

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from typer.testing import CliRunner

from lakehouse.cli.sql import Layer, _interactive, app
from lakehouse.errors import GoldMissingError, UsageError
from lakehouse.lake.gold.build_record import BuildPlan, write_record
from lakehouse.settings import load_settings

runner = CliRunner()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    monkeypatch.delenv("LAKEHOUSE_ROOT", raising=False)
    return tmp_path


@pytest.fixture
def gold(home: Path) -> Path:
    path = home / "gold" / "gold.duckdb"
    path.parent.mkdir()
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "create table sales_daily as select * from (values"
            " (date '2026-01-01', 'Home, Garden', 12.50::decimal(18,2), null),"
            " (date '2026-01-02', 'Books', 7.00::decimal(18,2), 'x')) t(event_date, category, net_amount, note)"
        )
        write_record(connection, BuildPlan("full", {}, "p", None), built_at=datetime.now(UTC), invocation_id="i")
    return path


def test_table_on_stdout_and_source_on_stderr(gold: Path) -> None:
    result = runner.invoke(app, ["from sales_daily limit 1"])

    assert result.exit_code == 0
    assert "Home, Garden" in result.stdout
    assert "source" not in result.stdout
    assert result.stderr.startswith("source: gold, as of ")
    assert "\x1b" not in result.output


def test_machine_forms_hold_the_same_rows(gold: Path) -> None:
    query = "from sales_daily order by event_date"
    wanted = [
        {"event_date": "2026-01-01", "category": "Home, Garden", "net_amount": 12.5, "note": None},
        {"event_date": "2026-01-02", "category": "Books", "net_amount": 7.0, "note": "x"},
    ]

    assert json.loads(runner.invoke(app, [query, "--json"]).stdout) == wanted
    lines = runner.invoke(app, [query, "-o", "jsonl"]).stdout.splitlines()
    assert [json.loads(line) for line in lines] == wanted
    rows = list(csv.DictReader(io.StringIO(runner.invoke(app, [query, "-o", "csv"]).stdout)))
    assert [row["category"] for row in rows] == ["Home, Garden", "Books"]
    assert rows[0]["net_amount"] == "12.50"


def test_query_from_stdin_and_from_a_file(gold: Path, tmp_path: Path) -> None:
    file = tmp_path / "query.sql"
    file.write_text("select count(*) as n from sales_daily;", encoding="utf-8")

    assert runner.invoke(app, ["-", "--json"], input="select 1 as n").stdout.split() == [
        "[",
        "{",
        '"n":',
        "1",
        "}",
        "]",
    ]
    assert json.loads(runner.invoke(app, ["--file", str(file), "--json"]).stdout) == [{"n": 2}]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["from sales_dayly"], "Did you mean 'sales_daily'"),
        (["from nothing_like_it"], "Tables: sales_daily"),
        (["select net_amuont from sales_daily"], "net_amount"),
        (["selec 1"], "syntax error"),
        (["drop table sales_daily"], "read-only"),
        (["  ;"], "empty"),
        (["select 1; select 2", "--json"], "2 questions, and json holds the answer to one"),
        (["from sales_daily; select 2", "-o", "jsonl"], "--output table shows each"),
        (["select 1;\n\nselect 2;", "-o", "csv"], "UNION ALL"),
        (["select 1; select 2 from", "--json"], "syntax error"),
        ([], "No query"),
        (["select 1", "--file", "x.sql"], "not both"),
        (["--file", "/nowhere/x.sql"], "no readable file"),
    ],
)
def test_a_wrong_question_is_one_clear_sentence(gold: Path, arguments: list[str], said: str) -> None:
    result = runner.invoke(app, arguments)

    assert isinstance(result.exception, UsageError)
    assert said in result.exception.one_line()
    assert "\n" not in result.exception.one_line()
    assert result.stdout == ""


def test_a_table_shows_the_answer_to_every_question(gold: Path) -> None:
    result = runner.invoke(app, ["select 'first' as a; set threads = 1; select 'second' as b;"])
    assert [line.split() for line in result.stdout.splitlines() if line[:1].isalpha()] == [
        ["a"], ["first"], ["b"], ["second"],
    ]  # fmt: skip


def test_what_prepares_a_question_is_no_question(gold: Path) -> None:
    query = "set threads = 1; create temp table t as select 7 as n; from t"
    assert json.loads(runner.invoke(app, [query, "--json"]).stdout) == [{"n": 7}]
    # DuckDB makes several statements of it by itself.
    pivot = "pivot (select 'a' as k, 1 as v) on k using sum(v)"
    assert json.loads(runner.invoke(app, [pivot, "--json"]).stdout) == [{"a": 1}]
    assert json.loads(runner.invoke(app, ["select 1 as n where false", "--json"]).stdout) == []


def test_missing_gold_names_the_command(home: Path) -> None:
    result = runner.invoke(app, ["select 1"])

    assert isinstance(result.exception, GoldMissingError)
    assert result.exception.fix == "lakehouse gold build"


def test_live_layers_are_reached_by_name(home: Path) -> None:
    for layer, number in (("silver", 3), ("quarantine", 1)):
        write_deltalake(str(home / "lake" / layer / "sales"), pa.table({"n": range(number)}))
    # A folder that somebody put there is a name, never SQL.
    write_deltalake(str(home / "lake" / "silver" / 'x" as select 1; --'), pa.table({"n": [1]}))

    query = "select (select count(*) from sales) as s, (select count(*) from quarantine.sales) as q"
    result = runner.invoke(app, [query, "--layer", "silver", "--json"])

    assert json.loads(result.stdout) == [{"s": 3, "q": 1}]
    assert "silver, live" in result.stderr


@pytest.mark.parametrize("layer", [layer for layer in Layer if layer is not Layer.gold])
def test_every_layer_can_be_asked_and_pipelines_tables_by_their_names(home: Path, layer: Layer) -> None:
    own = "batch-views" if layer is Layer.batch else layer.value
    write_deltalake(str(home / "lake" / own / "own"), pa.table({"n": [1, 2]}))
    write_deltalake(str(home / "lake" / "batch" / "daily_etl" / "daily_revenue"), pa.table({"n": [5]}))
    query = "select (select sum(n) from own) as own, n from daily_etl.daily_revenue"
    result = runner.invoke(app, [query, "--layer", layer.value, "--json"])
    assert json.loads(result.stdout) == [{"own": 3, "n": 5}]


def test_prompt_answers_statements_until_the_end_of_input(
    gold: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = iter(["select category", "from sales_daily where net_amount < 10;", "", "from nowhere;"])

    def read(prompt: str) -> str:
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", read)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    _interactive(load_settings(), Layer.gold)

    said = capsys.readouterr()
    assert "Books" in said.out
    assert "Home" not in said.out
    assert "Table with name nowhere" in said.err


def test_what_is_no_json_number_is_null(gold: Path) -> None:
    query = "select 'nan'::double as x, '-inf'::double as y, 1.5::double as z"
    assert runner.invoke(app, [query, "-o", "jsonl"]).stdout == '{"x": null, "y": null, "z": 1.5}\n'


def test_json_has_every_digit_of_a_number_and_of_those_within_lists_and_structs(gold: Path) -> None:
    long = "12345678901234567890.123456789012345678"
    query = (
        f"select {long}::decimal(38,18) as d, -0.000000000000000001::decimal(38,18) as e, "
        f"[1.10::decimal(5,2), null] as l, {{'x': {long}::decimal(38,18), 'y': 'nan'::double}} as s, "
        "170141183460469231731687303715884105727::hugeint as h"
    )
    line = (
        f'{{"d": {long}, "e": -0.000000000000000001, "l": [1.10, null], "s": {{"x": {long}, "y": null}}, '
        '"h": 170141183460469231731687303715884105727}\n'
    )
    assert runner.invoke(app, [query, "-o", "jsonl"]).stdout == line
    document = runner.invoke(app, [query, "--json"]).stdout
    assert json.loads(document, parse_float=str) == [json.loads(line, parse_float=str)]
    assert f'\n    "d": {long},\n' in document


def test_json_writes_times_and_bytes_as_text(gold: Path) -> None:
    query = (
        "select date '2026-01-02' as d, timestamp '2026-01-02 03:04:05' as t, 'ab'::blob as b, 'ü\"' as u, "
        "[date '2026-01-02'] as l"
    )
    assert json.loads(runner.invoke(app, [query, "--json"]).stdout) == [
        {"d": "2026-01-02", "t": "2026-01-02 03:04:05", "b": "ab", "u": 'ü"', "l": ["2026-01-02"]}
    ]
