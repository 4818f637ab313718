"""`lakehouse gold`: what it says and how it ends; building itself is tested with the real dbt."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lakehouse.cli.gold import app
from lakehouse.errors import EXIT_UNHEALTHY, EXIT_USAGE
from lakehouse.lake.gold import builds

GOOD = builds.GoldReport(
    True, Path("/g/gold.duckdb"), "incremental", {"sales": 7, "retail": 2}, {"sales": 3, "retail": None},
    models=19, tests_passed=29, seconds=4.2,
)  # fmt: skip
BROKEN = builds.GoldReport(
    False,
    Path("/g/gold.duckdb"),
    "full",
    {"sales": 8},
    {"sales": None},
    failures=["test not_null_x: fail: Got 3 results"],
)


def run(monkeypatch: pytest.MonkeyPatch, report: builds.GoldReport, arguments: list[str]) -> tuple[Any, dict[str, Any]]:
    asked: dict[str, Any] = {}

    def build(settings: object, **options: Any) -> builds.GoldReport:
        asked.update(options)
        options["on_progress"](1, 2, "fct_sales")
        return report

    monkeypatch.setattr(builds, "build", build)
    return CliRunner().invoke(app, arguments), asked


def test_without_a_sub_command_it_builds_and_says_from_what(monkeypatch: pytest.MonkeyPatch) -> None:
    result, asked = run(monkeypatch, GOOD, [])

    assert result.exit_code == 0
    assert "from silver sales v7 (3 dates), retail v2" in result.stdout.replace("\n", " ")
    assert (asked["select"], asked["full_refresh"]) == (None, False)


def test_options_reach_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    _, asked = run(monkeypatch, GOOD, ["build", "--select", "fct_sales", "--full-refresh"])

    assert (asked["select"], asked["full_refresh"]) == ("fct_sales", True)


def test_unpublished_build_is_exit_code_10_and_names_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _ = run(monkeypatch, BROKEN, [])

    assert result.exit_code == EXIT_UNHEALTHY
    assert "not_null_x" in result.stderr
    assert "readers keep" in result.stderr
    assert result.stdout == ""


def test_json_is_the_whole_report(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _ = run(monkeypatch, BROKEN, ["--json"])

    report = json.loads(result.stdout)
    assert result.exit_code == EXIT_UNHEALTHY
    assert (report["published"], report["versions"], report["path"]) == (False, {"sales": 8}, "/g/gold.duckdb")


def test_empty_selection_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    result, asked = run(monkeypatch, GOOD, ["--select", " "])

    assert result.exit_code == EXIT_USAGE
    assert asked == {}
