"""Which rows lose: of all rows of one identity, staged or in the table, only one is silver's.

Here: finding the others by their keys alone. Not here: the rule itself (`transforms.winners`), hiding them (`adopt`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from lakehouse.engine.duck import duck_type, lasting_delta_connection, literal
from lakehouse.lake.log.actions import Add
from lakehouse.lake.merge.known_keys import KnownKeys
from lakehouse.lake.merge.staged import VALID, Staged
from lakehouse.lake.merge.vectors import read_vector
from lakehouse.lake.schema.tables import silver_types
from lakehouse.transforms.winners import winning_order

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from pyarrow import Table
    from pyroaring import BitMap64

_FILES_AT_ONCE = 128


@dataclass
class Losers:
    """Row numbers by file: of files in the table, and of staged files."""

    held: dict[Path, "BitMap64"] = field(default_factory=dict)
    staged: dict[Path, "BitMap64"] = field(default_factory=dict)

    def __or__(self, other: "Losers") -> "Losers":
        """The rows of both."""
        return Losers(_joined(self.held, other.held), _joined(self.staged, other.staged))


def losers(staged: Staged, active: Mapping[str, Add], known: KnownKeys) -> Losers:
    """The rows that must not be seen once the staged rows are in the table.

    Among rows of one identity the same one wins in any order of arrival; of two equal ones, the one that is there.

    Args:
        staged: The rows to come.
        active: The files, by name, that the table consists of where the staged rows have their event dates.
        known: What is known of keys in files; learns those of the active files, and of the staged ones by their paths.
    """
    contract = staged.contract
    identity = ", ".join(f'"{name}"' for name in contract.identity)
    direction = "desc" if contract.latest_wins else "asc"
    order = ", ".join(f'"{name}" {direction}' for name in winning_order(contract))
    wanted = [*contract.identity, *winning_order(contract)]
    new = staged.files(VALID)
    # What is made here is this connection's own, and goes with it. Numbers are compared faster than keys.
    with lasting_delta_connection() as duck:
        rows = rivals_of(duck, staged, {}, new, wanted)
        duck.execute(f"create temp table rivals as select *, hash({identity}) as h from ({rows})")  # noqa: S608 - our own files and names, quoted
        known.keep(active)
        _remember(known, duck, "select filename, h from rivals", str)
        for some in _in_turn({name: add for name, add in active.items() if name not in known}):
            # Hidden rows as well: an older version, restored, shows them again.
            bare = {name: {**add, "deletionVector": None} for name, add in some.items()}
            rows = rivals_of(duck, staged, bare, new[:1], contract.identity)
            query = f"select filename, hash({identity}) as h from ({rows}) where not is_staged"  # noqa: S608 - likewise
            _remember(known, duck, query, lambda path: Path(path).name)
        ours = duck.execute("select distinct h from rivals").to_arrow_table()["h"].combine_chunks()
        apart = known.without(active, ours)
        for some in _in_turn({name: add for name, add in active.items() if name not in apart}):
            # One new file tells what columns there are: old ones may lack some.
            rows = rivals_of(duck, staged, some, new[:1], wanted)
            duck.execute(
                f"insert into rivals select *, hash({identity}) from ({rows}) "  # noqa: S608 - our own files and names, quoted
                f"where not is_staged and hash({identity}) in (select h from rivals where is_staged)"
            )
        query = f"""
            select is_staged, filename, file_row_number as row_number from (
                select *, row_number() over (partition by {identity} order by {order}, is_staged) as place
                from rivals where h in (select h from rivals group by h having count(*) > 1)
            ) where place > 1
        """  # noqa: S608 - our own names
        return collected(duck, query)


def _remember(known: KnownKeys, connection: "DuckDBPyConnection", query: str, name_of: Callable[[str], str]) -> None:
    """Remember the hashes `h` by `filename` that a query gives."""
    grouped = f"select filename, list(h) as hashes from ({query}) group by filename"  # noqa: S608 - our own query
    found: Table = connection.execute(grouped).to_arrow_table()
    for file, hashes in zip(found["filename"].to_pylist(), found["hashes"], strict=True):
        known.remember(name_of(file), hashes.values)


def collected(connection: "DuckDBPyConnection", query: str) -> Losers:
    """The rows that a query names by `is_staged`, `filename` and `row_number`."""
    from pyroaring import BitMap64

    found: Table = connection.execute(query).to_arrow_table()
    result = Losers()
    for group in found.group_by(["is_staged", "filename"]).aggregate([("row_number", "list")]).to_pylist():
        side = result.staged if group["is_staged"] else result.held
        side[Path(group["filename"])] = BitMap64(group["row_number_list"])
    return result


def rivals_of(
    connection: "DuckDBPyConnection",
    staged: Staged,
    active: Mapping[str, Add],
    new: Iterable[Path],
    names: Iterable[str],
) -> str:
    """A query for these columns of all rows that readers see of the active files, and of these staged ones.

    Not by DuckDB's `delta_scan`: it keeps some memory of each file that it has listed until the process ends (1.5.5).
    """
    import pyarrow as pa

    contract = staged.contract
    types = silver_types(contract)
    # In the log, or in a folder's name, and in no file.
    of_file = contract.partition_columns
    wanted = dict.fromkeys(names)
    held = {str(staged.table / unquote(add["path"])): add for add in active.values()}
    files = [(path, False, add["partitionValues"]) for path, add in held.items()]
    files += [(str(file), True, staged.partition_of(file)) for file in new]
    values = ", ".join(
        f"({literal(path)}, {is_staged}{''.join(f', {literal(values.get(name))}' for name in of_file)})"
        for path, is_staged, values in files
    )
    told = "".join(f', "{name}"' for name in of_file)
    columns = ", ".join(
        f'cast({"f" if name in of_file else "r"}."{name}" as {duck_type(types[name])}) as "{name}"' for name in wanted
    )
    vectors = {path: read_vector(staged.table, add) for path, add in held.items() if add.get("deletionVector")}
    hidden = pa.table(
        {
            "filename": pa.array([path for path, rows in vectors.items() for _ in range(len(rows))], pa.string()),
            "row_number": pa.array([row for rows in vectors.values() for row in rows], pa.int64()),
        }
    )
    connection.register("hidden", hidden)
    # Files that are older than a wider type, or than a column, are read as the newest ones say.
    return f"""
        select f.is_staged, r.filename, r.file_row_number, {columns}
        from read_parquet([{", ".join(literal(path) for path, _, _ in files)}], union_by_name = true,
                          hive_partitioning = false, filename = true, file_row_number = true) r
        join (values {values}) f(path, is_staged{told}) on f.path = r.filename
        anti join hidden on hidden.filename = r.filename and hidden.row_number = r.file_row_number
    """  # noqa: S608 - our own files and names, quoted


def _in_turn(active: Mapping[str, Add]) -> Iterator[dict[str, Add]]:
    """The files, so many at a time: DuckDB holds what it knows of each file of a query until the query's end."""
    left = iter(active.items())
    while some := dict(islice(left, _FILES_AT_ONCE)):
        yield some


def _joined(one: dict[Path, "BitMap64"], other: dict[Path, "BitMap64"]) -> dict[Path, "BitMap64"]:
    return one | {file: one[file] | rows if file in one else rows for file, rows in other.items()}
