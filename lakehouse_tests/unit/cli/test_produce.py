"""`lakehouse produce` refuses what is not possible in one sentence, before anything is sent."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from lakehouse.cli.produce_summary import conclude
from lakehouse.settings import PROJECT_ROOT
from lakehouse.sources.producer import Summary

CSV = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"


def _lakehouse(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lakehouse.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["sales", "--interval", "-1"], 2, "--interval -1 is not possible"),
        (["sales", "--count", "0"], 2, "--count 0 is not possible"),
        (["sales", "--bad-share", "2"], 2, "--bad-share 2 is no share"),
        (["customers", "--count", "0"], 2, "--count 0 is not possible"),
        (["orders", "--bad-share", "2"], 2, "--bad-share 2 is no share"),
        (["sales", "--from", "yesterday"], 2, "--from 'yesterday' is no time"),
        (["sales", "--from", "2026-01-01"], 2, "need --count"),
        (["sales", "--config", "none.json"], 2, "none.json cannot be read"),
        (["sales", "--brokers", "localhost"], 2, "no host:port"),
        (["sales", "--count", "1"], 1, "No Kafka broker answers at 127.0.0.1:1."),
        (["sales", "--check"], 1, "No Kafka broker answers at 127.0.0.1:1."),
        (["files", "--stream", "retial", "--path", "."], 2, "Did you mean 'retail'?"),
        (["files", "--stream", "retail", "--path", "none"], 2, "none does not exist"),
        (["files", "--stream", "retail", "--path", ".", "--rate", "0"], 2, "--rate 0 is not possible"),
        (["files", "--stream", "retail", "--path", "{tmp}"], 2, "holds no *.csv file"),
        (["sales", "--to", "2026-01-01"], 2, "--to needs --from"),
        (["sales", "--from", "2026-01-02", "--to", "2026-01-01", "--count", "1"], 2, "is not after --from"),
        (["sales", "--bad-share", "0.6", "--duplicate-share", "0.6"], 2, "together exceed 1"),
        (["user_events", "--bad-share", "0.6", "--late-share", "0.6"], 2, "together exceed 1"),
        (["api", "--source", "x", "--sources", "none.yaml"], 2, "none.yaml cannot be read"),
    ],
)
def test_what_is_not_possible_is_told_in_one_sentence_and_what_to_do(
    arguments: list[str], code: int, words: str, tmp_path: Path
) -> None:
    result = _lakehouse("produce", *(argument.format(tmp=tmp_path) for argument in arguments))
    assert result.returncode == code
    assert words in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) <= 3
    assert "  fix: " in result.stderr


@pytest.mark.parametrize("part", ["sources", "cli"])
def test_every_refusal_says_what_to_do(part: str) -> None:
    pattern = "produce*.py" if part == "cli" else "*.py"
    files = sorted((PROJECT_ROOT / "lakehouse" / part).rglob(pattern))
    silent = [
        f"{file.name}:{node.lineno}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "UsageError"
        if "fix" not in {keyword.arg for keyword in node.keywords}
    ]
    assert files
    assert silent == []


def test_events_that_the_broker_did_not_take_are_followed_by_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    summary = Summary(sent=1, failed=2, seconds=1.0, first_error="Local: Message timed out")
    with pytest.raises(typer.Exit) as ended:
        conclude(summary, "sales_events", {}, details="", as_json=False)
    assert ended.value.exit_code == 1
    said = capsys.readouterr().err
    assert "first failure: Local: Message timed out" in said
    assert "fix: Ask the broker (lakehouse health) and the topic (lakehouse topics describe sales_events)" in said


def test_a_malformed_file_stops_all_files_before_the_broker_is_asked(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CSV + "1,2,3,4,5,6,7,8\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text(CSV + "1,2,3\n", encoding="utf-8")
    result = _lakehouse("produce", "files", "--stream", "retail", "--path", str(tmp_path))
    assert result.returncode == 2
    assert "b.csv:2: 3 values, but the file has 8 columns" in result.stderr


def test_the_shop_sends_no_json_to_a_topic_of_another_format(monkeypatch: pytest.MonkeyPatch) -> None:
    from lakehouse.cli.produce_changes import customers
    from lakehouse.contracts import load
    from lakehouse.errors import UsageError

    known = load.load_stream("customers")
    avro = known.model_copy(update={"topic": known.topic.model_copy(update={"format": "avro"})})
    monkeypatch.setattr(load, "load_stream", lambda _: avro)
    with pytest.raises(UsageError, match=r"writes JSON; source\.public\.customers holds avro"):
        customers()
