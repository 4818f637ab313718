"""Dates of options: one meaning and one refusal, whichever command has them."""

from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from lakehouse.cli import backfill, batch, dq, produce, quarantine, replay, trace
from lakehouse.cli.dates import moment_option, parse_day
from lakehouse.errors import UsageError

parse_moment: Callable[[str], datetime] = moment_option("--from", "").parser


@given(st.dates(), st.datetimes(timezones=st.timezones()))
def test_what_iso_writes_is_read_as_it_was_meant(day: date, when: datetime) -> None:
    assert parse_day("--day")(day.isoformat()) == day
    assert parse_moment(day.isoformat()) == datetime(day.year, day.month, day.day, tzinfo=UTC)
    try:
        expected = when.astimezone(UTC)
    except OverflowError:
        return
    if when.utcoffset() is not None and when.utcoffset().seconds % 60 == 0:  # type: ignore[union-attr]
        assert parse_moment(when.isoformat()) == expected


@pytest.mark.parametrize(
    ("app", "arguments", "said"),
    [
        (backfill.app, ["sales", "--from", "today", "--to", "2026-11-01"], "--from 'today' is no date."),
        (backfill.app, ["sales", "--from", "2026-11-01", "--to", "1.11.2026"], "--to '1.11.2026' is no date."),
        (batch.app, ["yesterday"], "'yesterday' is no date."),
        (dq.app, ["validate", "sales", "--day", "2026-11-01", "--day", "2026-02-30"], "--day '2026-02-30' is no date."),
        (quarantine.app, ["list", "sales", "--day", "x"], "--day 'x' is no date."),
        (trace.app, ["sales", "--key", "a", "--day", "x"], "--day 'x' is no date."),
        (replay.app, ["sales", "--from", "noon"], "--from 'noon' is no time."),
        (replay.app, ["sales", "--from", "2999-01-01"], "--from 2999-01-01 00:00 UTC is in the future."),
        (produce.app, ["db", "--stream", "sales", "--table", "t", "--date", "x"], "--date 'x' is no date."),
        (produce.app, ["user_events", "--to", "x"], "--to 'x' is no time."),
        (produce.app, ["market", "--from", "x"], "--from 'x' is no time."),
    ],
)
def test_every_command_refuses_in_the_same_words(app: typer.Typer, arguments: list[str], said: str) -> None:
    refused = CliRunner().invoke(app, arguments)
    assert isinstance(refused.exception, UsageError)
    assert refused.exception.problem == said
