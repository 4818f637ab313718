"""The function for regular expressions says what `rlike` says, whatever the expression and the text."""

import random
from typing import TYPE_CHECKING

import pytest

from lakehouse.contracts.load import load_stream, load_streams
from lakehouse.engine.java_archive import MATCHES
from lakehouse.quality.rules import Condition
from lakehouse.transforms.matching import by_function

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

_PATTERNS = [
    "^$", "^a*$", "^(a|b)+$", "^(?:a|bc|)$", "^a{0}b{2}c{1,3}d{2,}$", "^.+@.+[.].+$", "^[^a-c]*$", "^[-a]+$", "^[a-]+$",
    "^(a*)*b$", "^(a|ab)(c|bcd)$", "^(a?){3}$", "^((a|b)c?)+$", "^[a-c-e]$", "^[*.?]+$", "^ *a *$", "^(a|b|)*c$",
    # Not for a table: Java is asked.
    "a", "^a", "a$", "^a|b$", "^a+?b$", "^a++b$", "^(?i)a$", "^(?=a)a$", "^[a&&b]$", "^[[a]b]$", "^a{2}{2}$",
    "^[]a]$", "^}$", "^]$", "^a{300}$", "^(.*a.{12})$", "^é+$", "^^a$$", "^(a{50}){50}$", "^a{1,}{2}$",
]  # fmt: skip
_TEXTS = [
    None, "", "a", "b", "ab", "abc", "abcd", "bc", "a\n", "a\r\n", "\na", "a b", "é", "aé", "éa", "a\x00", "-", "a-",
    "]", "}", "*", "a" * 40, "aab", "bbccdd", "x@y.z", "x@y", " a ", "a\u2028", "😀", "A", "acbc", "e", "d", "\x7f",
    "~", " ",
]  # fmt: skip


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _drawn(draw: random.Random, depth: int = 0) -> str:
    """A part of an expression."""
    part = ""
    for _ in range(draw.randint(0, 3)):
        kind = draw.random()
        if kind < 0.25 and depth < 3:
            part += (
                "("
                + draw.choice(["", "?:"])
                + "|".join(_drawn(draw, depth + 1) for _ in range(draw.randint(1, 3)))
                + ")"
            )
        elif kind < 0.55:
            part += "[" + draw.choice(["", "^"]) + draw.choice(["ab", "a-c", "b-", "0-9_", "a-cx", "."]) + "]"
        else:
            part += draw.choice(["a", "b", "c", ".", "_", "0", "-", " "])
        part += draw.choice(["", "", "", "*", "+", "?", "{2}", "{1,}", "{0,2}"])
    return part


def _compare(spark: "SparkSession", patterns: list[str], texts: list[str | None]) -> None:
    rows = spark.createDataFrame([(text,) for text in texts], "text string")
    asked = [
        f"{MATCHES}(text, {_quoted(p)}) = coalesce(text rlike {_quoted(p)}, false) AS c{n}"
        for n, p in enumerate(patterns)
    ]
    for row in rows.selectExpr("text", *asked).collect():
        assert [patterns[n] for n in range(len(patterns)) if not row[f"c{n}"]] == [], repr(row["text"])


def test_it_says_what_rlike_says(spark: "SparkSession") -> None:
    _compare(spark, _PATTERNS, _TEXTS)


@pytest.mark.parametrize("seed", range(3))
def test_it_says_what_rlike_says_of_drawn_expressions(spark: "SparkSession", seed: int) -> None:
    draw = random.Random(seed)
    patterns = [f"^{_drawn(draw)}$" for _ in range(150)]
    texts = ["".join(draw.choice("aabbc._0- x\né") for _ in range(draw.randint(0, 6))) for _ in range(400)]
    _compare(spark, patterns, [*texts, None])


def test_the_project_s_own_rules(spark: "SparkSession") -> None:
    """All rules of the streams that say a pattern are of the form that the function is asked for."""
    rules = [
        (contract, rule.sql) for contract in load_streams().values() for rule in contract.rules if " rlike " in rule.sql
    ]
    assert rules
    for contract, sql in rules:
        (asked,) = by_function([Condition("one", sql, "error", "")], contract.fields)
        column = sql.split()[0]
        assert asked.holds == f"{MATCHES}(`{column}`, {sql.split(' rlike ')[1]})"
        rows = spark.createDataFrame([(text,) for text in _TEXTS], f"{column} string")
        assert rows.selectExpr(f"{asked.holds} = coalesce({sql}, false) AS same").distinct().collect() == [(True,)]


@pytest.mark.parametrize(
    "sql",
    [
        "order_id rlike '^a$' AND true",
        "NOT order_id rlike '^a$'",
        "order_id rlike '^\\\\d$'",
        "order_id rlike 'it''s'",
        "upper(order_id) rlike '^A$'",
        "quantity rlike '^[0-9]$'",
        "order_id like 'a%'",
        "unknown rlike '^a$'",
        "order_id rlike store_id",
    ],
)
def test_others_stay_as_they_are(sql: str) -> None:
    condition = Condition("one", sql, "error", "")
    assert by_function([condition], load_stream("sales").fields) == [condition]
