"""`lakehouse streams`: validate tells every mistake and fails; new writes a file that loads and overwrites nothing."""

import json
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lakehouse.cli.streams import app
from lakehouse.contracts import load
from lakehouse.contracts.load import load_contract
from lakehouse.errors import UsageError
from lakehouse.settings import PROJECT_ROOT

run = CliRunner()
SALES = PROJECT_ROOT / "lakehouse" / "defs" / "streams" / "sales" / "defs.yaml"


def test_list_as_json() -> None:
    rows = {row["stream"]: row for row in json.loads(run.invoke(app, ["list", "--json"]).stdout)}
    assert rows["sales"]["topic"] == "sales_events"
    assert rows["sales"]["fields"] == 13


def test_all_contracts_of_the_project_are_valid() -> None:
    result = run.invoke(app, ["validate"])
    assert (result.exit_code, "contracts are valid" in result.stdout) == (0, True)


def test_validate_names_every_broken_file_and_exits_with_two(tmp_path: Path) -> None:
    text = SALES.read_text(encoding="utf-8")
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text(text.replace("mode: upsert", "mode: replace"), encoding="utf-8")
    second.write_text(text.replace("key: [order_id]", "key: [order]"), encoding="utf-8")
    result = run.invoke(app, ["validate", str(SALES), str(first), str(second)])
    assert result.exit_code == 2
    lines = text.splitlines()
    mode, key = (
        1 + next(n for n, line in enumerate(lines) if line.strip().startswith(name)) for name in ("mode:", "key:")
    )
    assert f"a.yaml:{mode}: mode: 'replace' is not allowed; allowed: 'append', 'upsert' or 'cdc'" in result.stderr
    assert f"b.yaml:{key}: key: order is no field; allowed: order_id, store_id" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("form", "part"),
    [
        ("yaml", "name: sales"),
        ("json-schema", '"$schema"'),
        ("avro", '"namespace": "lakehouse"'),
        ("spark", "`order_id` STRING"),
    ],
)
def test_show_in_every_format(form: str, part: str) -> None:
    assert part in run.invoke(app, ["show", "sales", "--format", form]).stdout


def test_new_writes_a_contract_once(tmp_path: Path) -> None:
    sample = tmp_path / "sample.json"
    sample.write_text('{"id": 1, "at": "2026-01-01T00:00:00Z", "price": 2.5}', encoding="utf-8")
    arguments = ["new", "payments", "--from", str(sample), "--output", str(tmp_path)]
    result = run.invoke(app, arguments)
    path = tmp_path / "payments" / "defs.yaml"
    assert result.stdout.strip().replace("\n", "") == str(path)
    assert "lakehouse check payments" in result.stderr.replace("\n", " ")
    assert load_contract(path).key == ["id"]
    before = path.read_text(encoding="utf-8")
    again = run.invoke(app, arguments)
    assert isinstance(again.exception, UsageError)
    assert path.read_text(encoding="utf-8") == before


@pytest.mark.parametrize("name", ["select", "left"])
def test_new_refuses_a_word_of_sql_and_leaves_nothing_behind(tmp_path: Path, name: str) -> None:
    sample = tmp_path / "sample.json"
    sample.write_text('{"id": 1, "at": "2026-01-01T00:00:00Z", "price": 2.5}', encoding="utf-8")
    result = run.invoke(app, ["new", name, "--from", str(sample), "--output", str(tmp_path)])
    assert isinstance(result.exception, UsageError)
    assert f"{name} is a word of SQL, so `from {name}` would be an error" in result.exception.problem
    assert [path.name for path in tmp_path.iterdir()] == ["sample.json"]


def test_validate_says_what_to_do_about_a_name_that_two_files_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "defs.yaml").write_text(SALES.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(load, "STREAMS_FOLDER", tmp_path)
    monkeypatch.setattr(load, "load_streams", partial(load.load_streams, tmp_path))
    result = run.invoke(app, ["validate"])
    assert result.exit_code == 2
    assert "stream name 'sales' is used twice. Next: Give one of them another name." in result.stderr


def test_new_leaves_nothing_behind_when_the_sample_is_wrong(tmp_path: Path) -> None:
    sample = tmp_path / "sample.json"
    sample.write_text('{"id": 1}', encoding="utf-8")
    result = run.invoke(app, ["new", "payments", "--from", str(sample), "--output", str(tmp_path)])
    assert isinstance(result.exception, UsageError)
    assert [path.name for path in tmp_path.iterdir()] == ["sample.json"]
