"""The circuit breaker against its table of states, with a clock that the test moves."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.cli.health import ask_circuits
from lakehouse.engine.circuit import CircuitBreaker
from lakehouse.engine.circuit_notes import kept_breaker, known_circuits
from lakehouse.errors import CircuitOpenError
from lakehouse.settings import load_settings


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def fails() -> None:
    raise ConnectionError("refused")


def works() -> str:
    return "answer"


def attempt(breaker: CircuitBreaker, function: Callable[[], Any]) -> str:
    try:
        breaker.call(function)
    except CircuitOpenError:
        return "refused"
    except ConnectionError:
        return "failed"
    return "answered"


def test_the_defaults_are_five_failures_thirty_seconds_three_successes() -> None:
    clock = Clock()
    breaker = CircuitBreaker("api", clock=clock)
    assert [attempt(breaker, fails) for _ in range(4)] == ["failed"] * 4
    assert attempt(breaker, works) == "answered"
    assert [attempt(breaker, fails) for _ in range(5)] == ["failed"] * 5, "a success begins the count anew"
    assert breaker.snapshot.state == "open"
    clock.now += 29.9
    assert attempt(breaker, works) == "refused"
    clock.now += 0.1
    assert [attempt(breaker, works) for _ in range(2)] == ["answered"] * 2
    assert (breaker.snapshot.state, breaker.snapshot.successes) == ("half_open", 2)
    assert attempt(breaker, fails) == "failed"
    assert (breaker.snapshot.state, attempt(breaker, works)) == ("open", "refused"), "one failure opens it again"
    clock.now += 30
    assert [attempt(breaker, works) for _ in range(3)] == ["answered"] * 3
    assert (breaker.snapshot.state, breaker.snapshot.failures) == ("closed", 0)


@given(
    st.lists(st.sampled_from(["ok", "bad", "wait"]), max_size=60),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_it_follows_the_model(steps: list[str], failure_threshold: int, success_threshold: int) -> None:
    clock = Clock()
    breaker = CircuitBreaker(
        "api",
        failure_threshold=failure_threshold,
        success_threshold=success_threshold,
        recovery_timeout=timedelta(seconds=60),
        clock=clock,
    )
    state, count, opened = "closed", 0, 0.0
    for step in steps:
        if step == "wait":
            clock.now += 31
            continue
        if state == "open" and clock.now - opened >= 60:
            state, count = "half_open", 0
        expected = "refused" if state == "open" else "answered" if step == "ok" else "failed"
        assert attempt(breaker, works if step == "ok" else fails) == expected
        if state == "closed":
            count = count + 1 if step == "bad" else 0
            if count >= failure_threshold:
                state, opened = "open", clock.now
        elif state == "half_open" and step == "bad":
            state, opened = "open", clock.now
        elif state == "half_open":
            count += 1
            if count >= success_threshold:
                state, count = "closed", 0
        assert breaker.snapshot.state == state


def test_calls_run_side_by_side_and_late_results_do_not_count() -> None:
    clock = Clock()
    breaker = CircuitBreaker("api", failure_threshold=1, success_threshold=2, clock=clock)
    both, go = threading.Barrier(3, timeout=10), threading.Event()

    def slow() -> None:
        both.wait()
        assert go.wait(10)

    threads = [threading.Thread(target=breaker.call, args=(slow,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    both.wait()  # both are inside: the lock is not held during a call
    assert attempt(breaker, fails) == "failed"
    clock.now += 30
    assert attempt(breaker, works) == "answered"
    go.set()
    for thread in threads:
        thread.join(10)
    assert (breaker.snapshot.state, breaker.snapshot.successes) == ("half_open", 1), "they began before it opened"


def test_half_open_lets_only_the_needed_probes_through_at_once() -> None:
    clock = Clock()
    breaker = CircuitBreaker("api", failure_threshold=1, success_threshold=2, clock=clock)
    attempt(breaker, fails)
    clock.now += 30

    seen = []
    breaker.call(lambda: breaker.call(lambda: seen.append(attempt(breaker, works))))
    assert seen == ["refused"], "two probes are under way already"
    assert breaker.snapshot.state == "closed"


def test_ctrl_c_is_no_failure_and_gives_the_probe_back() -> None:
    clock = Clock()
    breaker = CircuitBreaker("api", failure_threshold=1, success_threshold=1, clock=clock)
    attempt(breaker, fails)
    clock.now += 30

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        breaker.call(interrupted)
    assert attempt(breaker, works) == "answered"
    assert breaker.snapshot.state == "closed"


def test_an_answer_that_we_do_not_like_proves_that_the_service_is_there() -> None:
    breaker = CircuitBreaker("api", failure_threshold=2, is_failure=lambda error: isinstance(error, ConnectionError))

    def refuses() -> None:
        raise PermissionError("401")

    attempt(breaker, fails)
    with pytest.raises(PermissionError):
        breaker.call(refuses)
    assert breaker.snapshot.failures == 0


def test_the_next_process_and_health_know_the_state(tmp_path: Path) -> None:
    settings = load_settings(LAKEHOUSE_HOME=tmp_path)
    first = kept_breaker(settings, "api https://example.test")
    assert ask_circuits(settings) == [], "what never failed is not worth a line"
    for _ in range(3):
        attempt(first, fails)
    second = kept_breaker(settings, "api https://example.test")
    for _ in range(2):
        attempt(second, fails)
    third = kept_breaker(settings, "api https://example.test")
    assert attempt(third, works) == "refused"
    (known,) = known_circuits(settings)
    assert (known.state, known.failures, known.reason) == ("open", 5, "refused")
    (shown,) = ask_circuits(settings)
    assert (shown.name, shown.state) == ("api https://example.test", "unhealthy")
    assert "open" in shown.detail
    assert "refused" in shown.detail
    (tmp_path / "circuits" / "api_https_example.test.json").write_text("{", encoding="utf-8")
    assert attempt(kept_breaker(settings, "api https://example.test"), works) == "answered", "a torn note is no state"
