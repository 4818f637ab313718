"""One result of one check on one table: the row of `quality/results`. Here: its shape and its identity.

Not here: making results (`lake.quality`), writing them (`lake.quality.store`).
"""

import json
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, Literal

Source = Literal["validation", "dagster", "dbt"]
Dimension = Literal[
    "completeness", "accuracy", "timeliness", "validity", "uniqueness", "schema", "volume", "distribution", "other"
]
Severity = Literal["info", "warning", "error", "critical"]
_NAMESPACE = uuid.UUID("6f0d3f4e-5f2b-5a0e-9a35-2f3f5d1c7a11")


@dataclass(frozen=True)
class CheckResult:
    """One check on one table, once.

    Attributes:
        table: Layer and name, such as `silver.sales`.
        check: Name of the check.
        dimension: What it says something about.
        passed: Whether the data are right.
        severity: How bad it is when they are not.
        source: Who looked: a validation, a Dagster asset check, a dbt test.
        run: Id of the run that looked; results of one run belong together.
        at: When.
        rows: Rows looked at.
        broken: Rows that are wrong.
        observed: The figure that was judged: a share from 0 to 1, or what the check counts.
        low: Least value that would pass, when there is one.
        high: Largest value that would pass, when there is one.
        message: One sentence for a person.
        details: Anything else worth keeping; never values of personal fields.
    """

    table: str
    check: str
    dimension: Dimension
    passed: bool
    severity: Severity = "error"
    source: Source = "validation"
    run: str = ""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    rows: int = 0
    broken: int = 0
    observed: float | None = None
    low: float | None = None
    high: float | None = None
    message: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The same for the same check of the same run at the same time, so that a repeated write adds nothing."""
        return stable_id(self.source, self.run, self.table, self.check, self.at.isoformat())

    @property
    def day(self) -> date:
        """UTC day, by which the table is partitioned."""
        return self.at.astimezone(UTC).date()

    @property
    def is_finding(self) -> bool:
        """Wrong, and not only worth a remark."""
        return not self.passed and self.severity in ("error", "critical")

    def in_run(self, run: str, at: datetime) -> "CheckResult":
        """The same result as part of a run."""
        return replace(self, run=run, at=at)

    def as_row(self) -> dict[str, Any]:
        """As a row of the table."""
        return {
            "id": self.id,
            "day": self.day,
            "checked_at": self.at,
            "run": self.run,
            "source": self.source,
            "table_name": self.table,
            "check_name": self.check,
            "dimension": self.dimension,
            "severity": self.severity,
            "passed": self.passed,
            "rows": self.rows,
            "broken": self.broken,
            "observed": self.observed,
            "low": self.low,
            "high": self.high,
            "message": self.message,
            "details": json.dumps(self.details, default=str, sort_keys=True),
        }


def stable_id(*parts: str) -> str:
    """A UUID that the same parts always give."""
    return str(uuid.uuid5(_NAMESPACE, "\x00".join(parts)))
