"""What is slow in a query on gold, read from the plan that DuckDB followed.

Here: running a query once under EXPLAIN ANALYZE, and the findings. Not here: plans of Spark, settings of a cluster
(`engine.sizing`), asking gold (`cli.sql`).
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse.engine.duck import duck_connection
from lakehouse.errors import UsageError

MANY_ROWS = 100_000
"""Fewer rows are read in milliseconds, however they are read."""
SLOW_SHARE = 0.5
"""Share of the time from which one operator counts as the slow one."""
EXPLODES = 10
"""A join that gives so many times the rows of its larger side has a key that is none."""
_WITHOUT_KEY = {"CROSS_PRODUCT", "NESTED_LOOP_JOIN", "BLOCKWISE_NL_JOIN", "PIECEWISE_MERGE_JOIN", "IE_JOIN"}


@dataclass(frozen=True)
class Operator:
    """One step of a plan: what it did, for how long (seconds), rows that it read and gave, and what it is about."""

    name: str
    seconds: float
    read: int
    given: int
    about: dict[str, Any]
    inputs: tuple["Operator", ...] = ()

    def walk(self) -> Iterator["Operator"]:
        """This step and every one below it."""
        yield self
        for step in self.inputs:
            yield from step.walk()


@dataclass(frozen=True)
class Advice:
    """Something in a query that costs: what, and what to write instead."""

    what: str
    instead: str


def follow(gold: Path, query: str) -> Operator:
    """Run a query on the published gold and return the plan that it took. Its rows are not returned.

    Raises:
        UsageError: it is no query that gold can answer.
    """
    import duckdb

    with duck_connection(gold, read_only=True) as connection:
        try:
            row = connection.execute(f"explain (analyze, format json) {query}").fetchone()
        except duckdb.Error as error:
            raise UsageError(
                "Gold cannot answer this query.", why=str(error).splitlines()[0], fix='Try it: lakehouse sql "…"'
            ) from error
    return _operator(json.loads(row[1] if row else "{}"))


def judge(plan: Operator) -> list[Advice]:
    """What makes the query slow, the most costly first; empty when nothing does."""
    steps = list(plan.walk())
    total = sum(step.seconds for step in steps)
    found: list[tuple[float, Advice]] = []
    for step in steps:
        found += [(step.seconds, advice) for advice in (_scan(step), _join(step), _sort(step)) if advice is not None]
        # A scan is judged by what it reads; something has to take the time of a query that is well.
        is_slow = "Table" not in step.about and total > 0 and step.seconds >= SLOW_SHARE * total
        if is_slow and _touched(step) >= MANY_ROWS:
            what = f"{_label(step)} takes {step.seconds / total:.0%} of the time ({step.seconds * 1000:,.0f} ms)"
            found.append((step.seconds, Advice(what, "fewer rows into it, by filters or aggregation before")))
    found.sort(key=lambda pair: -pair[0])
    return list(dict.fromkeys(advice for _, advice in found))


def _scan(step: Operator) -> Advice | None:
    if "Table" not in step.about or step.read < MANY_ROWS:
        return None
    table = str(step.about["Table"]).rpartition(".")[2]
    if "Filters" not in step.about:
        return Advice(f"reads all {step.read:,} rows of {table}", "filter on event_date: marts are stored in its order")
    if step.given < step.read / EXPLODES and not _is_by_date(step):
        return Advice(
            f"reads {step.read:,} rows of {table} to keep {step.given:,}",
            "filter on event_date too: other columns are spread over every block",
        )
    return None


def _is_by_date(step: Operator) -> bool:
    return "event_date" in str(step.about["Filters"])


def _join(step: Operator) -> Advice | None:
    if not step.name.endswith(("_JOIN", "CROSS_PRODUCT")):
        return None
    sides = [_rows(side) for side in step.inputs]
    if step.name in _WITHOUT_KEY and len(sides) > 1 and sides[0] * sides[1] >= MANY_ROWS:
        return Advice(
            f"{_label(step)} compares {sides[0]:,} with {sides[1]:,} rows, each with each",
            "join on equal keys; put a range into a second condition",
        )
    if sides and step.given >= MANY_ROWS and step.given > EXPLODES * max(sides):
        return Advice(
            f"{_label(step)} makes {step.given:,} rows of {max(sides):,}",
            "the key repeats on both sides: aggregate one of them first, or add `is_current`",
        )
    return None


def _sort(step: Operator) -> Advice | None:
    if step.name == "ORDER_BY" and step.given >= MANY_ROWS:
        return Advice(f"sorts {step.given:,} rows", "add a limit, so that only the first rows are kept")
    return None


def _touched(step: Operator) -> int:
    return max(step.read, step.given, *(_rows(side) for side in step.inputs), 0)


def _rows(step: Operator) -> int:
    """Rows that a step gave. DuckDB counts none for steps that another one pulled through: then what they got."""
    return step.given or step.read or max((_rows(side) for side in step.inputs), default=0)


def _label(step: Operator) -> str:
    about = step.about.get("Table") or step.about.get("Conditions") or step.about.get("Order By") or ""
    shown = ", ".join(about) if isinstance(about, list) else str(about)
    return f"{step.name.lower().replace('_', ' ')}{f' ({shown})' if shown else ''}"


def _operator(node: dict[str, Any]) -> Operator:
    children: Sequence[dict[str, Any]] = node.get("children", [])
    return Operator(
        name=str(node.get("operator_name") or "QUERY").strip(),
        seconds=float(node.get("operator_timing") or 0),
        read=int(node.get("operator_rows_scanned") or 0),
        given=int(node.get("operator_cardinality") or 0),
        about=dict(node.get("extra_info") or {}),
        inputs=tuple(_operator(child) for child in children),
    )
