"""The macros for slowly changing dimensions, rendered as they are and run by DuckDB over the life of three products."""

from datetime import date
from typing import Any

import duckdb
import jinja2
import pytest

from lakehouse.settings import PROJECT_ROOT

MACROS = PROJECT_ROOT / "dbt_project" / "macros" / "slowly_changing.sql"
# Seen of each product: A changes its price twice and is seen unchanged between; B never changes; C loses its category.
SEEN = [
    ("A", date(2026, 1, 1), "Toys", 10),
    ("A", date(2026, 1, 5), "Toys", 10),
    ("A", date(2026, 2, 1), "Toys", 12),
    ("A", date(2026, 3, 1), "Games", 12),
    ("A", date(2026, 4, 1), "Games", 10),
    ("B", date(2026, 1, 2), "Books", 5),
    ("B", date(2026, 6, 2), "Books", 5),
    ("C", date(2026, 1, 3), "Home", 7),
    ("C", date(2026, 5, 3), None, 7),
]
FIRST, FEBRUARY, MARCH, APRIL = (date(2026, month, 1) for month in range(1, 5))
MAY = date(2026, 5, 3)
VERSIONS = [
    ("A", "Toys", 10, FIRST, FEBRUARY, False),
    ("A", "Toys", 12, FEBRUARY, MARCH, False),
    ("A", "Games", 12, MARCH, APRIL, False),
    ("A", "Games", 10, APRIL, None, True),
    ("B", "Books", 5, date(2026, 1, 2), None, True),
    ("C", "Home", 7, date(2026, 1, 3), MAY, False),
    ("C", None, 7, MAY, None, True),
]
NOW = {"A": ("Games", 10), "B": ("Books", 5), "C": (None, 7)}


def rows_of(macro: str, *more: Any, order: str = "all") -> list[tuple[Any, ...]]:
    """What a macro's query gives."""
    environment = jinja2.Environment()  # noqa: S701 - SQL, not HTML
    module = environment.from_string(MACROS.read_text(encoding="utf-8")).module
    query = getattr(module, macro)("seen", *more)
    with duckdb.connect() as duck:
        duck.execute("create table seen (product varchar, seen_on date, category varchar, price integer)")
        duck.executemany("insert into seen values (?, ?, ?, ?)", SEEN)
        return duck.execute(f"from ({query}) order by {order}").fetchall()


ARGUMENTS = ("product", "seen_on", ["category", "price"])


@pytest.mark.parametrize(
    ("macro", "expected"),
    [
        ("scd_type_0", [("A", "Toys", 10), ("B", "Books", 5), ("C", "Home", 7)]),
        ("scd_type_1", [(product, *look) for product, look in NOW.items()]),
        ("scd_type_2", VERSIONS),
        ("scd_type_3", [("A", "Games", "Toys", 10, 12), ("B", "Books", None, 5, None), ("C", None, "Home", 7, None)]),
        ("scd_type_4_history", [row[:-1] for row in VERSIONS if not row[-1]]),
        ("scd_type_6", [(*row, *NOW[row[0]]) for row in VERSIONS]),
    ],
)
def test_type(macro: str, expected: list[tuple[Any, ...]]) -> None:
    has_versions = macro in ("scd_type_2", "scd_type_4_history", "scd_type_6")
    assert rows_of(macro, *ARGUMENTS, order="product, valid_from" if has_versions else "product") == expected


def test_type_5_points_from_each_key_to_its_present_profile() -> None:
    profiles = {row[0]: row[1:] for row in rows_of("scd_type_5_mini_dimension", ["category", "price"])}
    assert sorted(map(repr, profiles.values())) == sorted({repr(row[2:]) for row in SEEN})
    current = rows_of("scd_type_5_current", *ARGUMENTS)
    assert {product: profiles[profile] for product, profile in current} == NOW
