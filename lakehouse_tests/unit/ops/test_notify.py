"""Alerts over the real protocols, to servers on this machine: routing, repetition, failing channels, the end."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lakehouse.lake.monitoring.alarms import covered_rules, tell_people
from lakehouse.ops.alerts import Alert, evaluate, load_alerts
from lakehouse.ops.incidents import Incident
from lakehouse.ops.notify.channels import Channel, configured
from lakehouse.ops.notify.dispatch import Book, dispatch
from lakehouse.ops.samples import Sample
from lakehouse.settings import load_settings
from lakehouse_tests.unit.ops.servers import Mailbox, Posts, mail_server, web_server

CONFIG = load_alerts()
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ALL = [rule.name for rule in CONFIG.rules]


@pytest.fixture
def mail() -> Iterator[Mailbox]:
    with mail_server() as box:
        yield box


@pytest.fixture
def web() -> Iterator[Posts]:
    with web_server() as posts:
        yield posts


@pytest.fixture
def channels(mail: Mailbox, web: Posts) -> list[Channel]:
    settings = load_settings(
        SMTP_HOST="127.0.0.1", SMTP_PORT=mail.port, SLACK_WEBHOOK_URL=f"{web.url}/slack",
        PAGERDUTY_ROUTING_KEY="a-key", PAGERDUTY_URL=f"{web.url}/v2/enqueue",
    )  # fmt: skip
    return configured(settings, "host-1")


def alerts(*samples: Sample) -> list[Alert]:
    return evaluate(CONFIG, samples)


FAILED = Sample("run_failed", 1, {"job": "drain_sales", "run": "1a2b", "reason": "disk <full>"}, NOW)
SLOW = Sample("latency_seconds", 12.5, {"stream": "sales"}, NOW)
BUSY = Sample("cpu_percent", 95.0, {"host": "h"}, NOW)


def test_each_severity_reaches_its_channels_in_their_protocol(
    channels: list[Channel], mail: Mailbox, web: Posts, tmp_path: Path
) -> None:
    done = dispatch(alerts(FAILED, SLOW, BUSY), CONFIG, channels, Book(tmp_path / "book.json"), now=NOW)
    assert [(d.channel, d.key.split("/")[0], d.state) for d in done] == [
        ("email", "pipeline_failure", "sent"), ("slack", "pipeline_failure", "sent"),
        ("pagerduty", "pipeline_failure", "sent"), ("email", "high_latency", "sent"),
        ("slack", "high_latency", "sent"), ("slack", "high_utilisation", "sent"),
    ]  # fmt: skip

    (first, second) = mail.mails
    assert first[0] == ["alerts@company.com"]
    assert first[1]["Subject"] == "[critical] Run 1a2b of job drain_sales failed: disk <full>"
    assert "docs/runbooks/alerts/pipeline_failure.md" in first[1].get_payload()
    assert "12.5 s" in str(second[1]["Subject"]).replace("\n", "")

    slack = web.documents("/slack")
    assert len(slack) == 3
    shown = slack[0]["attachments"][0]["blocks"]
    assert "disk &lt;full&gt;" in shown[0]["text"]["text"]
    assert "docs/runbooks/alerts/pipeline_failure.md" in shown[1]["elements"][0]["text"]

    (event,) = web.documents("/v2/enqueue")
    assert event["routing_key"] == "a-key"
    assert event["event_action"] == "trigger"
    assert event["dedup_key"] == "pipeline_failure/job=drain_sales"
    assert event["payload"]["severity"] == "critical"
    assert event["payload"]["source"] == "host-1"
    assert event["payload"]["custom_details"]["runbook"] == "docs/runbooks/alerts/pipeline_failure.md"


def test_one_channel_that_fails_holds_back_no_other_and_is_tried_again(
    channels: list[Channel], mail: Mailbox, web: Posts, tmp_path: Path
) -> None:
    book = tmp_path / "book.json"
    web.status = 500
    done = dispatch(alerts(FAILED), CONFIG, channels, Book(book), now=NOW)
    assert {d.channel: d.state for d in done} == {"email": "sent", "slack": "failed", "pagerduty": "failed"}
    assert all("500" in d.why for d in done if d.state == "failed")
    web.status = 202
    done = dispatch(alerts(FAILED), CONFIG, channels, Book(book), now=NOW + timedelta(minutes=5))
    assert {d.channel: d.state for d in done} == {"slack": "sent", "pagerduty": "sent"}
    assert len(mail.mails) == 1


def test_an_alert_that_goes_on_is_repeated_only_after_the_pause(
    channels: list[Channel], mail: Mailbox, tmp_path: Path
) -> None:
    book = tmp_path / "book.json"
    again = Sample("run_failed", 1, {"job": "drain_sales", "run": "9f9f", "reason": "other"}, NOW)
    for minutes in (0, 5, 239):
        dispatch(
            alerts(again if minutes else FAILED), CONFIG, channels, Book(book), now=NOW + timedelta(minutes=minutes)
        )
    assert len(mail.mails) == 1, "another run of the same job is the same trouble"
    dispatch(alerts(FAILED), CONFIG, channels, Book(book), now=NOW + timedelta(minutes=240))
    assert len(mail.mails) == 2


def test_what_is_over_is_resolved_once_and_may_come_back(
    channels: list[Channel], web: Posts, mail: Mailbox, tmp_path: Path
) -> None:
    book = tmp_path / "book.json"
    dispatch(alerts(FAILED, SLOW), CONFIG, channels, Book(book), now=NOW)
    quiet = dispatch([], CONFIG, channels, Book(book), now=NOW, over=["high_utilisation"])
    assert quiet == [], "a rule that was not evaluated says nothing"
    dispatch(alerts(SLOW), CONFIG, channels, Book(book), now=NOW, over=ALL)
    dispatch(alerts(SLOW), CONFIG, channels, Book(book), now=NOW, over=ALL)
    events = web.documents("/v2/enqueue")
    assert [(e["event_action"], e["dedup_key"]) for e in events] == [
        ("trigger", "pipeline_failure/job=drain_sales"), ("resolve", "pipeline_failure/job=drain_sales"),
    ]  # fmt: skip
    dispatch(alerts(FAILED), CONFIG, channels, Book(book), now=NOW + timedelta(minutes=1))
    assert len(mail.mails) == 3


def test_without_settings_there_is_no_channel() -> None:
    assert configured(load_settings(), "h") == []


def test_late_windows_and_long_runs_reach_people_and_failed_runs_have_their_own_way(
    mail: Mailbox, web: Posts, tmp_path: Path
) -> None:
    settings = load_settings(
        LAKEHOUSE_HOME=tmp_path, SMTP_HOST="127.0.0.1", SMTP_PORT=mail.port, SLACK_WEBHOOK_URL=f"{web.url}/slack"
    )
    for kind in ("upstream_missing", "run_too_long", "run_failed"):
        tell_people(Incident(kind, "covid_etl", f"{kind}: it", NOW, run_id="1a2b3c4d5e"), settings)  # type: ignore[arg-type]
    assert [str(message["Subject"]) for _, message in mail.mails] == ["[critical] upstream_missing: it"]
    assert [document["text"] for document in web.documents("/slack")] == [
        "[critical] upstream_missing: it", "[warning] run_too_long: it",
    ]  # fmt: skip


def test_only_what_was_looked_at_can_be_over() -> None:
    covered = covered_rules(CONFIG, [Sample("cpu_percent", 1), Sample("memory_percent", 1), Sample("disk_percent", 1)])
    assert set(covered) == {"pipeline_failure", "high_latency", "data_quality", "high_utilisation", "long_run"}
    assert "consumer_lag" in covered_rules(CONFIG, [Sample("consumer_lag_rows", 0)])
