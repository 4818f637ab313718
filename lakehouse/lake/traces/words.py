"""Why a record is no row of silver, in words. Here: sentences. Not here: finding it out (`traces.trace`)."""

from lakehouse.contracts.model import StreamContract
from lakehouse.lake.decisions import Decision
from lakehouse.lake.traces.answer import Origin, SilverRow
from lakehouse.lake.traces.verdict import Examined
from lakehouse.lake.traces.versions import TRUNCATE

VERIFY = "run: lakehouse verify"
LAST_TRUNCATE = "it is the last truncate of its table: every row that comes before it is deleted"


def not_merged(origin: Origin, row: Examined, through: int) -> str:
    """Of a record that silver has not read."""
    stopping = [rule.rule for rule in row.rules if rule.severity == "fail" and rule.verdict in ("broken", "null")]
    if stopping:
        return f"its batch stops before silver: it breaks {', '.join(stopping)}, of severity fail"
    return f"silver holds bronze through batch {through}, the record came in batch {origin.batch}"


def beaten(contract: StreamContract, held: SilverRow, by: str) -> str:
    """Of a record whose key has another row in silver; `by` is what decided, as in `Version.beaten_by`."""
    if by == TRUNCATE and held.row["_op"] == "t":
        return f"the truncate {_place(held)} of its table comes after it, and the row is deleted"
    if by == TRUNCATE:
        return f"a truncate of its table comes after it; {_place(held)} has the same key and comes after the truncate"
    which = "later" if contract.latest_wins else "earlier"
    decided = f" by its {which} {by}" if by in ("event time", "source position") else f" by {by}" if by else ""
    return f"{_place(held)} has the same key and wins{decided}"


def why_quarantined(recorded: list[str], broken: list[str], discarded: Decision | None) -> str:
    """Of a record that quarantine has, with the reasons that are recorded there, and what it breaks today."""
    if not broken and discarded is not None:
        return f"{discarded.who} discarded it: {discarded.why}"
    if not broken:
        return f"it broke {', '.join(recorded)} when it was judged, and nothing today; run: lakehouse quarantine replay"
    then = "" if recorded == broken else f"; when it was judged: {', '.join(recorded)}"
    return f"it breaks {', '.join(broken)}{then}"


def earlier_truncate(held: SilverRow) -> str:
    """Of a truncate that is not the last one."""
    return f"{_place(held)} is a later truncate of the same table"


def _place(held: SilverRow) -> str:
    return f"{held.row['_partition']}:{held.row['_offset']}"
