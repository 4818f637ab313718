"""The pace holds on average, whatever each turn costs."""

from hypothesis import given
from hypothesis import strategies as st

from lakehouse.sources.pacing import MAX_CATCH_UP_SECONDS, Pacer


class FakeTime:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds
        self.slept += seconds


@given(st.floats(0.001, 5), st.integers(2, 200))
def test_turns_come_at_the_interval(interval: float, turns: int) -> None:
    time = FakeTime()
    pacer = Pacer(interval, clock=time.clock, sleep=time.sleep)
    for _ in range(turns):
        pacer.wait()
    assert abs((time.now - 100) - interval * (turns - 1)) < 1e-6 * turns


def test_the_first_turn_is_at_once_and_burst_never_sleeps() -> None:
    time = FakeTime()
    Pacer(5, clock=time.clock, sleep=time.sleep).wait()
    burst = Pacer(0, clock=time.clock, sleep=time.sleep)
    for _ in range(10):
        burst.wait()
    assert time.slept == 0


def test_slow_work_is_made_up_for() -> None:
    time = FakeTime()
    pacer = Pacer(0.1, clock=time.clock, sleep=time.sleep)
    for number in range(11):
        pacer.wait()
        time.now += 0.35 if number == 3 else 0.01
    # Ten intervals in spite of the slow turn, plus the last turn's work.
    assert abs((time.now - 100) - 1.01) < 1e-9


def test_a_long_pause_does_not_end_in_a_flood() -> None:
    time = FakeTime()
    pacer = Pacer(0.1, clock=time.clock, sleep=time.sleep)
    pacer.wait()
    time.now += 3600
    at_once = 0
    while not time.slept:
        pacer.wait()
        at_once += 1
    assert at_once <= MAX_CATCH_UP_SECONDS / 0.1 + 2
