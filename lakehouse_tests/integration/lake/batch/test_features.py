"""Features of users and the model of them: as in plain Python, nothing of the day in them, the same when repeated."""

import json
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from lakehouse.contracts.pipelines import load_pipeline
from lakehouse.lake.batch.run import run_pipeline
from lakehouse.lake.paths import LakePaths
from lakehouse.settings import Settings
from lakehouse_tests.integration.lake.speed.silver import Event, write_batches
from lakehouse_tests.streams import rows_of

pytestmark = [pytest.mark.spark, pytest.mark.slow]
FIRST = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def some_events() -> list[Event]:
    """Forty days of forty users; those of an even number buy often."""
    rng, events = random.Random(5), []
    for number in range(6_000):
        user = rng.randrange(40)
        kind = "purchase" if rng.random() < (0.5 if user % 2 == 0 else 0.02) else rng.choice(["view", "click"])
        at = FIRST + rng.random() * 40 * DAY
        events.append(Event(number, 0, at, f"U{user}", kind, Decimal("9.99") if kind == "purchase" else Decimal(0)))
    # On the edges of the windows: the first moment of the day, of the 7 and of the 28 days before it, and just before.
    for number, back in enumerate((0, 7, 28)):
        for late, user in ((timedelta(), "on"), (-timedelta(microseconds=1), "before")):
            at = FIRST + 35 * DAY - back * DAY + late
            events.append(Event(7_000 + 2 * number + bool(late), 0, at, f"{user}{back}", "view", Decimal(0)))
    return events


def expected(events: list[Event], day: date) -> dict[str, tuple[int, int, int, Decimal, int, int, int]]:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    found = {}
    for user in {event.user for event in events}:
        mine = [event for event in events if event.user == user and start - 28 * DAY <= event.at < start]
        if not mine:
            continue
        bought = [event for event in mine if event.kind == "purchase"]
        found[user] = (
            sum(event.at >= start - 7 * DAY for event in mine), len(mine), len(bought),
            sum((event.revenue for event in bought), Decimal(0)), len({event.at.date() for event in mine}),
            (day - max(event.at for event in mine).date()).days,
            int(any(e.user == user and e.kind == "purchase" and e.at.date() == day for e in events)),
        )  # fmt: skip
    return found


def test_features_know_nothing_of_their_day_and_the_model_finds_who_buys(settings: Settings) -> None:
    paths, events = LakePaths.of(settings), some_events()
    write_batches(paths, events, 0, 0)
    pipeline = load_pipeline("user_features")
    days = [(FIRST + back * DAY).date() for back in (33, 34, 35)]
    for day in reversed(days):
        reports = {report.step: report for report in run_pipeline(pipeline, day.isoformat(), settings)}
        assert reports["training_set"].failed == []
        wanted = expected(events, day)
        columns = "user_id, events_7d, events_28d, purchases_28d, revenue_28d, active_days_28d, days_since_last, bought"
        rows = rows_of(paths.batch("user_features", "training_set"), f"partition_key, {columns}")
        assert {row[1]: row[2:] for row in rows if row[0] == day.isoformat()} == wanted
    edges = set(expected(events, days[-1]))
    assert ("on0" in edges, "before0" in edges, "on28" in edges, "before28" in edges) == (False, True, True, False)

    models = settings.home / "models" / "user_features"
    # The last one was made before the other days were there; trained again it knows them, and then it stays the same.
    files = []
    for _ in range(2):
        reports = {report.step: report for report in run_pipeline(pipeline, days[-1].isoformat(), settings)}
        files.append((models / f"{days[-1]}.json").read_bytes())
    assert files[0] == files[1]
    model = json.loads(files[0])
    assert model["rows"] == reports["model"].details["rows"] == sum(len(expected(events, day)) for day in days)
    assert model["auc"] > 0.8, "who bought often buys again"
    assert model["log_loss"] < model["log_loss_of_the_share"]
    assert sorted(Path(file).name for file in models.iterdir()) == [f"{day}.json" for day in days]
