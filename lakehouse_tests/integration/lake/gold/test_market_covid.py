"""Market events and published reports through their pipelines to gold, each figure beside a second computation."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.pipelines import load_pipeline
from lakehouse.contracts.window import window_of
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake.batch.run import run_pipeline
from lakehouse.lake.drain import drain
from lakehouse.lake.gold import builds
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse.sources.covid.feed import places
from lakehouse.sources.market.simulator import MarketSimulator
from lakehouse.sources.sales import spread_over
from lakehouse_tests.conftest import shared_data
from lakehouse_tests.streams import rows_of, send_keyed

pytestmark = [pytest.mark.kafka, pytest.mark.spark, pytest.mark.slow]
WEDNESDAY = datetime(2026, 11, 18, 12, tzinfo=UTC)
WINDOW = "2026-11-18-12:15"


def own_topic(settings: Settings, stream: str) -> StreamContract:
    """The stream on a topic of this test."""
    contract = load_stream(stream)
    topic = contract.topic.model_copy(update={"name": f"{stream}_{settings.home.parent.name}_{id(contract)}"})
    return contract.model_copy(update={"topic": topic})


@dataclass
class Loaded:
    settings: Settings
    contracts: dict[str, StreamContract]
    ticks: list[Any]
    steps: dict[str, list[Any]]
    report: builds.GoldReport

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(builds.gold_path(self.settings)), read_only=True) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def loaded(module_settings: Settings) -> Iterator[Loaded]:
    settings = module_settings
    with pytest.MonkeyPatch.context() as patch:
        contracts = {name: own_topic(settings, name) for name in ("market_data", "covid_updates")}
        patch.setattr("lakehouse.lake.batch.streams.load_stream", contracts.__getitem__)
        apply_topics(settings, desired_topics(list(contracts.values())))
        now = spread_over(WEDNESDAY, WEDNESDAY + timedelta(hours=1), 4_000)
        source = iter(MarketSimulator(seed=3, now=now))
        ticks = [next(source) for _ in range(4_000)]
        send_keyed(settings, contracts["market_data"].topic.name, [tick.message() for tick in ticks])

        folder = settings.home / "landing" / "covid"
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.symlink_to(shared_data("covid19_jhu_daily"))
        covid = load_pipeline("covid_etl")
        deliver = covid.deliver[0].model_copy(
            update={"options": {"table": "daily_reports", "topic": contracts["covid_updates"].topic.name}}
        )
        covid = covid.model_copy(update={"deliver": [deliver]})
        steps = {WINDOW: run_pipeline(load_pipeline("market_crypto"), WINDOW, settings)}
        for day in PIPELINE_DAYS:
            steps[day] = run_pipeline(covid, day, settings)
        # The other days as the pipeline sends them, the latest publication first: it wins, not the latest arrival.
        others = [window_of("daily", day, covid.start) for day in publication_days() if day not in PIPELINE_DAYS]
        events = [row for window in others for row in places(window, {"folder": "covid"}, settings)]
        send_keyed(settings, contracts["covid_updates"].topic.name, [message_of(event) for event in events])
        drain(contracts["covid_updates"], settings, budget_seconds=240, idle_seconds=0)
        yield Loaded(settings, contracts, ticks, steps, builds.build(settings))


# One with a broken report and its repair hours later, one of the first era.
PIPELINE_DAYS = ("2020-04-01", "2020-02-29")


def publication_days() -> list[str]:
    """Every day on which a report or a revision was published, the latest first."""
    manifest = pd.read_csv(shared_data("covid19_jhu_daily") / "manifest.csv", dtype=str)
    return sorted({str(moment)[:10] for moment in manifest["published_at_utc"]}, reverse=True)


def message_of(row: dict[str, Any]) -> tuple[str, bytes]:
    """A row as an event, in plain Python."""
    event = row | {"reported_for": f"{row['report_date']}T00:00:00Z"}
    return row["location"], json.dumps(event, default=lambda value: value.isoformat()).encode()


@cache
def files() -> list[tuple[date, datetime, Path]]:
    manifest = pd.read_csv(shared_data("covid19_jhu_daily") / "manifest.csv", dtype=str)
    found = []
    for row in manifest.itertuples():
        published = datetime.fromisoformat(str(row.published_at_utc)).replace(tzinfo=None)
        if "2020-04-01/v01" not in str(row.file):
            path = shared_data("covid19_jhu_daily") / str(row.file)
            found.append((date.fromisoformat(str(row.report_date)), published, path))
    return found


@cache
def frame_of(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    frame.columns = [name.replace("/", "_").replace("Province_State", "province") for name in frame.columns]
    frame = frame.rename(columns={"Country_Region": "country"})
    for name in ("Confirmed", "Deaths", "Recovered"):
        frame[name] = frame[name].astype(int)
    # Some names were published with a space before them.
    frame["province"], frame["country"] = frame["province"].str.strip(), frame["country"].str.strip()
    joined = (frame["province"] + ", " + frame["country"]).str.removeprefix(", ")
    frame["location"] = frame.get("Combined_Key", joined)
    return frame


def known_on(moment: datetime) -> dict[tuple[date, str], int]:
    """Confirmed cases per day and place as known at a moment: of the last publication of each day by then."""
    latest: dict[date, tuple[datetime, Path]] = {}
    for report_date, published, path in files():
        if published <= moment and (report_date not in latest or published > latest[report_date][0]):
            latest[report_date] = (published, path)
    return {
        (day, row.location): row.Confirmed for day, (_, path) in latest.items() for row in frame_of(path).itertuples()
    }


def test_bars_of_the_pipeline_and_of_gold_are_those_of_plain_python(loaded: Loaded) -> None:
    assert loaded.report.published, loaded.report.failures
    wanted: dict[tuple[str, datetime], list[Any]] = {}
    for tick in loaded.ticks:
        start = tick.event_time.replace(minute=tick.event_time.minute // 15 * 15, second=0, microsecond=0)
        wanted.setdefault((tick.symbol, start.replace(tzinfo=None)), []).append(tick)
    bars = {
        key: (
            Decimal(ticks[0].price), max(Decimal(t.price) for t in ticks), min(Decimal(t.price) for t in ticks),
            Decimal(ticks[-1].price), sum((Decimal(t.volume or 0) for t in ticks), Decimal()), len(ticks),
        )
        for key, ticks in wanted.items()
    }  # fmt: skip
    columns = "open_price, high_price, low_price, close_price, volume, ticks"
    found = {row[:2]: row[2:] for row in loaded.ask(f"select symbol, bar_start, {columns} from fct_market_bar")}
    assert found == bars
    assert len(bars) == 12

    stored = rows_of(
        LakePaths.of(loaded.settings).batch("market_crypto", "bars"),
        "symbol, window_start at time zone 'UTC', open, high, low, close, volume, tick_count, partition_key",
    )
    window = datetime(2026, 11, 18, 12, 15)  # noqa: DTZ001 - as DuckDB gives it
    crypto = ("BTC/USDT", "ETH/USD")
    assert sorted(stored) == sorted((symbol, window, *bars[symbol, window], WINDOW) for symbol in crypto)
    processed = loaded.steps[WINDOW][0]
    assert (processed.step, processed.rows, [check.passed for check in processed.checks]) == (
        "processed", 1, [True, True],
    )  # fmt: skip


def test_broken_reports_are_refused_and_said(loaded: Loaded) -> None:
    by_day = {day: {step.step: step for step in steps} for day, steps in loaded.steps.items() if day != WINDOW}
    assert {day: steps["refused"].rows for day, steps in by_day.items() if steps["refused"].rows} == {"2020-04-01": 1}
    (check,) = (c for c in by_day["2020-04-01"]["refused"].checks if c.name == "nothing_refused")
    assert (check.passed, check.blocking) == (False, False)
    for day, steps in by_day.items():
        lengths = [len(frame_of(path)) for _, published, path in files() if published.date().isoformat() == day]
        assert steps["places"].rows == steps["daily_reports"].rows == sum(lengths)
        assert steps["covid_updates"].details["sent"] == sum(lengths)
        assert steps["daily_reports"].failed == []


def test_the_latest_publication_of_each_day_counts_once(loaded: Loaded) -> None:
    forever = datetime(2030, 1, 1)  # noqa: DTZ001 - the manifest's times carry no zone here
    wanted: dict[date, int] = {}
    for (day, _), confirmed in known_on(forever).items():
        wanted[day] = wanted.get(day, 0) + confirmed
    found = dict(loaded.ask("select report_date, cast(sum(confirmed) as bigint) from fct_covid_daily group by 1"))
    assert found == wanted
    pairs = loaded.ask("select report_date, count(*), count(distinct published_at) from fct_covid_daily group by 1")
    assert all(publications == 1 for _, _, publications in pairs)
    china = loaded.ask("select distinct country from fct_covid_daily where country in ('China', 'Mainland China')")
    assert china == [("China",)]
    new = loaded.ask(
        "select sum(new_confirmed) from fct_covid_daily where report_date = date '2020-02-28' and country = 'Israel'"
    )
    israel = {day: known_on(forever)[day, "Israel"] for day in (date(2020, 2, 27), date(2020, 2, 28))}
    assert new == [(israel[date(2020, 2, 28)] - israel[date(2020, 2, 27)],)]


def test_history_knows_what_was_known_at_any_moment(loaded: Loaded) -> None:
    published = [moment for _, moment, _ in files()]
    assert len(published) == 57
    history = loaded.ask("select report_date, location, confirmed, valid_from, valid_to from covid_report_history")
    # Just before and at every publication: a revision shows from its own second on, and not before.
    for moment in sorted({*published, *(each - timedelta(seconds=1) for each in published)}):
        found = [row[:3] for row in history if row[3] <= moment and (row[4] is None or row[4] > moment)]
        assert {(day, place): confirmed for day, place, confirmed in found} == known_on(moment), moment
        assert len(found) == len({row[:2] for row in found}), moment


def test_both_streams_are_proved_to_gold(loaded: Loaded) -> None:
    proof = verify(loaded.settings, list(loaded.contracts.values()))
    assert proof.findings == []
    assert all(each.gold_version is not None for each in proof.proofs)
