"""The partition is the only clock: nothing that computes rows asks what time it is, or throws a dice without a seed."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.settings import PROJECT_ROOT

PACKAGE = PROJECT_ROOT / "lakehouse"
FORBIDDEN = {
    "now", "utcnow", "today", "time_ns", "current_timestamp", "current_date", "localtimestamp", "rand", "randn",
    "uuid4", "uuid1",
}  # fmt: skip
# What computes rows. lake/batch/run.py measures durations, topic.py names an attempt: neither goes into a row.
FILES = sorted(
    [
        *(PACKAGE / "transforms").glob("*.py"),
        *(PACKAGE / "sources" / "batch").glob("*.py"),
        PACKAGE / "contracts" / "window.py",
        PACKAGE / "lake" / "batch" / "frames.py",
        PACKAGE / "lake" / "batch" / "tables.py",
    ]
)


def clocks(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        owner = getattr(node.func.value, "id", "") if isinstance(node.func, ast.Attribute) else ""
        if name in FORBIDDEN or (owner, name) == ("time", "time"):
            yield f"line {node.lineno}: {owner}.{name}()"
        if owner == "random" and name != "Random":
            yield f"line {node.lineno}: random.{name}() has no seed"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_clock_where_rows_are_computed(path: Path) -> None:
    assert list(clocks(ast.parse(path.read_text(encoding="utf-8")))) == []


def test_the_search_finds_what_it_looks_for() -> None:
    code = "datetime.now()\nF.current_timestamp()\ntime.time()\nrandom.random()\nrandom.Random(1).random()\n"
    assert len(list(clocks(ast.parse(code)))) == 4
