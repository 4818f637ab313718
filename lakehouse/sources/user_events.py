"""Simulated users of a site: sessions of views, clicks and purchases, the same for the same seed.

Here: events as bytes; some come late, some twice, some broken on purpose. Not here: pacing and sending
(`sources.producer`). A session is one visit: its events share a `session_id` and lie close together.
"""

import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from lakehouse.errors import UsageError
from lakehouse.sources.sales import Event, Made, Now

USERS = 5_000
_VISITS = 200
_RECENT = 1_000
# How likely an event is a view, a click, a purchase, and how likely it is the last one of its visit.
_KINDS = (("view", 70), ("click", 24), ("purchase", 6))
_LAST = 0.08
# One visit in five comes from a client that writes the time under its other name.
_OTHER_NAME_SHARE = 0.2
# A late event was held back for so many seconds: within every watermark, between them, or behind all of them.
_HELD_BACK = (60, 420, 1_200)


@dataclass
class _Visit:
    user: str
    session: str
    time_name: str


class UserEventGenerator:
    """An endless source of user events.

    Args:
        seed: The same seed gives the same events, apart from their times, which come from `now`.
        late_share: Share of events (0 to 1) whose time lies one minute to twenty minutes back.
        duplicate_share: Share of events that repeats an earlier one byte for byte.
        bad_share: Share of events that is broken on purpose: no user, or an unknown event type.
        now: Seconds since 1970, UTC: the time of the next event.

    Raises:
        UsageError: when a share lies outside 0 to 1, or all together exceed 1.
    """

    def __init__(
        self,
        *,
        seed: int,
        late_share: float = 0.0,
        duplicate_share: float = 0.0,
        bad_share: float = 0.0,
        now: Now = time.time,
    ) -> None:
        shares = {"--late-share": late_share, "--duplicate-share": duplicate_share, "--bad-share": bad_share}
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise UsageError(f"{name} {share:g} is no share.", fix="Give a number from 0 to 1, such as 0.02.")
        if sum(shares.values()) > 1:
            raise UsageError(f"{', '.join(shares)} together exceed 1.", fix="Give smaller ones.")
        self.made = Made()
        self.late = 0
        self._rng = random.Random(seed)
        self._late, self._duplicates, self._bad = late_share, duplicate_share, bad_share
        self._now = now
        self._visits: list[_Visit] = []
        self._recent: list[Event] = []

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        self.made.events += 1
        draw = self._rng.random()
        if draw < self._duplicates and self._recent:
            self.made.duplicates += 1
            return self._rng.choice(self._recent)._replace(kind="duplicate")
        is_bad = draw >= 1 - self._bad
        event = self._fresh(is_late=draw < self._duplicates + self._late, is_bad=is_bad)
        if not is_bad:
            self._recent = [*self._recent[-_RECENT:], event] if self._duplicates else []
        return event

    def _fresh(self, *, is_late: bool, is_bad: bool) -> Event:
        rng = self._rng
        visit = self._visit()
        kind = rng.choices([name for name, _ in _KINDS], [weight for _, weight in _KINDS])[0]
        cents = rng.randint(500, 25_000)
        moment = self._now()
        label = ""
        if is_late:
            self.late += 1
            label = "late"
            moment -= rng.choice(_HELD_BACK)
        event: dict[str, object] = {
            "event_id": f"{rng.getrandbits(128):032x}",
            "user_id": visit.user,
            "session_id": visit.session,
            "event_type": kind,
            "revenue": cents / 100 if kind == "purchase" else 0,
            visit.time_name: datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds"),
        }
        if is_bad:
            label = rng.choice(("no_user", "unknown_type"))
            self.made.bad_by_kind[label] += 1
            event.update(user_id=None) if label == "no_user" else event.update(event_type="scroll")
        return Event(visit.user, json.dumps(event, separators=(",", ":")).encode(), label)

    def _visit(self) -> _Visit:
        """One of the visits under way, or a new one; the last event of a visit ends it."""
        rng = self._rng
        while len(self._visits) < _VISITS:
            # Squared: a few users come often, most seldom.
            user = f"USER_{10_000 + int(USERS * rng.random() ** 2)}"
            name = "event_time" if rng.random() < _OTHER_NAME_SHARE else "timestamp"
            self._visits.append(_Visit(user, f"{rng.getrandbits(64):016x}", name))
        place = rng.randrange(_VISITS)
        return self._visits.pop(place) if rng.random() < _LAST else self._visits[place]
