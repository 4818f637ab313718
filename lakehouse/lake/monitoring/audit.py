"""The table `ops/audit`: what users and the system did, each action once, append-only. Here: the rows and where from.

The caller brings Dagster's runs and backfills (`components.audit`); decisions, gaps, replays, maintenance and retention
come from the lake's own tables.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lakehouse.lake.paths import LakePaths
from lakehouse.lake.quality.store import add_once, read_rows
from lakehouse.quality.results import stable_id

COLUMNS = {
    "id": "string", "day": "date32", "happened_at": "timestamp", "actor": "string", "action": "string",
    "subject": "string", "outcome": "string", "details": "string",
}  # fmt: skip


@dataclass(frozen=True)
class Action:
    """Something that was done.

    Attributes:
        at: When (UTC).
        actor: Who: a user, `sensor:<name>`, `schedule:<name>`, `system`.
        action: What kind: run, backfill, decision, maintenance, …
        subject: What it was done to.
        outcome: What became of it.
        details: Anything else; no payloads.
        identity: What makes the action unique, when time and subject do not.
    """

    at: datetime
    actor: str
    action: str
    subject: str
    outcome: str
    details: dict[str, Any]
    identity: str = ""

    def as_row(self) -> dict[str, Any]:
        """As a row of the table."""
        at = self.at.astimezone(UTC)
        known = (self.identity or at.isoformat(), self.action, self.subject, self.outcome)
        return {
            "id": stable_id("audit", *known),
            "day": at.date(),
            "happened_at": at,
            "actor": self.actor,
            "action": self.action,
            "subject": self.subject,
            "outcome": self.outcome,
            "details": json.dumps(self.details, default=str, sort_keys=True),
        }


def record(paths: LakePaths, actions: Iterable[Action]) -> int:
    """Add the actions that the table has not; returns how many.

    Raises:
        DiskFullError, SetupError: when they cannot be written.
    """
    return add_once(paths.audit, [action.as_row() for action in actions], COLUMNS)


def lake_actions(paths: LakePaths, *, now: datetime, back: timedelta = timedelta(days=2)) -> list[Action]:
    """What people decided and what was done to the tables besides loading them, within this time."""
    since = now - back
    decided = [
        Action(
            at=row["at"],
            actor=row["who"],
            action="decision",
            subject=f"{row['stream']} {row['topic_id']}/{row['partition']}/{row['offset']}",
            outcome=row["decision"],
            details={"why": row["why"]},
        )
        for row in read_rows(paths.decisions, '"at" >= ?', [since])
    ]
    done = [
        Action(
            at=row["at"],
            actor=str(_details(row).get("who", "system")),
            action=row["kind"],
            subject=f"{row['layer']}.{row['stream']}",
            outcome="done",
            details={"rows": row["rows"], "seconds": row["seconds"], **_details(row)},
        )
        for row in read_rows(paths.events, "\"at\" >= ? and kind <> 'batch'", [since])
    ]
    return [*decided, *done]


def _details(row: dict[str, Any]) -> dict[str, Any]:
    found = json.loads(row["details"] or "{}")
    return found if isinstance(found, dict) else {}
