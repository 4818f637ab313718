"""What retention took from a table, as the table itself says: a property that no cleanup of the log forgets.

Here: reading it, and what follows for event dates. Not here: deleting (`lake.maintenance.retention`).
"""

import json
from dataclasses import asdict, dataclass
from datetime import date, timedelta

from lakehouse.contracts.model import StreamContract
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.quality.rules import quote

PROPERTY = "lakehouse.retention"


@dataclass(frozen=True)
class Deleted:
    """What retention took from a table so far.

    Attributes:
        before: Arrival days before this one are gone.
        run: Number of the delete; the Delta log knows it as a transaction, so that it is done once.
        rows: Rows of this delete.
        earlier: Rows of the deletes before it.
    """

    before: date
    run: int
    rows: int
    earlier: int = 0

    @property
    def total(self) -> int:
        """Rows that were deleted in all."""
        return self.rows + self.earlier

    def property_sql(self) -> str:
        """The property as it goes into TBLPROPERTIES (…)."""
        return f"'{PROPERTY}' = {quote(json.dumps({**asdict(self), 'before': str(self.before)}))}"


def deleted(path: str) -> Deleted | None:
    """What retention took from the table at this path; None when nothing."""
    text = configuration(path).get(PROPERTY)
    if text is None:
        return None
    found = json.loads(text)
    return Deleted(**{**found, "before": date.fromisoformat(found["before"])})


def closed_before(contract: StreamContract, paths: LakePaths) -> date | None:
    """Event dates before this one may rest on deleted records: nobody can compute them from bronze any more."""
    gone = deleted(paths.bronze(contract.name))
    # As `lake.rebuild.backfill.arrival_window`: an event may come a day and the contract's lateness before its date.
    return None if gone is None else gone.before + timedelta(days=1) + contract.lateness.future


def configuration(path: str) -> dict[str, str]:
    """The table's properties; none without a table."""
    if not table_exists(path):
        return {}
    from deltalake import DeltaTable

    return dict(DeltaTable(path, without_files=True).metadata().configuration)
