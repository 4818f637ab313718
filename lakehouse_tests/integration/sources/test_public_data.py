"""Public data sets of other forms through the pipeline to silver, each beside what pandas finds in the raw files."""

import gzip
import json
import os
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from lakehouse.cli.produce import files as produce_files
from lakehouse.contracts.load import load_contract
from lakehouse.contracts.model import StreamContract
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake.drain import drain
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse.sources.landing import landing_folder, send_landed
from lakehouse_tests.conftest import shared_data
from lakehouse_tests.streams import rows_of, send_keyed

pytestmark = [pytest.mark.kafka, pytest.mark.spark, pytest.mark.slow]
KEPT = "Province/State,Country/Region,Lat,Long"
STREAMS = Path(__file__).parents[2] / "public_streams"


@pytest.fixture
def stream(settings: Settings, topic_name: Callable[[str], str]) -> Callable[[str], StreamContract]:
    def of(name: str) -> StreamContract:
        contract = load_contract(STREAMS / f"{name}.yaml")
        contract = contract.model_copy(update={"topic": contract.topic.model_copy(update={"name": topic_name(name)})})
        apply_topics(settings, desired_topics([contract]))
        return contract

    return of


def loaded(settings: Settings, contract: StreamContract) -> str:
    """Drain and prove; the silver table."""
    drain(contract, settings, budget_seconds=240, idle_seconds=0)
    assert verify(settings, [contract]).findings == []
    return LakePaths.of(settings).silver(contract.name)


def land(settings: Settings, contract: StreamContract, name: str, content: bytes) -> None:
    """Drop a file into the stream's folder, as another program would, and send it twice."""
    path = landing_folder(settings, contract.name) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (time.time() - 60, time.time() - 60))
    first, second = send_landed(settings, contract), send_landed(settings, contract)
    assert (first.refused, first.sent > 0, second.sent) == ({}, True, 0)


def lines(name: str) -> list[bytes]:
    return gzip.decompress(shared_data(name).read_bytes()).splitlines()


def test_github_events_keep_their_nested_parts(settings: Settings, stream: Callable[[str], StreamContract]) -> None:
    contract = stream("github_events")
    raw = lines("github_events/events_2021-07-21_06_07.jsonl.gz")
    send_keyed(settings, contract.topic.name, [(json.loads(line)["id"], line) for line in [*raw, *raw[:50]]])
    events = [json.loads(line) for line in raw]
    found = rows_of(loaded(settings, contract), "id, type, actor_login, repo_name, org_login, commits, payload")
    assert {row[0]: tuple(row[1:6]) for row in found} == {
        e["id"]: (e["type"], e["actor"]["login"], e["repo"]["name"], e.get("org", {}).get("login"),
                  len(e["payload"].get("commits", [])))
        for e in events
    }  # fmt: skip
    assert len(found) == len(events) == 400
    assert {row[0]: json.loads(row[6]) for row in found} == {e["id"]: e["payload"] for e in events}


def test_wikipedia_edits_by_channel(settings: Settings, stream: Callable[[str], StreamContract]) -> None:
    contract = stream("wikipedia_edits")
    raw = lines("wikipedia_edits/edits_2015-09-12T00_08.jsonl.gz")
    send_keyed(settings, contract.topic.name, [(None, line) for line in raw])
    identity = ["time", "channel", "page", "namespace", "user", "comment", "delta"]
    frame = pd.DataFrame([json.loads(line) for line in raw]).drop_duplicates(identity)
    wanted = frame.groupby("channel").agg(rows=("page", "size"), delta=("delta", "sum"), bots=("isRobot", "sum"))
    found = rows_of(loaded(settings, contract), "channel, delta, is_robot")
    summed = pd.DataFrame(found, columns=["channel", "delta", "bot"]).groupby("channel")
    got = summed.agg(rows=("delta", "size"), delta=("delta", "sum"), bots=("bot", "sum"))
    assert got.astype(int).to_dict() == wanted.astype(int).to_dict()
    assert len(wanted) == 48


def test_bars_of_a_csv_file(settings: Settings, stream: Callable[[str], StreamContract]) -> None:
    contract = stream("btc_bars")
    (path,) = shared_data("market_bars").glob("btc_perp_1m_*.csv.gz")
    land(settings, contract, "btc.csv", gzip.decompress(path.read_bytes()))
    frame = pd.read_csv(path, dtype=str)
    wanted = {
        row.timestamp[:16]: tuple(Decimal(getattr(row, name)) for name in ("open", "high", "low", "close", "volume"))
        for row in frame.itertuples()
    }
    columns = "strftime(bar_start, '%Y-%m-%d %H:%M'), open, high, low, close, volume"
    assert {row[0]: row[1:] for row in rows_of(loaded(settings, contract), columns)} == wanted
    assert len(wanted) == 10_080


def test_two_sides_of_a_pair_with_minutes_that_nobody_traded(
    settings: Settings, stream: Callable[[str], StreamContract]
) -> None:
    contract = stream("usdjpy_bars")
    wanted: dict[tuple[str, str], tuple[Decimal, ...]] = {}
    for side in ("bid", "ask"):
        (path,) = shared_data("market_bars").glob(f"usdjpy_1m_{side}_*.csv.gz")
        land(settings, contract, f"usdjpy_{side}.csv", gzip.decompress(path.read_bytes()))
        for row in pd.read_csv(path, dtype=str).itertuples():
            prices = (row.open, row.high, row.low, row.close)
            wanted[side, row.timestamp[:16]] = tuple(Decimal(str(price)) for price in prices)
    moment = "strftime(bar_start at time zone 'UTC', '%Y-%m-%d %H:%M')"
    found = rows_of(loaded(settings, contract), f"side, {moment}, open, high, low, close")
    assert {(row[0], row[1]): row[2:] for row in found} == wanted
    assert len(wanted) == 2 * 8_511
    minutes = sorted(datetime.fromisoformat(row[1]) for row in found if row[0] == "bid")
    gaps = [after - before for before, after in pairwise(minutes) if after - before > timedelta(minutes=1)]
    # Single minutes and the weekend: what nobody traded is not there, and the two sides lack the same minutes.
    assert (len(gaps), max(gaps) > timedelta(days=1)) == (8, True)
    assert {row[1] for row in found if row[0] == "ask"} == {row[1] for row in found if row[0] == "bid"}


def test_wide_rates_newest_first_with_gaps(settings: Settings, stream: Callable[[str], StreamContract]) -> None:
    contract = stream("fx_reference")
    path = shared_data("fx_rates/ecb_eurofxref_2019_2021.csv")
    land(settings, contract, "ecb.csv", path.read_bytes())
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    wanted = {
        row.Date: tuple(None if text == "N/A" else Decimal(text) for text in (row.USD, row.JPY, row.HRK))
        for row in frame.itertuples()
    }
    found = rows_of(loaded(settings, contract), "strftime(day, '%Y-%m-%d'), usd, jpy, hrk")
    assert {row[0]: row[1:] for row in found} == wanted
    assert len(found) == 770


def test_revised_months_hold_the_later_files_values(
    settings: Settings, stream: Callable[[str], StreamContract]
) -> None:
    contract = stream("fx_monthly")
    folder = shared_data("fx_rates/monthly_versions")
    first, second = (
        folder / "monthly_20171208T162223Z_0df227c.csv.gz",
        folder / "monthly_20181010T122454Z_cd222c6.csv.gz",
    )
    for number, path in enumerate((first, second)):
        land(settings, contract, f"{number}.csv", gzip.decompress(path.read_bytes()))
    frames = [pd.read_csv(path, dtype=str, keep_default_na=False) for path in (first, second)]
    wanted = {(row.Country, row.Date): row.Value for frame in frames for row in frame.itertuples()}
    found = {
        (country, month): rate
        for country, month, rate in rows_of(loaded(settings, contract), "country, strftime(month, '%Y-%m-%d'), rate")
    }
    assert found == {key: Decimal(text).quantize(Decimal("1e-10")) if text else None for key, text in wanted.items()}
    old = {(row.Country, row.Date): row.Value for row in frames[0].itertuples()}
    assert sum(key in old and old[key] != value for key, value in wanted.items()) >= 22


def test_a_wide_file_that_gains_a_column_every_day(
    settings: Settings, stream: Callable[[str], StreamContract], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = stream("covid_timeseries")
    monkeypatch.setattr("lakehouse.contracts.load.load_stream", lambda _: contract)
    versions = sorted(shared_data("covid19_jhu_timeseries").glob("*.csv.gz"))
    wanted: dict[tuple[str, str, str], int] = {}
    for path in (versions[0], versions[4], versions[-1]):
        plain = tmp_path / path.stem
        plain.write_bytes(gzip.decompress(path.read_bytes()))
        for _ in range(2):
            produce_files(stream=contract.name, path=plain, topic=contract.topic.name, unpivot=KEPT)
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        long = frame.melt(id_vars=["Province/State", "Country/Region", "Lat", "Long"], var_name="day")
        days = pd.to_datetime(long["day"], format="%m/%d/%y").dt.strftime("%Y-%m-%d")
        keys = zip(long["Province/State"], long["Country/Region"], days, strict=True)
        wanted |= dict(zip(keys, long["value"].astype(int), strict=True))
    found = rows_of(loaded(settings, contract), "province, country, strftime(day, '%Y-%m-%d'), deaths")
    assert {row[:3]: row[3] for row in found} == wanted
    assert len(found) == len(wanted)
