"""What the demo says when Dagster ran nothing: the reason out of the daemon's log and of the last run that failed."""

import json

from lakehouse.cli.demo_beside import too_long
from lakehouse.settings import load_settings


def test_the_reason_is_what_the_daemon_and_the_last_failed_run_said(tmp_path, monkeypatch):
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    settings = load_settings()
    assert "No run has failed" in too_long(settings, "After 600 s nothing came.").why
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "dagster-daemon.log").write_text("well\nCommandError: more than one head\nstill beating\n")
    assert "daemon said: CommandError: more than one head" in too_long(settings, "After 600 s nothing came.").why
    failure = {"run_id": "3f2a9c11-2", "job": "sales_drain", "event_type": "STEP_FAILURE", "cause": "OFFSET_GAP: gone"}
    (logs / "runs.jsonl").write_text(json.dumps(failure) + "\n")
    error = too_long(settings, "After 600 s nothing came.")
    assert "(3f2a9c11, sales_drain) said: OFFSET_GAP: gone" in error.why
    assert str(logs) in error.fix
