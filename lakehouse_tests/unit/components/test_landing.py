"""The sensor on landing folders: one run per set of files, tried again when that may help, never twice for nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from lakehouse.components.failures import RETRYABLE_TAG
from lakehouse.components.landing import JOB, POSITION_TAG, landed_files
from lakehouse.components.resources import LakeResource
from lakehouse.components.tables import STREAM_TAG
from lakehouse.settings import load_settings
from lakehouse.sources.landing import landed, landing_folder, position


class Landing(LakeResource):
    """Two streams have files."""

    def landed(self) -> dict[str, str]:
        return {"retail": "one", "sales": "two"}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def tick(instance: dg.DagsterInstance) -> list[Any]:
    return list(landed_files(dg.build_sensor_context(instance=instance, resources={"lake": Landing()})))  # type: ignore[arg-type]


def past(instance: dg.DagsterInstance, stream: str, here: str, outcome: str, **tags: str) -> None:
    """A run of the job that ended so, or is under way."""
    status = dg.DagsterRunStatus[outcome]
    instance.create_run_for_job(job_def=_job(), status=status, tags={STREAM_TAG: stream, POSITION_TAG: here, **tags})


def _job() -> dg.JobDefinition:
    @dg.op
    def nothing() -> None: ...

    @dg.job(name=JOB)
    def job() -> None:
        nothing()

    return job


def keys(found: list[Any]) -> list[str]:
    return [request.run_key for request in found if isinstance(request, dg.RunRequest)]


def test_each_stream_with_new_files_gets_one_run(instance: dg.DagsterInstance) -> None:
    first = tick(instance)
    assert keys(first) == ["retail/one/attempt-1", "sales/two/attempt-1"]
    assert first[0].tags == {STREAM_TAG: "retail", POSITION_TAG: "one"}
    past(instance, "retail", "one", "SUCCESS")
    past(instance, "sales", "two", "STARTED")
    (skip,) = tick(instance)
    assert isinstance(skip, dg.SkipReason)


def test_a_failure_that_may_pass_is_tried_five_times_and_a_bad_file_once(instance: dg.DagsterInstance) -> None:
    past(instance, "sales", "two", "FAILURE", **{RETRYABLE_TAG: "false"})
    for attempt in range(1, 6):
        assert keys(tick(instance)) == [f"retail/one/attempt-{attempt}"]
        past(instance, "retail", "one", "FAILURE", **{RETRYABLE_TAG: "true"})
    assert keys(tick(instance)) == []
    past(instance, "sales", "another position", "FAILURE")
    assert keys(tick(instance)) == []


def test_a_file_counts_when_nobody_writes_to_it_any_more(tmp_path: Path) -> None:
    import os
    import time

    settings = load_settings(LAKEHOUSE_HOME=tmp_path)
    folder = landing_folder(settings, "retail")
    folder.mkdir(parents=True)
    for name, age in (("b.csv", 60), ("a.csv", 60), ("fresh.csv", 0), ("note.txt", 60)):
        (folder / name).write_text(name, encoding="utf-8")
        os.utime(folder / name, (time.time() - age, time.time() - age))
    found = landed(settings, "retail")
    assert [path.name for path in found] == ["a.csv", "b.csv"]
    here = position(found)
    (folder / "a.csv").write_text("other", encoding="utf-8")
    assert position(found) != here
