"""The parser that Spark has from us says of a record what `from_json` says, or nothing; of plain records it speaks."""

import random
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest

from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec
from lakehouse.sources.sales import SalesGenerator
from lakehouse.transforms.events import judge
from lakehouse.transforms.parsing import flat
from lakehouse_tests.spark.transforms.test_events import raw, rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

_TYPES = {
    "a": "string",
    "n": "integer",
    "l": "long",
    "x": "double",
    "d": "decimal(12,2)",
    "e": "decimal(18,6)",
    "w": "decimal(28,10)",
    "b": "boolean",
    "day": "date",
    "at": "timestamp",
    "ключ": "string",
}
FIELDS = [
    *(
        FieldSpec(name=f"f{i}", source=key, type=kind, description="A field.", nullable=True)  # type: ignore[arg-type]
        for i, (key, kind) in enumerate(_TYPES.items())
    ),
    FieldSpec(name="t", type="timestamp", description="A field."),
    FieldSpec(name="dashed", type="string", description="A field.", nullable=True, source="with-dash"),
    FieldSpec(name="old", type="string", description="A field.", nullable=True, source="now", aliases=["before"]),
    FieldSpec(name="since", type="timestamp", description="A field.", nullable=True, encoding="millis"),
]
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
    '{"a":"x"} ',
    ' \n{"a" :\t"x"}',
    '{"a":"x"}}',
    '{{"a":"x"}}',
    '{"a":"x",,"n":1}',
    '{"a":"x" "n":1}',
    '{"a":x}',
    '{"a":"x\\',
    '{"a":"x\\"}',
    '{"a":"x\\u00',
    '{"a":"\\x41"}',
    '{"a":"\\u+041"}',
    '{"a":"\\ud83d\\ude00 \\ud83d"}',
    '{"a":"tab\tin it"}',
    '{"a":"\x7f\x80"}',
    '{"a":"\\q"12}',
    '{"a":"x\n12}',
    '{"a":"x\t-12}',
    '{"a":"x\\ud83d"12}',
    '{":1}',
    '{"a:1}',
    '{"a":"}',
    '{"a":-}',
    '{"a":tru}',
    '{"\u043a\u043b\u044e\u0447":"\u0434\u0430"}',
    '{"a":"' + "x" * 1_100_000 + '"}',
]
NUMBERS = [
    *(
        "0",
        "-0",
        "-0.0",
        "0.0",
        "00",
        "01",
        "1.",
        ".5",
        "+1",
        "- 1",
        "1e2",
        "1E-2",
        "1.5",
        "-1.5",
        "0x10",
        "1_000",
        "1,5",
    ),
    *("2147483647", "2147483648", "-2147483648", "-2147483649", "9223372036854775807", "9223372036854775808"),
    *("999999999999999", "9999999999999999", "999999999999999999", "1000000000000000000", "0.1234567890123456789"),
    *("0.005", "0.015", "1.005", "-1.005", "2.675", "0.0049999", "9999999999.994", "9999999999.995", "-9999999999.995"),
    *(
        "12345678901234.5",
        "1.00499999999999999",
        "1.0049999999999999999",
        "0.0049999999999999999",
        "0.000001",
        "123456789012.1234565",
        "999999999999.9999995",
        "0.30000000000000004",
        "1.7e308",
    ),
    *("true", "false", "truE", "nul", "null", "nullx", "NaN", '"1"', '"1.5"', '""', "[]", "{}", "1 2"),
    *(
        '" 1"',
        '"1 "',
        '"-1.005"',
        '"1e2"',
        '"1,000.5"',
        '"01"',
        '"-0"',
        '"1.5',
        '"1.5"2',
        '"999999999999999999"',
        '"+1"',
    ),
]
TIMES = [
    *("2026-11-20T12:00:00Z", "2026-11-20 12:00:00", "2026-11-20T12:00:00.1Z", "2026-11-20T12:00:00.123456789Z"),
    *(
        "2026-11-20T12:00:00.1234567890Z",
        "2026-11-20T12:00:00.Z",
        "2026-11-20T12:00:00+05:30",
        "2026-11-20T12:00:00-00:01",
    ),
    *("2026-11-20T12:00:00+18:00", "2026-11-20T12:00:00+19:00", "2026-11-20T12:00:00+0530", "2026-11-20T12:00:00z"),
    *(
        "2026-11-20T24:00:00Z",
        "2026-11-20T23:60:00Z",
        "2026-11-20T23:59:60Z",
        "2026-11-20T1:00:00Z",
        "2026-11-20T12:00Z",
    ),
    *("2026-02-29", "2024-02-29", "2024-02-30", "2026-04-31", "2026-13-01", "2026-00-10", "2026-01-00", "2100-02-29"),
    *("1900-01-01", "1899-12-31", "1582-10-10", "0001-01-01", "0000-01-01", "9999-12-31", "10000-01-01", "-2026-01-01"),
    *(
        "9999-12-31T23:59:59.999999Z",
        "9999-12-31T23:59:59-18:00",
        "1899-12-31T23:59:59Z",
        "1900-01-01T00:00:00.000001Z",
    ),
    *(
        "2026-11-20",
        "2026-11",
        "2026-1-1",
        " 2026-11-20",
        "2026-11-20 ",
        "2026-11-20T",
        "20261120",
        "2026/11/20",
        "soon",
        "",
    ),
    *(
        "2026-11-20T12:00:00 Z",
        "2026-11-20T12:00:00 Europe/Paris",
        "2026-11-20T12:00:00UTC",
        "\u0662\u0660\u0662\u0666-11-20",
    ),
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


def _each_type() -> list[str]:
    """Every number for every field, and every time."""
    values = [*NUMBERS, *(f'"{text}"' for text in TIMES)]
    return [f'{{"{key}":{value}}}' for key in [*_TYPES, "since"] for value in values]


def _contract() -> StreamContract:
    update = {"fields": FIELDS, "event_time": "t", "key": ["f0"], "rules": [], "unique": [], "partition_by": []}
    return load_stream("sales").model_copy(update=update)


def _differences(spark: "SparkSession", texts: list[bytes]) -> list[Any]:
    judged = [judge(raw(spark, [*texts]), _contract(), ("topic",), independent=alone) for alone in (False, True)]
    # As texts, for there are dates in it that Python does not know.
    seen, asked = (
        frame.selectExpr(*(f"cast(`{name}` AS string)" for name in frame.columns if name != "value")).orderBy(
            frame["_offset"]
        )
        for frame in judged
    )
    return [
        (text[:200], {name: (value, other[name]) for name, value in one.asDict().items() if value != other[name]})
        for text, one, other in zip(texts, seen.collect(), asked.collect(), strict=True)
        if one != other
    ]


def test_traps_are_judged_as_by_spark_alone(spark: "SparkSession") -> None:
    broken = [
        b'{"a":"\xff"}',
        b'{"a":"\xc3\xa4\xc3"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"\xff":1}',
        b'{"a":"x"}\x00',
        b"\x00",
    ]
    assert _differences(spark, [*(text.encode() for text in TRAPS), *broken]) == []


def test_values_of_every_type_are_what_spark_makes_of_them(spark: "SparkSession") -> None:
    assert _differences(spark, [text.encode() for text in _each_type()]) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_damaged_records_are_judged_as_by_spark_alone(spark: "SparkSession", seed: int) -> None:
    texts = _made_up(seed, 3_000)
    assert _differences(spark, [text.encode() for text in texts]) == []
    # Of each kind there are enough for this to say something.
    judged = rows(spark, _contract(), [text.encode() for text in texts])
    assert sum(row["_rescued"] is not None for row in judged) > 300
    assert sum("malformed_json" in row["_broken"] for row in judged) > 300


def test_a_key_that_needs_escapes_is_left_to_spark(spark: "SparkSession") -> None:
    fields = [*FIELDS, FieldSpec(name="q", type="integer", description="A field.", nullable=True, source='with"quote')]
    assert _plain(spark, ['{"with\\"quote":1}', '{":1}', '{"n":1}'], fields) == [False, False, False]


def test_plain_records_are_parsed_by_it(spark: "SparkSession") -> None:
    sales = [field for field in load_stream("sales").fields if field.derive is None]
    texts = [event.value.decode() for event in islice(SalesGenerator(seed=3), 200)]
    assert _plain(spark, texts, sales) == [True] * 200
    compact = ['{"a":"x","n":null,"x":1.5}', '{"n":1}', '{"a":"x,y\\n","n":1}', '{"a":"x","u":null}', '{"a":["x"]}']
    assert _plain(spark, compact, FIELDS) == [True, True, True, False, False]


def _plain(spark: "SparkSession", texts: list[str], fields: list[FieldSpec]) -> list[bool]:
    numbered = spark.createDataFrame(list(enumerate(texts)), "number int, _text string")
    parsed = numbered.selectExpr("number", f"{flat(fields, is_there=True)} IS NOT NULL AS plain")
    return [row["plain"] for row in parsed.orderBy("number").collect()]
