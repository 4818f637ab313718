"""A circuit breaker: after repeated failures a service is left alone for a while, then tried again with care.

Here: the state machine, in memory. Not here: keeping its state between processes (`engine.circuit_notes`), what counts
as a failure of a given service (its client).

The library for this (pybreaker) holds its lock during the guarded call, so that calls run one after another, and has
no clock that a test could move; hence our own.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeVar

from lakehouse.errors import CircuitOpenError

State = Literal["closed", "open", "half_open"]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Snapshot:
    """A breaker at one moment.

    Attributes:
        name: The guarded service.
        state: `closed`, `open` or `half_open`.
        failures: In a row, while closed.
        successes: In a row, while half open.
        changed_at: POSIX seconds of the last change of state.
        retry_at: POSIX seconds from which an open circuit lets a call through.
        reason: The last failure, for people.
    """

    name: str
    state: State = "closed"
    failures: int = 0
    successes: int = 0
    changed_at: float = 0.0
    retry_at: float = 0.0
    reason: str = ""


class CircuitBreaker:
    """Guards calls to one service; any number of threads may share it. The lock is never held during a call.

    Args:
        name: The service.
        failure_threshold: Failures in a row that open the circuit.
        recovery_timeout: How long an open circuit refuses calls.
        success_threshold: Successes in a row that close a half open circuit. As many calls at once are let through.
        clock: POSIX seconds.
        is_failure: Whether an exception speaks against the service; others prove that it answers.
        start: State to begin with, as another process left it.
        on_change: Told of each new state or count.
    """

    def __init__(
        self,
        name: str,
        *,
        failure_threshold: int = 5,
        recovery_timeout: timedelta = timedelta(seconds=30),
        success_threshold: int = 3,
        clock: Callable[[], float] = time.time,
        is_failure: Callable[[Exception], bool] = lambda _: True,
        start: Snapshot | None = None,
        on_change: Callable[[Snapshot], None] = lambda _: None,
    ) -> None:
        if min(failure_threshold, success_threshold) < 1:
            raise ValueError("a circuit breaker's thresholds are 1 or more")
        self._failure_threshold = failure_threshold
        self._success_threshold = success_threshold
        self._recovery_seconds = recovery_timeout.total_seconds()
        self._clock = clock
        self._is_failure = is_failure
        self._on_change = on_change
        self._lock = threading.Lock()
        self._now = start or Snapshot(name, changed_at=clock())
        self._probes = 0
        # Results of calls that began in an earlier state say nothing about this one.
        self._epoch = 0

    @property
    def snapshot(self) -> Snapshot:
        """The breaker as it is now; an open circuit whose time is over shows as half open only after the next call."""
        with self._lock:
            return self._now

    def call(self, function: Callable[[], Result]) -> Result:
        """Run `function` if the circuit lets it through, and learn from how it ends.

        Raises:
            CircuitOpenError: without calling, when the service is being left alone.
        """
        epoch = self._admit()
        try:
            result = function()
        except Exception as error:
            self._settle(epoch, str(error) or type(error).__name__ if self._is_failure(error) else None)
            raise
        except BaseException:
            # Ctrl-C says nothing about the service; only the probe's place is given back.
            self._settle(epoch, None, counts=False)
            raise
        self._settle(epoch, None)
        return result

    def _admit(self) -> int:
        with self._lock:
            now = self._clock()
            if self._now.state == "open" and now >= self._now.retry_at:
                self._change("half_open", now, reason=self._now.reason)
            if self._now.state == "open":
                raise self._refusal(self._now.retry_at - now)
            if self._now.state == "half_open":
                if self._probes >= self._success_threshold - self._now.successes:
                    raise self._refusal(0)
                self._probes += 1
            return self._epoch

    def _settle(self, epoch: int, failure: str | None, *, counts: bool = True) -> None:
        with self._lock:
            if epoch != self._epoch:
                return
            state, now = self._now.state, self._clock()
            self._probes -= state == "half_open"
            if not counts:
                return
            if failure is not None:
                failures = self._now.failures + 1
                if state == "half_open" or failures >= self._failure_threshold:
                    self._change("open", now, failures=failures, retry_at=now + self._recovery_seconds, reason=failure)
                else:
                    self._count(failures=failures, reason=failure)
            elif state == "half_open":
                successes = self._now.successes + 1
                if successes >= self._success_threshold:
                    self._change("closed", now)
                else:
                    self._count(successes=successes, reason=self._now.reason)
            elif self._now.failures:
                self._count()

    def _change(self, state: State, now: float, *, failures: int = 0, retry_at: float = 0.0, reason: str = "") -> None:
        self._epoch += 1
        self._probes = 0
        self._now = Snapshot(self._now.name, state, failures, 0, now, retry_at, reason)
        self._on_change(self._now)

    def _count(self, *, failures: int = 0, successes: int = 0, reason: str = "") -> None:
        known = self._now
        self._now = Snapshot(known.name, known.state, failures, successes, known.changed_at, known.retry_at, reason)
        self._on_change(self._now)

    def _refusal(self, seconds: float) -> CircuitOpenError:
        return CircuitOpenError(
            f"{self._now.name} is left alone after repeated failures (circuit {self._now.state}).",
            why=f"The last one: {self._now.reason}" if self._now.reason else "",
            fix=f"It is tried again in {max(0, seconds):.0f} s; see `lakehouse health`.",
        )
