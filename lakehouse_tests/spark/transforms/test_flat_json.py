"""Most records show by their commas that they have known keys only; the verdict is the one that asking would give."""

import random
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest

from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec
from lakehouse.sources.sales import SalesGenerator
from lakehouse.transforms import events
from lakehouse.transforms.fields import from_json, only_known
from lakehouse_tests.spark.transforms.test_events import rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

FIELDS = [
    FieldSpec(name="a", type="string", description="A field.", nullable=True),
    FieldSpec(name="n", type="integer", description="A field.", nullable=True),
    FieldSpec(name="x", type="double", description="A field.", nullable=True),
    FieldSpec(name="d", type="decimal(12,2)", description="A field.", nullable=True),
    FieldSpec(name="t", type="timestamp", description="A field."),
    FieldSpec(name="dashed", type="string", description="A field.", nullable=True, source="with-dash"),
    FieldSpec(name="old", type="string", description="A field.", nullable=True, source="now", aliases=["before"]),
]
# Each looks as if it had as many keys as were found, in a way of its own.
TRAPS = [
    '{"a":"x","u":{"n":1}}',
    '{"a":"x","u":[{"n":1}]}',
    r'{"a":"x","b\"n":1}',
    r'{"a":"\"n\":","u":1}',
    '{"a":"x"',
    '{"a":"x","n":',
    '{"x":NaN}',
    '{"x":-Infinity,"a":"x"}',
    '{"x":"NaN"}',
    '{"a":"x"}{"b":1}',
    '{"a":"x"}, and more',
    '{"u":2}"n":"text", "a":true}',
    '{"u":2},"a":1',
    '[{"a":"x"}]',
    '[{"a":"x"},{"a":"y"}]',
    '{"a":"x","a":"y"}',
    '{"a":null,"a":null}',
    '{"a":null,"b":null}',
    '{"a":null,"n":null}',
    '{"a" : null , "n" : 1}',
    '{"n":"three","a":"x"}',
    '{"n":1e400,"d":1e400}',
    "{'a':'x'}",
    "{'a':'x','u':1}",
    "{a:1}",
    '{"a":{"n":1}}',
    '{"a":{"n":1,"m":2}}',
    '{"a":"x,y","n":1}',
    '{"":1}',
    "{}",
    "null",
    "1",
    '"a"',
    "",
    " ",
    '{"a":"x",}',
    '{"now":"1","before":"2"}',
    '{"before":"2","with-dash":null}',
    '{"a":"x"\n,\n"n":1}',
    '{"A":"x","a":"y"}',
    '{"a":"x","u":null}',
    '\ufeff{"a":"x"}',
    '{"a":"\x01","n":1}',
    '{"a":"x,\x01,y","u":1,"n":2}',
    '{"a":"x",\x01,"u":1}',
    '{"a":"x"},\x01,"u":1',
    "{'a':'x,\x01,y','u':1}",
    '{"a":"x\\\x01,\x01,","u":1}',
    '{"a":"x,\\u0001,y","u":1}',
    '{"t":"2026-01-01T00:00:00Z","d":1.005}',
]
_PIECES = [
    *('"a"', '"n"', '"x"', '"t"', '"with-dash"', '"now"', '"before"', '"u"', r'"u\"n"', "'a'"),
    *(":", ":", ":", ",", ",", ",", "{", "}", "[", "]", " ", "\\", '"', ",\x01,"),
    *("1", "null", '"text"', '"a,b"', '{"n":1}', '{"u":2}', "NaN", "1.5", "true"),
]


def _made_up(seed: int, count: int) -> list[str]:
    """Objects of a few members, half of them damaged in one place."""
    draw = random.Random(seed)
    texts = []
    for _ in range(count):
        members = [f"{draw.choice(_PIECES[:10])}:{draw.choice(_PIECES[-9:])}" for _ in range(draw.randint(0, 5))]
        text = "{" + draw.choice([",", ", "]).join(members) + "}"
        if draw.random() < 0.5:
            at = draw.randrange(len(text))
            text = text[:at] + draw.choice(_PIECES) + text[at + draw.randint(0, 2) :]
        texts.append(text)
    return texts


def _contract() -> StreamContract:
    update = {"fields": FIELDS, "event_time": "t", "key": ["a"], "rules": [], "unique": [], "partition_by": []}
    return load_stream("sales").model_copy(update=update)


def _judged(spark: "SparkSession", values: list[bytes | None]) -> list[dict[str, Any]]:
    return [row.asDict(recursive=True) for row in rows(spark, _contract(), values)]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_verdict_is_the_one_that_asking_for_the_keys_gives(
    spark: "SparkSession", monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    texts = [*TRAPS, *_made_up(seed, 3_000)]
    values: list[bytes | None] = [text.encode() for text in texts]
    seen = _judged(spark, values)
    monkeypatch.setattr(events, "only_known", lambda _: "false")
    asked = _judged(spark, values)
    differences = [
        (text, one, other)
        for text, one, other in zip(texts, seen, asked, strict=True)
        if repr(one) != repr(other)  # not a number is unlike itself
    ]
    assert not differences
    # Of each kind there are enough for this to say something.
    assert sum(row["_rescued"] is not None for row in asked) > 300
    assert sum("malformed_json" in row["_broken"] for row in asked) > 300


def test_plain_records_show_that_their_keys_are_known(spark: "SparkSession") -> None:
    sales = [field for field in load_stream("sales").fields if field.derive is None]
    texts = [event.value.decode() for event in islice(SalesGenerator(seed=3), 200)]
    assert _plain(spark, texts, sales) == [True] * 200
    compact = ['{"a":"x","n":null,"x":1.5}', '{"n":1}', '{"a":"x,y","n":1}', '{"a":"x","u":null}', '{"a":"x","u":1}']
    assert _plain(spark, compact, FIELDS) == [True, True, False, False, False]


def _plain(spark: "SparkSession", texts: list[str], fields: list[FieldSpec]) -> list[bool]:
    numbered = spark.createDataFrame(list(enumerate(texts)), "number int, _text string")
    parsed = numbered.selectExpr("*", f"{from_json('_text', fields)} AS _event")
    return [
        row["plain"]
        for row in parsed.selectExpr("number", f"{only_known(fields)} AS plain").orderBy("number").collect()
    ]
