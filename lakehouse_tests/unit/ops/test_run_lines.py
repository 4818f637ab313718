"""`lakehouse logs` on real runs of a Dagster instance: by job, partition, attempt and step, across rotated files."""

import json
from pathlib import Path

import dagster as dg
import pytest
import yaml
from typer.testing import CliRunner

from lakehouse.cli import logs
from lakehouse.errors import UsageError
from lakehouse.ops import logs as handler
from lakehouse.ops.run_lines import last_failure
from lakehouse.settings import PROJECT_ROOT

DAYS = dg.StaticPartitionsDefinition(["2024-01-01", "2024-01-02"])
FAILS: dict[str, Exception | None] = {"now": None}


@dg.asset(key=["extract", "places"], partitions_def=DAYS)
def places(context: dg.AssetExecutionContext) -> None:
    context.log.warning("asked for %s", context.partition_key)
    if FAILS["now"]:
        raise FAILS["now"] from OSError("connection refused")


@dg.asset(key=["load", "reports"], deps=[places], partitions_def=DAYS)
def reports(context: dg.AssetExecutionContext) -> None:
    context.log.info("loaded")


def said(*arguments: str) -> list[dict[str, str]]:
    done = CliRunner().invoke(logs.app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_run_is_found_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path / "home"))
    config = yaml.safe_load((PROJECT_ROOT / "infra" / "dagster" / "dagster.yaml").read_text(encoding="utf-8"))
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({"python_logs": config["python_logs"]}), encoding="utf-8")
    job = dg.define_asset_job("covid_etl", selection=[places, reports], partitions_def=DAYS)
    found = dg.Definitions(assets=[places, reports], jobs=[job]).resolve_job_def("covid_etl")
    runs = []
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        own = dg.Failure("BROKER_UNREACHABLE: start it", allow_retries=False)
        for day, fails in (
            ("2024-01-02", own), ("2024-01-01", ValueError("down")), ("2024-01-01", None), ("2024-01-02", None)
        ):  # fmt: skip
            FAILS["now"] = fails
            done = found.execute_in_process(instance=instance, partition_key=day, raise_on_error=False)
            runs.append(done.run_id)
            if fails is own:
                # As when a file has grown too large.
                handler.log_path().rename(handler.log_path().with_name("runs.jsonl.1"))

    first = said("covid_etl", "--partition", "2024-01-01", "--step", "places", "--attempt", "1")
    assert {line["run_id"] for line in first} == {runs[1]}
    assert {line["step"] for line in first} == {"extract__places"}
    assert "asked for 2024-01-01" in [line["message"] for line in first]
    assert {line["run_id"] for line in said("covid_etl", "--partition", "2024-01-01")} == {runs[2]}, "the newest"
    assert {line["run_id"] for line in said("covid_etl")} == {runs[3]}
    assert {line["run_id"] for line in said(runs[0][:8])} == {runs[0]}
    # A failed step says why: what it said itself, or the error at the bottom.
    failure = last_failure(handler.log_path())
    assert failure is not None
    assert (failure["run_id"], failure["cause"]) == (runs[1], "OSError: connection refused")
    for number, cause in ((0, "BROKER_UNREACHABLE: start it"), (1, "OSError: connection refused")):
        shown = CliRunner().invoke(logs.app, [runs[number], "--level", "error"]).stdout
        assert f'Execution of step "extract__places" failed. {cause}\n' in shown
    warned = CliRunner().invoke(logs.app, ["covid_etl", "--level", "warning"]).stdout.splitlines()
    assert [line.split(" ", 1)[1] for line in warned] == ["WARNING  extract__places: asked for 2024-01-02"]

    for arguments, hint in (
        (["covid_elt"], "'covid_etl'"),
        (["covid_etl", "--partition", "2024-01-03"], "It has: 2024-01-01, 2024-01-02"),
        (["covid_etl", "--step", "palces"], "'extract__places'|Its steps: extract__places, load__reports"),
        (["covid_etl", "--attempt", "5"], "It ran 4 times"),
    ):
        refused = CliRunner().invoke(logs.app, arguments).exception
        assert isinstance(refused, UsageError)
        assert any(text in refused.fix for text in hint.split("|")), refused.fix
