"""Who is told what, when again, and what happens when a channel is down.

Here: routing by severity, one memory of what was sent, isolation of failing channels. Not here: protocols
(`ops.notify.channels`), rules (`ops.alerts`).
"""

import json
import smtplib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lakehouse.engine.embedded.files import write_atomically
from lakehouse.ops.alerts import Alert, AlertConfig
from lakehouse.ops.notify.channels import Channel


@dataclass(frozen=True)
class Delivery:
    """What became of one alert in one channel: `sent`, `resolved`, `failed` (and is tried again next time)."""

    channel: str
    key: str
    state: str
    why: str = ""


class Book:
    """Remembers, below the state folder, which alert went to which channel and when."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sent: dict[str, dict[str, str]] = {}
        if path.is_file():
            self._sent = json.loads(path.read_text(encoding="utf-8"))

    def last(self, key: str, channel: str) -> datetime | None:
        """When this channel was told of this trouble."""
        moment = self._sent.get(key, {}).get(channel)
        return datetime.fromisoformat(moment) if moment else None

    def note(self, key: str, channel: str, at: datetime) -> None:
        """It was told."""
        self._sent.setdefault(key, {})[channel] = at.isoformat()

    def forget(self, key: str, channel: str) -> None:
        """It was told that it is over."""
        self._sent.get(key, {}).pop(channel, None)
        if not self._sent.get(key):
            self._sent.pop(key, None)

    def open(self) -> dict[str, list[str]]:
        """Troubles that somebody was told of, with the channels."""
        return {key: sorted(channels) for key, channels in self._sent.items()}

    def save(self) -> None:
        """Write it down, whole or not at all."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path, json.dumps(self._sent, indent=1, sort_keys=True) + "\n")


def dispatch(
    alerts: Iterable[Alert],
    config: AlertConfig,
    channels: Sequence[Channel],
    book: Book,
    *,
    now: datetime | None = None,
    over: Iterable[str] = (),
) -> list[Delivery]:
    """Send each alert to the channels of its severity, unless they were told within `repeat_after`.

    A channel that fails holds back no other and is tried again the next time.

    Args:
        alerts: What is wrong now.
        config: Routes and the pause before a repetition.
        channels: Those that are switched on.
        book: What was sent before; saved at the end.
        now: UTC.
        over: Names of rules that were evaluated completely: what they reported before and do not report now is over.
    """
    moment, found = now or datetime.now(UTC), list(alerts)
    done = []
    for alert in found:
        for channel in channels:
            if channel.name not in config.routes.get(alert.severity, []):
                continue
            last = book.last(alert.key, channel.name)
            if last is not None and moment - last < config.repeat_after:
                continue
            why = _why_not(lambda channel=channel, alert=alert: channel.send(alert))
            if not why:
                book.note(alert.key, channel.name, moment)
            done.append(Delivery(channel.name, alert.key, "failed" if why else "sent", why))
    done += _resolve(channels, book, {alert.key for alert in found}, set(over))
    book.save()
    return done


def _resolve(channels: Sequence[Channel], book: Book, still: set[str], rules: set[str]) -> list[Delivery]:
    by_name = {channel.name: channel for channel in channels}
    done = []
    for key, told in book.open().items():
        if key in still or key.split("/", 1)[0] not in rules:
            continue
        for name in told:
            channel = by_name.get(name)  # type: ignore[call-overload]
            why = _why_not(lambda channel=channel, key=key: channel.resolve(key)) if channel else ""
            if not why:
                book.forget(key, name)
            done.append(Delivery(name, key, "failed" if why else "resolved", why))
    return done


def _why_not(send: object) -> str:
    """Try; an empty text when it worked, else the reason in one line."""
    import httpx

    try:
        send()  # type: ignore[operator]
    except (OSError, smtplib.SMTPException, httpx.HTTPError) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return ""
