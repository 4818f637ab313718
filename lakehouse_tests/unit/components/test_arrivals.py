"""The arrivals sensor as a state machine on a real ephemeral Dagster instance; only broker and table are faked."""

import socket
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from dagster._daemon.sensor import MIN_INTERVAL_LOOP_TIME
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.components import LakeResource
from lakehouse.components.arrivals import (
    ATTEMPT_TAG,
    BACKOFF_MOST_SECONDS,
    POSITION_TAG,
    PastRun,
    _past_runs,
    build_arrivals_sensor,
    decide,
    position,
)
from lakehouse.components.failures import FAILURE_TAG, RETRYABLE_TAG
from lakehouse.components.tables import DRAIN, MODE_TAG, REASON_TAG, STREAM_TAG
from lakehouse.components.workers import mark_worker, worker_mark
from lakehouse.contracts.load import load_stream
from lakehouse.errors import BrokerUnreachableError, ResumePointGoneError
from lakehouse.lake.monitoring.progress import Backlog

SALES = load_stream("sales")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
WAITING = Backlog(
    total=70,
    days=[(date(2026, 11, 18), 50), (date(2026, 11, 20), 20)],
    committed={0: 10, 1: 12},
    topic_id="t1",
    last_batch=4,
    silver_batch=4,
)
EMPTY = replace(WAITING, total=0, days=[])


class FakeLake(LakeResource):
    """Answers with a backlog, or raises what the real one would."""

    def backlog(self, contract: Any) -> Backlog:
        answer = ANSWER[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


ANSWER: list[Any] = [WAITING]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def tick(instance: dg.DagsterInstance, answer: Any) -> Any:
    ANSWER[0] = answer
    sensor = build_arrivals_sensor(SALES, "drain_sales", FakeLake())
    return sensor(dg.build_sensor_context(instance=instance))


def add_run(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, **tags: str) -> str:
    """A drain run with these tags of ours; `{run}` in one stands for the run's id."""
    run_id = str(uuid.uuid4())
    named = {f"lakehouse/{name}": value.replace("{run}", run_id) for name, value in tags.items()}
    run = dg.DagsterRun(
        job_name="drain_sales",
        run_id=run_id,
        status=status,
        tags={STREAM_TAG: "sales", MODE_TAG: DRAIN, **named},
    )
    instance.add_run(run)
    return run.run_id


def test_asks_for_the_oldest_day_with_the_position_in_the_key(instance: dg.DagsterInstance) -> None:
    request = tick(instance, WAITING)
    assert request.partition_key == "2026-11-18"
    assert request.run_key == f"sales/2026-11-18/{position(SALES, WAITING)}/attempt-1"
    assert request.tags[ATTEMPT_TAG] == "1"
    assert request.run_config == {}, "a request carries positions, never payloads"


def test_no_backlog_is_a_skip_with_numbers(instance: dg.DagsterInstance) -> None:
    assert "batch 4" in tick(instance, EMPTY).skip_message


def test_a_tick_with_nothing_new_asks_dagster_for_no_runs(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: Any, **__: Any) -> None:
        raise AssertionError("ten streams ask every five seconds; most find nothing")

    monkeypatch.setattr(instance, "get_run_records", asked)
    assert isinstance(tick(instance, EMPTY), dg.SkipReason)
    with pytest.raises(AssertionError):
        tick(instance, WAITING)


def test_every_look_of_dagsters_daemon_is_a_tick_and_opens_no_database() -> None:
    """A tick is skipped when it comes 4.99 s after the one before and 5 are asked for."""
    sensor = build_arrivals_sensor(SALES, "drain_sales")
    assert sensor.minimum_interval_seconds is not None
    assert sensor.minimum_interval_seconds < MIN_INTERVAL_LOOP_TIME
    assert not sensor.required_resource_keys


def test_silver_behind_bronze_is_work_too(instance: dg.DagsterInstance) -> None:
    request = tick(instance, replace(EMPTY, silver_batch=3))
    assert request.partition_key == datetime.now(tz=UTC).date().isoformat()


@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
)
def test_a_live_run_is_enough(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> None:
    run_id = add_run(instance, status, position="another")
    skip = tick(instance, WAITING)
    assert run_id[:8] in skip.skip_message
    assert "70 rows" in skip.skip_message


def test_broker_down_is_a_skip_that_names_it(instance: dg.DagsterInstance) -> None:
    skip = tick(instance, BrokerUnreachableError("No broker answers at 127.0.0.1:1."))
    assert "127.0.0.1:1" in skip.skip_message


def test_a_lost_resume_point_fails_the_tick(instance: dg.DagsterInstance) -> None:
    with pytest.raises(ResumePointGoneError):
        tick(instance, ResumePointGoneError("Offsets 10 to 20 are gone."))


def test_a_failed_attempt_is_asked_for_again_under_another_key(instance: dg.DagsterInstance) -> None:
    here = position(SALES, WAITING)
    failed = PastRun("run1", is_live=False, is_failed=True, position=here, ended=NOW.timestamp() - 60, attempt=1)
    request = decide(SALES, WAITING, [failed], now=NOW)
    assert isinstance(request, dg.RunRequest)
    assert request.run_key.endswith("/attempt-2")
    assert request.tags[ATTEMPT_TAG] == "2"


def test_attempts_are_read_from_the_instance(instance: dg.DagsterInstance) -> None:
    add_run(instance, dg.DagsterRunStatus.FAILURE, position=position(SALES, WAITING), attempt="7")
    skip = tick(instance, WAITING)
    assert "Attempt 7" in skip.skip_message, "it has just ended: back off first"


def test_a_permanent_failure_is_not_asked_for_again(instance: dg.DagsterInstance) -> None:
    tags = {"position": position(SALES, WAITING), "failure": "TOPIC_RECREATED", "retryable": "false"}
    assert {f"lakehouse/{name}" for name in tags} == {POSITION_TAG, FAILURE_TAG, RETRYABLE_TAG}
    add_run(instance, dg.DagsterRunStatus.FAILURE, **tags)
    skip = tick(instance, WAITING)
    assert "docs/runbooks/TOPIC_RECREATED.md" in skip.skip_message
    moved = replace(WAITING, topic_id="t2")
    assert isinstance(tick(instance, moved), dg.RunRequest), "another position is new work"


def test_a_quality_stop_does_not_hold_back_bronze() -> None:
    here = position(SALES, WAITING)
    stopped = PastRun("r", False, True, here, NOW.timestamp() - 60, failure="QUALITY_STOP", is_retryable=False)
    assert isinstance(decide(SALES, WAITING, [stopped], now=NOW), dg.RunRequest)
    only_silver = replace(EMPTY, silver_batch=3)
    stopped = replace(stopped, position=position(SALES, only_silver))
    assert isinstance(decide(SALES, only_silver, [stopped], now=NOW), dg.SkipReason)


def test_gold_gets_its_turn_between_two_drains(instance: dg.DagsterInstance) -> None:
    assert REASON_TAG == "lakehouse/reason"
    done = PastRun("r", False, False, "before", NOW.timestamp() - 3, reason="idle")
    skip = decide(SALES, WAITING, [done], now=NOW)
    assert isinstance(skip, dg.SkipReason)
    assert "breather" in str(skip.skip_message)
    assert isinstance(decide(SALES, WAITING, [done], now=NOW + timedelta(seconds=8)), dg.RunRequest)
    past_day = replace(done, reason="midnight")
    assert isinstance(decide(SALES, WAITING, [past_day], now=NOW), dg.RunRequest), "old days follow one another at once"


def test_records_older_than_the_stream_name_the_setting_to_change() -> None:
    early = replace(WAITING, days=[(date(2025, 12, 31), 70)])
    skip = decide(SALES, early, [], now=NOW)
    assert isinstance(skip, dg.SkipReason)
    assert "start" in str(skip.skip_message)
    assert "2025-12-31" in str(skip.skip_message)


@given(attempt=st.integers(1, 10_000))
def test_every_attempt_has_its_own_key_and_the_wait_is_bounded(attempt: int) -> None:
    here = position(SALES, WAITING)
    failed = PastRun("r", False, True, here, NOW.timestamp(), attempt=attempt)
    later = NOW + timedelta(seconds=BACKOFF_MOST_SECONDS + 1)
    request = decide(SALES, WAITING, [failed], now=later)
    assert isinstance(request, dg.RunRequest)
    assert request.run_key is not None
    assert request.run_key.endswith(f"/attempt-{attempt + 1}")


def test_a_mended_contract_is_another_position() -> None:
    mended = SALES.model_copy(update={"description": "Another one."})
    assert position(SALES, WAITING) != position(mended, WAITING)


def test_a_run_whose_process_is_gone_does_not_block_the_stream(instance: dg.DagsterInstance) -> None:
    host = socket.gethostname()
    run_id = add_run(instance, dg.DagsterRunStatus.STARTED, position="another", worker=f"{host}/999999999/1/{{run}}")
    assert isinstance(tick(instance, WAITING), dg.RunRequest)
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.FAILURE


GONE = f"{socket.gethostname()}/999999999/1"


@pytest.mark.parametrize(
    "worker",
    ["", "elsewhere/999999999/1/{run}", worker_mark("{run}"), f"{GONE}/the-run-that-this-one-repeats"],
    ids=["unnamed", "elsewhere", "alive", "inherited"],
)
def test_a_run_that_may_live_is_left_alone(instance: dg.DagsterInstance, worker: str) -> None:
    add_run(instance, dg.DagsterRunStatus.STARTED, position="another", worker=worker)
    assert isinstance(tick(instance, WAITING), dg.SkipReason)


def test_a_repeated_run_answers_for_its_own_failure_alone(instance: dg.DagsterInstance) -> None:
    """It starts with the tags of the run that it repeats; killed, it is no stop for good."""
    here = position(SALES, WAITING)
    first = {"worker": f"{GONE}/first", "position": here, "failure": "QUALITY_STOP", "retryable": "false"}
    repeated = add_run(instance, dg.DagsterRunStatus.STARTED, **first)
    mark_worker(instance, repeated, {})
    run = instance.get_run_by_id(repeated)
    assert run is not None
    instance.report_run_failed(run, "Killed.")
    waiting = decide(SALES, WAITING, _past_runs(instance, SALES), now=datetime.now(tz=UTC) + timedelta(days=1))
    assert isinstance(waiting, dg.RunRequest), "asked for again, not stopped for good"

    # What it says of itself stays, also when another of its steps begins.
    instance.add_run_tags(repeated, {FAILURE_TAG: "DISK_FULL"})
    mark_worker(instance, repeated, {})
    run = instance.get_run_by_id(repeated)
    assert run is not None
    assert run.tags[FAILURE_TAG] == "DISK_FULL"
