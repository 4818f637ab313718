"""Sending at a chosen pace.

Here: when the next event is due. Not here: what is sent, how, and what pace was reached (`sources.producer`).
"""

import time
from collections.abc import Callable

Clock = Callable[[], float]
Sleep = Callable[[float], object]

# After a pause (a suspended laptop, a full queue) at most this much is caught up; the rest of the schedule is dropped.
MAX_CATCH_UP_SECONDS = 1.0


class Pacer:
    """Gives out turns at a fixed interval, against a schedule: a late turn does not delay the ones after it.

    Args:
        interval: Seconds between turns; 0 gives turns without waiting.
        clock: Monotonic seconds.
        sleep: Waits for so many seconds; may return early, for example when the program is asked to stop.
    """

    def __init__(self, interval: float, *, clock: Clock = time.monotonic, sleep: Sleep = time.sleep) -> None:
        if interval < 0:
            raise ValueError("an interval is 0 or more seconds")
        self._interval = interval
        self._clock = clock
        self._sleep = sleep
        self._due = clock()

    def wait(self) -> None:
        """Return when the next turn is due. The first turn is due at once."""
        if self._interval == 0:
            return
        now = self._clock()
        if now < self._due:
            self._sleep(self._due - now)
        elif now - self._due > MAX_CATCH_UP_SECONDS:
            self._due = now - MAX_CATCH_UP_SECONDS
        self._due += self._interval
