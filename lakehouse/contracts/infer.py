"""From a sample of events to a first contract: commented YAML that loads, with every guess marked for confirmation.

Here: reading the sample, choosing key and event time, writing the YAML. Not here: guesses about a single field
(`contracts.guess`).
"""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from lakehouse.contracts.guess import Guess, guess_field, made_unique, moment
from lakehouse.contracts.load import COMPONENT_TYPE, parse_contract
from lakehouse.contracts.types import NAME
from lakehouse.errors import UsageError

# The first that fits wins.
_EVENT_TIME_NAMES = (
    r"^(event|occurred|happened)",
    r"timestamp$",
    r"^(ts|time)$",
    r"(created|updated)",
    r"(_at|time|date)$",
)
_KEY_NAMES = (r"^(event_|message_)?(id|uuid|key)$", r"(_id|_uuid|_key)$", r"(number|_no)$")


def read_sample(path: Path) -> list[dict[str, Any]]:
    """Events from a file that holds one JSON object, an array of them, or one per line.

    Raises:
        UsageError: when the file cannot be read or holds anything else, naming the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no UTF-8 text.") from error
    events = _parse(text, path)
    if not events:
        raise UsageError(f"{path} holds no event.", fix="Give a JSON object, an array of them, or one per line.")
    for number, event in enumerate(events, start=1):
        if not isinstance(event, dict) or not event:
            raise UsageError(f"{path}: event {number} is no JSON object with keys.")
    return events


def infer_contract(name: str, events: Sequence[dict[str, Any]]) -> str:
    """The YAML of a new stream.

    Args:
        name: Of the stream.
        events: Samples; the more, the better the guesses.

    Raises:
        UsageError: when the name is not possible, or no field of the events looks like a time.
    """
    if not re.match(NAME, name):
        raise UsageError(
            f"{name!r} is no name for a stream.", fix="Use lower-case letters, digits and _, beginning with a letter."
        )
    keys = list(dict.fromkeys(key for event in events for key in event))
    guesses = made_unique(
        [
            guess_field(
                key,
                [event[key] for event in events if key in event],
                missing=any(key not in event for event in events),
            )
            for key in keys
        ]
    )
    time = _event_time(guesses)
    guesses = [replace(guess, type="timestamp") if guess is time else guess for guess in guesses]
    time = next(guess for guess in guesses if guess.key == time.key)
    text = _yaml(name, guesses, _key(guesses, events), time, _start(time, events))
    parse_contract(text, Path(f"{name}/defs.yaml"))
    return text


def _parse(text: str, path: Path) -> list[Any]:
    try:
        document = json.loads(text, parse_float=Decimal)
    except json.JSONDecodeError as whole:
        lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
        events = []
        for number, line in lines:
            try:
                events.append(json.loads(line, parse_float=Decimal))
            except json.JSONDecodeError as error:
                # A single document over several lines is judged as a whole, everything else line by line.
                where, what = (whole.lineno, whole.msg) if not events else (number, error.msg)
                raise UsageError(f"{path}:{where}: no valid JSON: {what}.") from error
        return events
    return document if isinstance(document, list) else [document]


def _event_time(guesses: list[Guess]) -> Guess:
    candidates = [guess for guess in guesses if guess.type == "timestamp"] or [
        guess for guess in guesses if guess.type == "date"
    ]
    if not candidates:
        raise UsageError(
            "No field of the sample looks like a time, and an event needs one.",
            fix="Add a field such as event_time: 2026-01-31T10:30:00Z to the events.",
        )
    return _first_by_name(candidates, _EVENT_TIME_NAMES)


def _key(guesses: list[Guess], events: Sequence[dict[str, Any]]) -> Guess:
    usable = [
        guess
        for guess in guesses
        if not guess.nullable and guess.type in ("string", "integer", "long", "date", "timestamp")
    ]
    unique = [guess for guess in usable if len({str(event[guess.key]) for event in events}) == len(events)]
    named = [guess for guess in unique if any(re.search(pattern, guess.name) for pattern in _KEY_NAMES)]
    return _first_by_name(named or unique or usable or guesses, _KEY_NAMES)


def _first_by_name(candidates: list[Guess], patterns: Sequence[str]) -> Guess:
    for pattern in patterns:
        for guess in candidates:
            if re.search(pattern, guess.name):
                return guess
    return candidates[0]


def _start(time: Guess, events: Sequence[dict[str, Any]]) -> date:
    found = [_day(event[time.key]) for event in events if event.get(time.key) is not None]
    return min([day for day in found if day is not None], default=datetime.now(UTC).date())


def _day(value: Any) -> date | None:
    exact = moment(value)
    if exact is not None:
        return exact.astimezone(UTC).date() if exact.tzinfo and date.min < exact.date() < date.max else exact.date()
    return date.fromisoformat(value) if isinstance(value, str) else None


def _yaml(name: str, guesses: list[Guess], key: Guess, time: Guess, start: date) -> str:
    lines = [
        f'# Made from a sample by `lakehouse streams new {name}`. Lines with "confirm" are guesses: look, correct, and',
        f"# delete the word. Then: lakehouse topics apply, lakehouse check {name}.",
        f"type: {COMPONENT_TYPE}",
        "attributes:",
        f"  name: {_plain(name)}",
        f"  description: {_quoted(f'Events of {name}.')}  # confirm: say what one event is",
        f"  topic: {{name: {name if name.endswith('events') else f'{name}_events'}, partitions: 6, retention: 7d}}",
        '  owners: ["team:data-engineering"]  # confirm',
        f"  start: {start.isoformat()}  # first day with events (UTC); confirm",
        f"  event_time: {_plain(time.name)}  # when it happened, not when it was sent; confirm",
        f"  key: [{_plain(key.name)}]  # one value, one row of silver; confirm",
        "  mode: upsert",
        "  partition_by: []  # besides the event date",
        "  fields:",
        *(_field(guess, must_exist=guess.name in (key.name, time.name)) for guess in guesses),
        "  # A rule is a condition that every row must meet; `warn` keeps the row, `error` quarantines it. As in:",
        f"  # - {{name: {key.name}_given, sql: \"{key.name} <> ''\", severity: error, description: What it protects.}}",
        "  rules: []",
        f"  unique: [{_plain(key.name)}]",
        "  freshness: {warn: 10m, fail: 60m}",
    ]
    return "\n".join(lines) + "\n"


def _field(guess: Guess, *, must_exist: bool) -> str:
    parts = [f"name: {_plain(guess.name)}"]
    if guess.key != guess.name:
        parts.append(f"source: {_quoted(guess.key)}")
    parts.append(f"type: {_quoted(guess.type) if '(' in guess.type else guess.type}")
    if guess.parse:
        parts.append(f"parse: {_quoted(guess.parse)}")
    if guess.nullable and not must_exist:
        parts.append("nullable: true")
    if guess.pii:
        parts.append("pii: true")
    words = guess.name.replace("_", " ")
    parts.append(
        f"description: {_quoted(f'The {words}, such as {guess.example}.' if guess.example else f'The {words}.')}"
    )
    note = f"  # confirm: {'; '.join(guess.confirm)}" if guess.confirm else ""
    return f"    - {{{', '.join(parts)}}}{note}"


def _plain(name: str) -> str:
    """A name as YAML, quoted only where YAML would read something else, such as `no` or `null`."""
    return name if yaml.safe_load(name) == name else _quoted(name)


def _quoted(text: str) -> str:
    """The text as a double-quoted YAML scalar on one line, whatever characters it holds."""
    return str(yaml.safe_dump(text, default_style='"', width=10**9)).strip()
