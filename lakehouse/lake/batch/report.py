"""What a step of a batch pipeline reports: plain values for logs, metadata and facts. Here: shapes only."""

from dataclasses import dataclass, field

from lakehouse.contracts.pipeline import Stage

TYPED = "typed"
"""Check of every extract step: each value is of its column's type."""


@dataclass(frozen=True)
class CheckCount:
    """One check over the rows of a step. `passed` says that no more than the tolerated share is broken."""

    name: str
    rows: int
    broken: int
    passed: bool
    blocking: bool


@dataclass(frozen=True)
class StepReport:
    """One step of one window.

    Attributes:
        pipeline: Its pipeline.
        step: Its name.
        stage: extract, transform, load or deliver.
        partition: Key of the window.
        rows: Rows of the window in the step's table; 0 for a delivery.
        rejected: Rows among them that broke an `error` check; the next steps do not read them.
        seconds: Time it took.
        delta_version: Version of the table after the commit; None for a delivery.
        checks: The checks, in the order of the file.
        details: What a delivery returned.
    """

    pipeline: str
    step: str
    stage: Stage
    partition: str
    rows: int
    rejected: int
    seconds: float
    delta_version: int | None = None
    checks: tuple[CheckCount, ...] = ()
    details: dict[str, object] = field(default_factory=dict)

    @property
    def failed(self) -> list[CheckCount]:
        """Blocking checks that do not hold."""
        return [check for check in self.checks if check.blocking and not check.passed]
