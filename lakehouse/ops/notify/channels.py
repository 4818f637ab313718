"""The three ways to tell somebody: e-mail (SMTP), Slack (incoming webhook), PagerDuty (Events API v2).

Here: one alert in each protocol. Not here: who is told what, repetition, failures (`ops.notify.dispatch`).
"""

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, Protocol

from lakehouse.ops.alerts import Alert, ChannelName
from lakehouse.settings import Settings

TIMEOUT_SECONDS = 10.0
_COLOURS = {"warning": "#d9a400", "error": "#d9480f", "critical": "#b3261e"}


class Channel(Protocol):
    """Somewhere to send alerts; `send` raises an OSError, smtplib or httpx error when it did not arrive."""

    @property
    def name(self) -> ChannelName:
        """As the routes call it."""
        ...

    def send(self, alert: Alert) -> None:
        """Deliver one alert."""
        ...

    def resolve(self, alert_key: str) -> None:
        """Say that the trouble is over, where the channel has a way to."""
        ...


@dataclass(frozen=True)
class Email:
    """Plain text over SMTP, with STARTTLS and a login when they are set."""

    host: str
    port: int
    sender: str
    recipients: tuple[str, ...]
    username: str | None = None
    password: str | None = None
    is_encrypted: bool = False
    name: ChannelName = "email"

    def send(self, alert: Alert) -> None:
        """Deliver one alert."""
        message = EmailMessage()
        message["From"], message["To"] = self.sender, ", ".join(self.recipients)
        message["Subject"] = f"[{alert.severity}] {alert.summary}".replace("\n", " ")[:200]
        message["X-Lakehouse-Alert"] = alert.key.replace("\n", " ")
        message.set_content(text_of(alert))
        with smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_SECONDS) as server:
            if self.is_encrypted:
                server.starttls(context=ssl.create_default_context())
            if self.username:
                server.login(self.username, self.password or "")
            server.send_message(message)

    def resolve(self, alert_key: str) -> None:
        """An end is not mailed."""


@dataclass(frozen=True)
class Slack:
    """An incoming webhook."""

    url: str
    name: ChannelName = "slack"

    def send(self, alert: Alert) -> None:
        """Deliver one alert."""
        block = {"type": "section", "text": {"type": "mrkdwn", "text": f"*{alert.severity}* {_slack(alert.summary)}"}}
        context = f"{_slack(alert.key)} · {alert.at:%Y-%m-%d %H:%M:%S} UTC · `{alert.runbook}`"
        _post(
            self.url,
            {
                "text": f"[{alert.severity}] {alert.summary}",
                "attachments": [
                    {
                        "color": _COLOURS[alert.severity],
                        "blocks": [
                            block,
                            {"type": "context", "elements": [{"type": "mrkdwn", "text": context}]},
                        ],
                    }
                ],
            },
        )

    def resolve(self, alert_key: str) -> None:
        """Say that it is over."""
        _post(self.url, {"text": f"Over: {alert_key}"})


@dataclass(frozen=True)
class PagerDuty:
    """The Events API v2: the alert's key is PagerDuty's `dedup_key`, so repeats join one incident."""

    url: str
    routing_key: str
    source: str
    name: ChannelName = "pagerduty"

    def send(self, alert: Alert) -> None:
        """Deliver one alert."""
        _post(
            self.url,
            {
                "routing_key": self.routing_key,
                "event_action": "trigger",
                "dedup_key": alert.key[:255],
                "payload": {
                    "summary": alert.summary[:1024],
                    "source": self.source,
                    "severity": alert.severity,
                    "timestamp": alert.at.isoformat(),
                    "component": alert.rule,
                    "custom_details": {
                        "value": alert.value, "bound": alert.bound, "runbook": alert.runbook, **alert.labels,
                    },
                },
            },
        )  # fmt: skip

    def resolve(self, alert_key: str) -> None:
        """Say that it is over."""
        _post(
            self.url,
            {"routing_key": self.routing_key, "event_action": "resolve", "dedup_key": alert_key[:255]},
        )


def configured(settings: Settings, host: str) -> list[Channel]:
    """The channels that the settings switch on."""
    found: list[Channel] = []
    if settings.smtp_host:
        password = settings.smtp_password.get_secret_value() if settings.smtp_password else None
        recipients = tuple(part.strip() for part in settings.alert_email_to.split(",") if part.strip())
        found.append(
            Email(
                settings.smtp_host, settings.smtp_port, settings.alert_email_from, recipients,
                settings.smtp_username, password, settings.smtp_starttls,
            )
        )  # fmt: skip
    if settings.slack_webhook_url:
        found.append(Slack(settings.slack_webhook_url.get_secret_value()))
    if settings.pagerduty_routing_key:
        found.append(PagerDuty(settings.pagerduty_url, settings.pagerduty_routing_key.get_secret_value(), host))
    return found


def text_of(alert: Alert) -> str:
    """An alert as plain text."""
    lines = [
        alert.summary, "", f"severity  {alert.severity}", f"value     {alert.value:g} (more than {alert.bound:g})",
        f"when      {alert.at:%Y-%m-%d %H:%M:%S} UTC", f"what to do  {alert.runbook}", "",
    ]  # fmt: skip
    return "\n".join([*lines, *(f"{name}: {value}" for name, value in sorted(alert.labels.items()))]) + "\n"


def _slack(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _post(url: str, document: dict[str, Any]) -> None:
    import httpx

    httpx.post(url, json=document, timeout=TIMEOUT_SECONDS).raise_for_status()
