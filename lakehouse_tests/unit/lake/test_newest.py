"""The newest time in silver: in UTC, to the microsecond, among the rows asked for; nothing where nothing is."""

from datetime import UTC, datetime

import pyarrow as pa
from deltalake import write_deltalake

from lakehouse.lake.newest import newest_time
from lakehouse.lake.paths import LakePaths
from lakehouse.settings import load_settings

EARLY, LATE = (datetime(2026, 11, 20, 21, 59, 54, 6, tzinfo=UTC), datetime(2026, 11, 22, 12, 0, tzinfo=UTC))


def test_the_newest_of_the_rows_that_meet_the_condition(tmp_path):
    settings = load_settings(LAKEHOUSE_HOME=tmp_path)
    assert newest_time(settings, "market_data", "event_time") is None, "no table yet"
    rows = pa.table(
        {"symbol": ["EUR/USD", "BTC/USDT"], "event_time": pa.array([EARLY, LATE], pa.timestamp("us", "UTC"))}
    )
    write_deltalake(LakePaths.of(settings).silver("market_data"), rows)
    assert newest_time(settings, "market_data", "event_time") == LATE
    assert newest_time(settings, "market_data", "event_time", where="symbol = 'EUR/USD'") == EARLY
    assert newest_time(settings, "market_data", "event_time", where="symbol = 'X'") is None
