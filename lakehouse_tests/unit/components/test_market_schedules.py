"""When the market and COVID pipelines run: their crons, windows, retries, and the hours of each market."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from lakehouse.components.pipeline_assets import build_steps, partitions_def
from lakehouse.components.pipeline_schedules import request_at
from lakehouse.contracts.pipelines import load_pipeline
from lakehouse.sources.market.tick import FIAT


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("name", ["market_crypto", "market_forex"])
def test_market_pipelines_have_windows_of_a_quarter_of_an_hour(name: str) -> None:
    contract = load_pipeline(name)
    assert contract.schedule == "*/15 * * * *"
    windows = partitions_def(contract)
    assert isinstance(windows, dg.TimeWindowPartitionsDefinition)
    window = windows.time_window_for_partition_key("2026-11-18-12:15")
    assert window.end - window.start == timedelta(minutes=15)
    assert [stage for stage, _ in contract.steps()] == ["extract", "transform", "transform", "load"]
    # The pair's two currencies are both looked up in the list that `hours` uses.
    sql = contract.transform[0].sql or ""
    assert {code: sql.count(f"'{code}'") for code in FIAT} == dict.fromkeys(FIAT, 2)


@pytest.mark.parametrize(
    ("moment", "forex_runs"),
    [
        ("2026-11-18T12:30", True),
        ("2026-11-20T22:00", True),  # the window before the close on Friday
        ("2026-11-20T22:15", False),
        ("2026-11-21T12:00", False),
        ("2026-11-22T22:00", False),  # the window before the opening on Sunday
        ("2026-11-22T22:15", True),
        ("2026-07-17T21:15", False),  # an hour earlier in summer
        ("2026-12-25T12:00", False),
    ],
)
def test_the_schedule_skips_what_is_closed_and_says_why(moment: str, forex_runs: bool) -> None:
    forex = request_at(load_pipeline("market_forex"), at(moment))
    crypto = request_at(load_pipeline("market_crypto"), at(moment))
    key = f"{at(moment) - timedelta(minutes=15):%Y-%m-%d-%H:%M}"
    assert isinstance(crypto, dg.RunRequest)
    assert crypto.partition_key == key
    if forex_runs:
        assert isinstance(forex, dg.RunRequest)
        assert forex.partition_key == key
    else:
        assert isinstance(forex, dg.SkipReason)
        assert "the forex market is closed; it opens at 2026-" in str(forex.skip_message)


def test_covid_runs_at_six_for_the_day_before_with_four_stages_and_three_retries() -> None:
    contract = load_pipeline("covid_etl")
    assert contract.schedule == "0 6 * * *"
    request = request_at(contract, at("2026-03-05T06:00"))
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == "2026-03-04"
    assert sorted({stage for stage, _ in contract.steps()}) == ["deliver", "extract", "load", "transform"]
    load = next(asset for asset in build_steps(contract) if asset.key.path[-1] == "daily_reports")
    assert load.op.retry_policy == dg.RetryPolicy(max_retries=3, delay=300)
    blocking = {spec.name for spec in load.check_specs if spec.blocking}
    assert blocking == {"whole_reports", "counts_not_negative", "published_after_the_day_began"}
