"""User events from the generator through Kafka to windows, batch view, serving view and gold, counted beside Python."""

import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lakehouse.contracts.load import load_stream
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake.batch.daily_views import build_daily_agg, record_of, stale_days
from lakehouse.lake.drain import drain
from lakehouse.lake.gold import builds
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.rebuild.backfill import rebuild_silver
from lakehouse.lake.serving.kpi_page import publish_kpis
from lakehouse.lake.serving.view import read_kpis, serving
from lakehouse.lake.speed.run import advance
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse.sources.config import resolve
from lakehouse.sources.producer import EventSender
from lakehouse.sources.user_events import UserEventGenerator
from lakehouse_tests.streams import rows_of

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
Key = tuple[date, str, str]


def model(values: list[bytes]) -> dict[Key, tuple[int, Decimal, datetime]]:
    """Events, revenue and last event by day, user and type, each event id once."""
    groups: dict[Key, list[tuple[Decimal, datetime]]] = defaultdict(list)
    for event in {event["event_id"]: event for event in map(json.loads, values)}.values():
        at = datetime.fromisoformat(event.get("timestamp") or event["event_time"])
        groups[at.date(), event["user_id"], event["event_type"]].append((Decimal(str(event["revenue"])), at))
    return {
        key: (len(members), sum((money for money, _ in members), Decimal()), max(at for _, at in members))
        for key, members in groups.items()
    }


def served(settings: Settings) -> dict[Key, tuple[int, Decimal, datetime]]:
    with serving(settings) as duck:
        rows = duck.execute(
            "select date, user_id, event_type, event_count, total_revenue, last_event from daily_agg"
        ).fetchall()
    found = {row[:3]: (row[3], row[4], row[5].astimezone(UTC)) for row in rows}
    assert len(found) == len(rows), "one answer per day, user and type"
    return found


def test_batch_speed_and_serving_say_the_same_about_what_was_sent(
    settings: Settings, topic_name: Callable[[str], str]
) -> None:
    stream = load_stream("user_events")
    topic = stream.topic.model_copy(update={"name": topic_name("user-events"), "partitions": 4})
    contract = stream.model_copy(update={"topic": topic})
    apply_topics(settings, desired_topics([contract]))
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    # Two days and a bit, in order: nothing is late, so that the speed layer has everything.
    times = iter([today - timedelta(days=2) + timedelta(minutes=8 * n) for n in range(400)])
    generator = UserEventGenerator(seed=5, duplicate_share=0.1, now=lambda: next(times).timestamp())
    sent = [(event.key, event.value) for event, _ in zip(generator, range(400), strict=False)]
    sent = [(key, value) for key, value in sent if _at(value) < datetime.now(UTC)]
    options = resolve(topic=topic.name, interval=0)
    sender = EventSender(options.settings, topic.name, options.client)
    sender.send(list(sent))
    sender.settle()
    drain(contract, settings, budget_seconds=240, idle_seconds=0)
    paths = LakePaths.of(settings)
    truth = model([value for _, value in sent])
    by_user = rows_of(paths.bronze("user_events"), "cast(key as varchar), partition")
    assert {user for user, _ in by_user} == {key for key, _ in sent}
    assert len(set(by_user)) == len({user for user, _ in by_user}), "a user's events are on one partition"

    # Sent in one go: one bronze batch, in which nobody is late, and the speed layer alone has every day.
    advance(settings)
    assert served(settings) == truth
    days = stale_days(settings, now=today + timedelta(hours=2))
    assert days == [(today - timedelta(days=back)).date() for back in (2, 1)]
    report = build_daily_agg(settings, days, now=today + timedelta(hours=2))
    assert report.boundary == days[-1]
    assert stale_days(settings, now=today + timedelta(hours=2)) == []
    assert served(settings) == truth, "the same answer, now from both layers"
    batch = rows_of(paths.batch_view("daily_agg"), "date, user_id, event_type, event_count, total_revenue, last_event")
    assert {row[:3]: (row[3], row[4], row[5].astimezone(UTC)) for row in batch} == {
        key: value for key, value in truth.items() if key[0] in days
    }
    folders = sorted(path.name for path in (_table(paths) / f"date={days[0]}").iterdir())
    assert folders == ["event_type=click", "event_type=purchase", "event_type=view"]

    # One day again: it alone is written, and a partition of another day keeps its files.
    other = sorted((_table(paths) / f"date={days[0]}").rglob("*.parquet"))
    rebuild_silver(contract, settings, [days[1]])
    assert stale_days(settings, now=today + timedelta(hours=2)) == [days[1]]
    build_daily_agg(settings, [days[1]], now=today + timedelta(hours=2))
    assert sorted((_table(paths) / f"date={days[0]}").rglob("*.parquet")) == other
    record = record_of(paths)
    assert record is not None
    assert record.boundary == days[-1]
    advance(settings)
    assert served(settings) == truth

    # Computed anew after the backfill, the windows now know who had bought something on the complete days.
    customers = {user for day, user, kind in truth if day in days and kind == "purchase"}
    known = {user for day, user, _ in truth if day in days}
    segments: Counter[str] = Counter()
    for (_, user, _), (count, _, _) in truth.items():
        segments["customer" if user in customers else "visitor" if user in known else "new"] += count
    found = rows_of(paths.speed("segment_counts_1m"), "segment, event_count")
    assert sum((Counter({segment: count}) for segment, count in found), Counter()) == segments

    kpis = read_kpis(settings)
    assert {(row["date"], row["layer"]) for row in kpis.by_day} >= {(day, "batch") for day in days}
    per_day: Counter[date] = Counter()
    for (day, _, _), (count, _, _) in truth.items():
        per_day[day] += count
    assert {row["date"]: row["events"] for row in kpis.by_day} == per_day
    page = publish_kpis(settings).path.read_text(encoding="utf-8")
    assert '<meta http-equiv="refresh" content="5">' in page
    assert f"<td>{days[0]}</td><td>batch</td><td>{per_day[days[0]]:,}</td>" in page

    # Everything but bronze is lost: it is computed again, the same.
    for lost in ("silver/user_events", "speed", "batch-views"):
        shutil.rmtree(Path(paths.root) / lost)
    drain(contract, settings, budget_seconds=240, idle_seconds=0)
    advance(settings)
    assert served(settings) == truth
    at = today + timedelta(hours=2)
    assert build_daily_agg(settings, stale_days(settings, now=at), now=at).boundary == days[-1]
    assert served(settings) == truth

    assert builds.build(settings).published
    assert_gold(settings, truth, [value for _, value in sent])
    assert verify(settings, [contract]).findings == []


def assert_gold(settings: Settings, truth: dict[Key, Any], values: list[bytes]) -> None:
    """daily_user_metrics has exactly its six columns, and what Python counts."""
    sessions: dict[tuple[str, date], set[str]] = defaultdict(set)
    for event in map(json.loads, values):
        sessions[event["user_id"], _at(json.dumps(event).encode()).date()].add(event["session_id"])
    wanted: dict[tuple[str, date], list[Any]] = {}
    for (day, user, kind), (count, revenue, last) in truth.items():
        row = wanted.setdefault((user, day), [0, Decimal(0), last])
        row[0] += count
        row[1] += revenue if kind == "purchase" else 0
        row[2] = max(row[2], last)
    with duckdb.connect(str(builds.gold_path(settings)), read_only=True) as duck:
        found = duck.execute("select * from daily_user_metrics")
        assert [column[0] for column in found.description] == [
            "user_id", "event_date", "total_events", "sessions", "revenue", "last_activity",
        ]  # fmt: skip
        rows = {row[:2]: list(row[2:]) for row in found.fetchall()}
    assert rows == {
        key: [row[0], len(sessions[key]), row[1], row[2].replace(tzinfo=None)] for key, row in wanted.items()
    }


def _at(value: bytes) -> datetime:
    event = json.loads(value)
    return datetime.fromisoformat(event.get("timestamp") or event["event_time"])


def _table(paths: LakePaths) -> Path:
    return Path(paths.batch_view("daily_agg"))
