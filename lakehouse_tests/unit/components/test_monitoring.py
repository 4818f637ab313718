"""Runs as figures, failed runs as mail (retried ones silent), runs and backfills as the audit table."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from lakehouse.components import LakeResource
from lakehouse.components.audit import actor_of, dagster_actions
from lakehouse.components.failed_runs import build_failure_sensor
from lakehouse.components.pipeline import build_pipeline_defs
from lakehouse.components.run_metrics import sample_runs
from lakehouse.contracts.pipelines import load_pipeline
from lakehouse.errors import SettingsError
from lakehouse.lake.events import Fact, write_facts
from lakehouse.lake.guards.identity import require_lake
from lakehouse.lake.monitoring.audit import record
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.quality.store import read_rows
from lakehouse.settings import load_settings
from lakehouse_tests.streams import rows_of
from lakehouse_tests.unit.ops.servers import Mailbox, mail_server


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("LAKEHOUSE_ROOT", str(tmp_path / "lake"))
    return tmp_path


@pytest.fixture
def mail(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    with mail_server() as box:
        monkeypatch.setenv("SMTP_HOST", "127.0.0.1")
        monkeypatch.setenv("SMTP_PORT", str(box.port))
        yield box


@dg.op(config_schema={"fail": bool})
def work(context: dg.OpExecutionContext) -> None:
    if context.op_config["fail"]:
        raise dg.Failure("the disk is full")


@dg.job
def load() -> None:
    work()


def run(instance: dg.DagsterInstance, *, fail: bool, **tags: str) -> dg.ExecuteInProcessResult:
    config = {"ops": {"work": {"config": {"fail": fail}}}}
    return load.execute_in_process(
        instance=instance,
        run_config=config,
        raise_on_error=False,
        tags={k.replace("__", "/"): v for k, v in tags.items()},
    )


def tick(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> Any:
    context = dg.build_run_status_sensor_context(
        sensor_name="failed_runs",
        dagster_event=next(e for e in result.all_events if e.event_type_value == "PIPELINE_FAILURE"),
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        resources={"lake": LakeResource()},
    ).for_run_failure()
    return build_failure_sensor()(context)


def test_jobs_are_measured_by_their_runs_of_a_day(instance: dg.DagsterInstance) -> None:
    for fail in (False, False, True, False):
        run(instance, fail=fail)
    figures = {sample.metric: sample.value for sample in sample_runs(instance, now=datetime.now(UTC))}
    assert figures["run_success_ratio"] == 0.75
    assert figures["runs_finished"] == 4
    assert 0 <= figures["run_seconds"] < 60
    assert "run_failed" not in figures, "the latest run is well"
    run(instance, fail=True)
    failed = [sample for sample in sample_runs(instance, now=datetime.now(UTC)) if sample.metric == "run_failed"]
    assert [sample.labels["job"] for sample in failed] == ["load"]


def test_a_failure_is_mailed_and_a_retry_is_not(instance: dg.DagsterInstance, mail: Mailbox) -> None:
    for tags in (
        {"dagster__will_retry": "true"},
        {"lakehouse__mode": "drain", "lakehouse__attempt": "2", "lakehouse__retryable": "true"},
    ):
        said = tick(instance, run(instance, fail=True, **tags))
        assert "is tried again" in said.skip_message
    assert mail.mails == []
    third = {"lakehouse__mode": "drain", "lakehouse__attempt": "3", "lakehouse__retryable": "true"}
    said = tick(instance, run(instance, fail=True, **third))
    assert "email sent" in said.skip_message
    ((recipients, message),) = mail.mails
    assert recipients == ["alerts@company.com"]
    assert "job load failed" in str(message["Subject"])
    assert "the disk is full" in message.get_payload() or "work" in message.get_payload()
    assert "docs/runbooks/alerts/pipeline_failure.md" in message.get_payload()
    tick(instance, run(instance, fail=True))
    assert len(mail.mails) == 1, "the same trouble is told once"


def test_a_failed_run_of_covid_etl_is_mailed(instance: dg.DagsterInstance, mail: Mailbox, home: Path) -> None:
    contract = load_pipeline("covid_etl")
    assert (contract.retries.attempts, contract.retries.delay) == (3, timedelta(minutes=5))
    # The lake is another one than this folder's: final, before any service is asked.
    require_lake(load_settings())
    (home / "lake").rename(home / "other")
    found = dg.Definitions.merge(build_pipeline_defs(contract), dg.Definitions(resources={"lake": LakeResource()}))
    job = found.resolve_job_def("covid_etl")
    result = job.execute_in_process(instance=instance, partition_key="2026-03-01", raise_on_error=False)
    assert not result.success
    assert "email sent" in tick(instance, result).skip_message
    ((recipients, message),) = mail.mails
    assert recipients == ["alerts@company.com"]
    assert "job covid_etl failed" in str(message["Subject"]).replace("\n", "")
    assert "docs/runbooks/alerts/pipeline_failure.md" in message.get_payload()


def test_every_failure_is_written_down_and_a_wrong_handler_silences_no_mail(
    instance: dg.DagsterInstance, home: Path, mail: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick(instance, run(instance, fail=True, dagster__will_retry="true"))
    assert mail.mails == []
    facts = rows_of(LakePaths(str(home / "lake")).events, "kind, stream, details")
    assert [(kind, stream) for kind, stream, _ in facts] == [("alert", "load")]
    monkeypatch.setenv("LAKEHOUSE_INCIDENT_HANDLERS", "lakehouse.ops.nowhere:shout")
    with pytest.raises(SettingsError, match="nowhere"):
        tick(instance, run(instance, fail=True))
    assert len(mail.mails) == 1


def test_a_stop_for_good_is_mailed_at_the_first_attempt(instance: dg.DagsterInstance, mail: Mailbox) -> None:
    tick(instance, run(instance, fail=True, lakehouse__mode="drain", lakehouse__retryable="false",
                       lakehouse__failure="TOPIC_RECREATED"))  # fmt: skip
    assert "TOPIC_RECREATED" in mail.mails[0][1].get_payload()


def test_each_action_is_in_the_audit_table_once(instance: dg.DagsterInstance, home: Path) -> None:
    run(instance, fail=False, dagster__schedule_name="nightly")
    run(instance, fail=True, user="ada")
    paths = LakePaths(str(home / "lake"))
    write_facts(
        paths, [Fact("sales", "bronze", "batch"), Fact("sales", "silver", "maintenance", details={"who": "bob"})]
    )
    lake, now = LakeResource(), datetime.now(UTC)
    assert lake.audit(dagster_actions(instance, now=now), now=now) == 3
    assert lake.audit(dagster_actions(instance, now=now), now=now) == 0
    rows = {(row["actor"], row["action"], row["outcome"]) for row in read_rows(paths.audit)}
    assert rows == {
        ("schedule:nightly", "run", "success"), ("ada", "run", "failure"), ("bob", "maintenance", "done"),
    }  # fmt: skip
    assert record(paths, []) == 0
    assert actor_of(instance.get_runs()[0]) == "ada"
