"""How long unread records live, and the days a backfill may name."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.cli.backfill import days_between
from lakehouse.contracts.load import load_stream
from lakehouse.errors import UsageError
from lakehouse.lake.quality.standing import hours_until_expiry

START, TODAY = date(2026, 1, 1), date(2026, 11, 20)


def test_unread_records_expire_a_retention_after_their_day_began() -> None:
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert hours_until_expiry(load_stream("sales"), date(2026, 11, 15), now=now) == 36
    assert hours_until_expiry(load_stream("sales"), date(2026, 11, 1), now=now) < 0


@given(st.dates(START, TODAY), st.integers(0, 60))
def test_a_backfill_names_each_day_once(first: date, more: int) -> None:
    last = min(first + timedelta(days=more), TODAY)
    days = days_between(first, last, start=START, today=TODAY)
    assert days[0] == first
    assert days[-1] == last
    assert len(days) == (last - first).days + 1


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("2026-11-03", "2026-11-01", "later than"),
        ("2025-12-31", "2026-01-02", "2026-01-01"),
        ("2026-11-19", "2026-11-21", "2026-11-20"),
    ],
)
def test_days_that_make_no_sense_are_refused(first: str, last: str, said: str) -> None:
    with pytest.raises(UsageError) as refusal:
        days_between(date.fromisoformat(first), date.fromisoformat(last), start=START, today=TODAY)
    assert said in refusal.value.one_line()
    assert refusal.value.exit_code == 2
