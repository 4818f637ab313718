"""What a truncate of the source's table took: rows that come before it, held or staged, and what stays of their keys.

A truncate is a row of silver without a key. Of several the strongest is kept, as of every key, so silver always says
how far its table was emptied, in the same commit as everything else.
Here: finding the rows by the order of `transforms.winners`, writing what stays. Not here: the commit (`adopt`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lakehouse.engine.duck import lasting_delta_connection, literal
from lakehouse.lake.log.actions import Add
from lakehouse.lake.merge.rivals import Losers, collected, rivals_of
from lakehouse.lake.merge.staged import VALID, Staged
from lakehouse.transforms.winners import OF_TRUNCATE, truncate_key, winning_order

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class Taken(NamedTuple):
    """Rows that a truncate took, and the staged file with a deleted row for each key that has no later one."""

    rows: Losers
    remains: Path | None


def taken_by_truncate(staged: Staged, active: Mapping[str, Add]) -> Taken:
    """The rows that come before the strongest truncate, of the active files or staged.

    What the table holds is behind its own truncate already; then only staged rows can be taken.
    """
    contract = staged.contract
    key, order = contract.key, winning_order(contract)
    wanted = [*key, *OF_TRUNCATE]
    has_no_key = f'"{truncate_key(contract)}" is null'
    place, last = (f"({', '.join(f'{side}.{name}' for name in order)})" for side in ("r", "t"))
    keys, of_row = (", ".join(f'{side}"{name}"' for name in key) for side in ("", "r."))
    # What is made here is this connection's own, and goes with it.
    with lasting_delta_connection() as duck:
        for view, files in (("staged", {}), ("rivals", active)):
            duck.execute(f"create temp view {view} as {rivals_of(duck, staged, files, staged.files(VALID), wanted)}")
        duck.execute(f"""
            create temp table truncated as select * from rivals r where {has_no_key}
            order by {", ".join(f"{name} desc" for name in order)}, is_staged limit 1
        """)  # noqa: S608 - our own names
        is_new = duck.execute("select is_staged from truncated").fetchone()
        if is_new is None:
            return Taken(Losers(), None)
        duck.execute(f"""
            create temp table taken as select r.is_staged, r.filename, r.file_row_number as row_number, {of_row}
            from {"rivals" if is_new[0] else "staged"} r, truncated t
            where not r.{has_no_key} and {place} < {last}
        """)  # noqa: S608 - our own names
        rows = collected(duck, "select * from taken")
        if not (rows.held or rows.staged):
            return Taken(rows, None)
        return Taken(rows, _write_remains(duck, staged, keys, f"{place} < {last}"))


def _write_remains(duck: "DuckDBPyConnection", staged: Staged, keys: str, is_before: str) -> Path | None:
    """A deleted row, as the truncate deletes it, for each key of which no later row is there; None without any."""
    duck.execute(f"""
        create temp table remains as select distinct {keys} from taken anti join (
            select r.* from rivals r, truncated t where not ({is_before})
        ) using ({keys})
    """)  # noqa: S608 - our own names
    if duck.execute("select count(*) from remains").fetchone() == (0,):
        return None
    file = staged.root(VALID) / "truncated.parquet"
    told = ", ".join(f't."{name}"' for name in OF_TRUNCATE)
    # The columns that it lacks are null.
    duck.execute(
        f"copy (select r.*, {told} from remains r, truncated t) "  # noqa: S608 - our own file and names, quoted
        f"to {literal(str(file))} (format parquet, compression zstd)"
    )
    return file
