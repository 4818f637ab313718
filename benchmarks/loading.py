"""The same rows into the same DuckDB table, row by row with INSERT and at once with COPY.

Here: loading and its rates. Not here: how gold or a sink loads; both take their rows in bulk.
"""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import duckdb

from benchmarks.figures import Figure
from benchmarks.workbench import Workbench

ROWS = 20_000
_SOURCE = """
select i as order_id, 'CUST_' || i % 997 as customer, (i % 100000) / 100 as amount,
timestamp '2026-01-01' + i * interval 1 second as ordered_at from range({rows}) t(i)
"""
_TABLE = "create table {name} (order_id bigint, customer varchar, amount decimal(12,2), ordered_at timestamp)"


def measure(bench: Workbench) -> list[Figure]:
    """Rows per second of both ways, in turn, and their ratio."""
    bench.say(f"loading: {ROWS:,} rows by INSERT and by COPY")
    return compare(ROWS, bench.sizes.passes)


def compare(rows: int, passes: int, clock: Callable[[], float] = time.monotonic) -> list[Figure]:
    """Load `rows` rows `passes` times each way into a database file; both tables must end equal.

    `clock` tells seconds: of the wall for a benchmark, of the processor where other work must not count.
    """
    seconds: dict[str, list[float]] = {"insert": [], "copy": []}
    for _ in range(passes):
        with TemporaryDirectory() as folder, duckdb.connect(str(Path(folder) / "load.duckdb")) as database:
            file = Path(folder) / "rows.csv"
            database.execute(f"copy ({_SOURCE.format(rows=rows)}) to '{file}' (format csv, header)")
            values = database.execute(_SOURCE.format(rows=rows)).fetchall()
            for name, taken in seconds.items():
                database.execute(_TABLE.format(name=f"by_{name}"))
                began = clock()
                if name == "insert":
                    database.execute("begin")
                    for row in values:
                        database.execute("insert into by_insert values (?, ?, ?, ?)", row)
                    database.execute("commit")
                else:
                    database.execute(f"copy by_copy from '{file}' (format csv, header)")
                taken.append(clock() - began)
            differ = database.execute(
                "select count(*) from ((from by_insert except all from by_copy) union all "
                "(from by_copy except all from by_insert))"
            ).fetchone()
            assert differ == (0,)
            assert database.execute("select count(*) from by_copy").fetchone() == (rows,)
    insert, copy = (rows / median(each) for each in seconds.values())
    note = f"{rows:,} rows of 4 columns, one transaction each way, a CSV file for COPY"
    return [
        Figure("insert_rows_per_second", "DuckDB, one INSERT per row", insert, "rows/s", "higher", note=note),
        Figure("copy_rows_per_second", "DuckDB, COPY from a file", copy, "rows/s", "higher", note=note),
        Figure("copy_to_insert", "COPY ÷ INSERT", copy / insert, "x", "higher", target=10.0, note=note),
    ]
