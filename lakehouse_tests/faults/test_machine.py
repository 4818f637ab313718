"""Random histories of one stream on the real broker and Spark; CONTRIBUTING.md says how to replay one that failed."""

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from lakehouse.settings import Settings
from lakehouse_tests.faults.machine import Appends, StreamMachine, Upserts

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
# A step takes seconds, so a failure is not made smaller: it is printed as it came, with the code that replays it.
AS_IT_COMES = settings(
    deadline=None,
    database=None,
    print_blob=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize(("machine", "number"), [(Upserts, 75), pytest.param(Appends, 25, marks=pytest.mark.slow)])
def test_a_short_history(machine: type[StreamMachine], number: int, stack: Settings) -> None:
    """These seeds send all sorts, drain, stop, kill, compact and backfill within nine steps."""
    machine.stack = stack
    chosen = seed(number)(type("Short", (machine,), {}))
    run_state_machine_as_test(chosen, settings=settings(AS_IT_COMES, max_examples=2, stateful_step_count=9))


@pytest.mark.slow
@pytest.mark.parametrize("machine", [Upserts, Appends])
def test_long_histories(machine: type[StreamMachine], stack: Settings) -> None:
    machine.stack = stack
    run_state_machine_as_test(
        machine,
        settings=settings(AS_IT_COMES, max_examples=12, stateful_step_count=20),
    )
