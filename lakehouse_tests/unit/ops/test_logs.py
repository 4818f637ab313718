"""A run of a Dagster instance with the project's settings logs JSON lines that say which run, asset and partition."""

import json
from pathlib import Path

import dagster as dg
import pytest
import yaml

from lakehouse.ops import logs
from lakehouse.settings import PROJECT_ROOT


@dg.asset(key=["silver", "orders"], partitions_def=dg.StaticPartitionsDefinition(["2026-03-01"]))
def orders(context: dg.AssetExecutionContext) -> None:
    context.log.info("merged %d rows", 7)


def test_what_a_run_says_is_one_json_object_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path / "home"))
    config = yaml.safe_load((PROJECT_ROOT / "infra" / "dagster" / "dagster.yaml").read_text(encoding="utf-8"))
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({"python_logs": config["python_logs"]}), encoding="utf-8")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        done = dg.materialize(
            [orders], instance=instance, partition_key="2026-03-01", tags={"lakehouse/stream": "orders"}
        )
    lines = [json.loads(line) for line in logs.log_path().read_text(encoding="utf-8").splitlines()]
    (ours,) = [line for line in lines if line["message"] == "merged 7 rows"]
    assert ours.items() >= {
        "run_id": done.run_id, "partition": "2026-03-01", "stream": "orders", "level": "info",
        "step": "silver__orders",
    }.items()  # fmt: skip
    assert ours["timestamp"].endswith("Z")
    made = next(line for line in lines if line.get("event_type") == "ASSET_MATERIALIZATION")
    assert (made["asset"], made["partition"]) == ("silver/orders", "2026-03-01")


def test_a_file_that_grew_too_large_is_moved_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MOST_BYTES", 10)
    path = tmp_path / "runs.jsonl"
    for text in ("first, and long", "second, and long"):
        path.write_text(text, encoding="utf-8")
        logs.RunLogHandler(str(path)).close()
    assert path.with_name("runs.jsonl.1").read_text(encoding="utf-8") == "second, and long"
    assert path.with_name("runs.jsonl.2").read_text(encoding="utf-8") == "first, and long"
    assert not path.exists()
