"""Launching a job over Dagster's API: where it lies, its partition, how it ends, what is said when it is refused."""

import pytest

from lakehouse.ops import dagster_api
from lakehouse.ops.dagster_api import DagsterRefusedError, jobs_under_way, launch_job, wait_for_run

PLACES = {"nodes": [{"name": "r", "location": {"name": "lakehouse"}, "jobs": [{"name": "drain_sales"}]}]}


@pytest.fixture
def dagster(monkeypatch):
    """Answers by the question's first field; what was asked, with its variables."""
    answers, asked = {"repositoriesOrError": PLACES}, []

    def ask(url, query, variables):
        asked.append(variables)
        return {name: answer for name, answer in answers.items() if name in query}

    monkeypatch.setattr(dagster_api, "_ask", ask)
    monkeypatch.setattr(dagster_api, "_POLL_SECONDS", 0)
    return answers, asked


def test_a_job_is_launched_where_it_lies_for_its_partition(dagster):
    answers, asked = dagster
    answers["launchRun"] = {"__typename": "LaunchRunSuccess", "run": {"runId": "r1"}}
    assert launch_job("http://d", "drain_sales", partition="2026-11-22") == "r1"
    params = asked[-1]["params"]
    assert params["selector"] == {
        "repositoryLocationName": "lakehouse", "repositoryName": "r", "jobName": "drain_sales"
    }  # fmt: skip
    assert params["executionMetadata"]["tags"] == [{"key": "dagster/partition", "value": "2026-11-22"}]


def test_an_unknown_job_and_a_refusal_are_told(dagster):
    answers, _ = dagster
    with pytest.raises(DagsterRefusedError, match="has no job drain_sails"):
        launch_job("http://d", "drain_sails")
    answers["launchRun"] = {"__typename": "PythonError", "message": "no instance"}
    with pytest.raises(DagsterRefusedError, match="did not launch drain_sales: no instance"):
        launch_job("http://d", "drain_sales")


def test_a_run_is_waited_for_until_it_ends_or_patience_does(dagster):
    answers, _ = dagster
    answers["runOrError"] = {"__typename": "Run", "status": "FAILURE"}
    assert wait_for_run("http://d", "r1", patience_seconds=60) == "FAILURE"
    answers["runOrError"] = {"__typename": "Run", "status": "STARTED"}
    assert wait_for_run("http://d", "r1", patience_seconds=-1) == "STARTED"
    answers["runOrError"] = {"__typename": "RunNotFoundError", "message": "unknown"}
    with pytest.raises(DagsterRefusedError, match="Run r1: unknown"):
        wait_for_run("http://d", "r1", patience_seconds=60)


def test_jobs_under_way_are_those_of_runs_that_have_not_ended(dagster):
    answers, _ = dagster
    answers["runsOrError"] = {"__typename": "Runs", "results": [{"jobName": "drain_sales"}, {"jobName": "drain_sales"}]}
    assert jobs_under_way("http://d") == {"drain_sales"}
    answers["runsOrError"] = {"__typename": "PythonError", "message": "no instance"}
    with pytest.raises(DagsterRefusedError, match="names no runs: no instance"):
        jobs_under_way("http://d")
