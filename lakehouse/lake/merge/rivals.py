"""Which rows lose: of all rows of one identity, staged or in the table, only one is silver's.

Here: finding the others by their keys alone. Not here: the rule itself (`transforms.winners`), hiding them (`adopt`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.engine.duck import lasting_delta_connection, literal
from lakehouse.lake.merge.staged import VALID, Staged
from lakehouse.lake.schema.tables import silver_types
from lakehouse.quality.rules import date_list
from lakehouse.transforms.winners import winning_order

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from pyarrow import Table
    from pyroaring import BitMap64

_DUCK_TYPES = {"string": "varchar", "timestamp": "timestamptz", "array<bigint>": "bigint[]"}


@dataclass
class Losers:
    """Row numbers by file: of files in the table, and of staged files."""

    held: dict[Path, "BitMap64"] = field(default_factory=dict)
    staged: dict[Path, "BitMap64"] = field(default_factory=dict)

    def __or__(self, other: "Losers") -> "Losers":
        """The rows of both."""
        return Losers(_joined(self.held, other.held), _joined(self.staged, other.staged))


def losers(staged: Staged, version: int, event_dates: Iterable[str]) -> Losers:
    """The rows that must not be seen once the staged rows are in the table.

    Among rows of one identity the same one wins in any order of arrival; of two equal ones, the one that is there.

    Args:
        staged: The rows to come.
        version: The table's version to hold them against.
        event_dates: The event dates (ISO) of the staged rows.
    """
    contract = staged.contract
    identity = [f'"{name}"' for name in contract.identity]
    order = [f'"{name}"' for name in winning_order(contract)]
    types = silver_types(contract)
    # A staged file does not hold the columns that its folder names.
    from_folder = {name: types[name] for name in contract.partition_columns}
    wanted = [*contract.identity, *(name for name in winning_order(contract) if name not in contract.identity)]
    columns = ", ".join(f'"{name}"' for name in wanted)
    staged_columns = ", ".join(
        f'cast("{name}" AS {duck_type(from_folder[name])}) AS "{name}"' if name in from_folder else f'"{name}"'
        for name in wanted
    )
    days = "" if contract.is_cdc else f" where event_date in ({date_list(sorted(event_dates))})"
    files = ", ".join(literal(str(file)) for file in staged.files(VALID))
    direction = "desc" if contract.latest_wins else "asc"
    query = f"""
        with held as (
            select false as is_staged, filename, file_row_number as row_number, {columns}
            from delta_scan({literal(str(staged.table))}, version => {version}){days}
        ), staged as (
            select true as is_staged, filename, file_row_number as row_number, {staged_columns}
            from read_parquet([{files}], hive_partitioning = true, hive_types_autocast = false,
                              filename = true, file_row_number = true)
        ), rivals as (select * from held union all by name select * from staged),
        -- Numbers are counted faster than keys; the few that share one are looked at again below.
        shared as (
            select h from (
                select hash({", ".join(identity)}) as h, is_staged from rivals
            ) group by h having count(*) > 1 and bool_or(is_staged)
        )
        select is_staged, filename, row_number from (
            select *, row_number() over (
                partition by {", ".join(identity)}
                order by {", ".join(f"{name} {direction}" for name in order)}, is_staged
            ) as place
            from rivals where hash({", ".join(identity)}) in (select h from shared)
        ) where place > 1
    """  # noqa: S608 - our own files and names, quoted
    with lasting_delta_connection() as duck:
        return collected(duck, query)


def collected(duck: "DuckDBPyConnection", query: str) -> Losers:
    """The rows that a query names by `is_staged`, `filename` and `row_number`."""
    from pyroaring import BitMap64

    found: Table = duck.execute(query).to_arrow_table()
    result = Losers()
    for group in found.group_by(["is_staged", "filename"]).aggregate([("row_number", "list")]).to_pylist():
        side = result.staged if group["is_staged"] else result.held
        side[Path(group["filename"])] = BitMap64(group["row_number_list"])
    return result


def duck_type(kind: str) -> str:
    """DuckDB's name of a type of silver."""
    return _DUCK_TYPES.get(kind, kind)


def _joined(one: dict[Path, "BitMap64"], other: dict[Path, "BitMap64"]) -> dict[Path, "BitMap64"]:
    return one | {file: one[file] | rows if file in one else rows for file, rows in other.items()}
