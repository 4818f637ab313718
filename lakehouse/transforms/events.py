"""From raw bronze records to typed, judged rows: one parse, all conditions in one pass.

Here: a pure DataFrame → DataFrame step. Not here: reading bronze, writing silver, what a rule means (`quality.rules`).

A plain record is parsed by a parser that Spark has from us (`engine.java_archive`), any other by `from_json`, and then
looked at as closely as it takes. Spark would turn `from_json(value).field` into one parse per field and push every
condition back into the parse. Two things keep it at one parse: on the session the setting
`spark.sql.optimizer.enableJsonExpressionOptimization=false`, and steps that refer to the parsed struct many times,
which the optimizer then does not inline.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from lakehouse.contracts.change import CHANGE_COLUMNS
from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec
from lakehouse.engine import java_archive
from lakehouse.quality.rules import (
    NO_VALUE,
    NOT_UTF8,
    Condition,
    broken_names,
    key_conditions,
    quote,
    rejecting_conditions,
    stopping_conditions,
    truncate_conditions,
    warning_conditions,
)
from lakehouse.transforms.avro import is_framed, problem_of, text_of
from lakehouse.transforms.changes import unpacked
from lakehouse.transforms.encodings import readable_field
from lakehouse.transforms.fields import field_expression, key_expression, spark_type
from lakehouse.transforms.headers import last_header
from lakehouse.transforms.matching import by_function
from lakehouse.transforms.parsing import closer_look, flat, from_json, malformed, rescued

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

PROVENANCE = ("_topic_id", "_generation", "_partition", "_offset", "_batch", "_ingested_at")
VERDICTS = ("_broken", "_failed", "_warned")
_EMPTY = "''"
# What is carried from bronze through parsing besides the provenance and the value.
_RAW = ("key", "_broker_time", "arrival_date", "_retry_count")
# How often a record was sent again, as its header says; whatever is no number counts as never.
_RETRY_COUNT = f"greatest(0, coalesce(try_cast({last_header('retry_count')} AS int), 0))"


def judge(
    bronze: "DataFrame",
    contract: StreamContract,
    generations: tuple[str, ...],
    ignored: Iterable[str] = (),
    writers: Mapping[int, str] | None = None,
    *,
    independent: bool = False,
) -> "DataFrame":
    """Parse and judge raw records.

    Args:
        bronze: Rows of the bronze table.
        contract: What the stream promises.
        generations: The topic ids of the stream, oldest first.
        ignored: Keys of an event that are neither read nor kept in `_rescued`: fields that the contract had once.
        writers: Avro schemas by id, for a topic of that format.
        independent: Parse and judge with Spark's own functions only, as a proof does: what it says of rows that ours
            have parsed is then a second opinion.

    Returns:
        One row per record: the contract's fields, `event_date`, `_rescued`, provenance, the raw `key`, `value`,
        `timestamp` and `arrival_date`, `_retry_count` (how often it was sent again), and the verdicts `_broken`,
        `_failed`, `_warned`: comma-separated names of broken conditions, empty when all hold. `_broken` is not empty
        exactly for rejected rows.
    """
    raw = _read(bronze, generations, contract, writers or {})
    is_helped = not independent and java_archive.is_there(bronze.sparkSession)
    return _judged(_typed(raw, contract, ignored, is_helped=is_helped), contract, is_helped=is_helped)


def slim(judged: "DataFrame", contract: StreamContract) -> "DataFrame":
    """Judged rows with the payload of rejected ones only: half the size where they are kept for a while."""
    return judged.selectExpr(
        *(f"`{name}`" for name in (*silver_columns(contract), "timestamp", "arrival_date", "_retry_count", *VERDICTS)),
        "CASE WHEN _broken != '' THEN key END AS key",
        "CASE WHEN _broken != '' THEN value END AS value",
    )


def typed(bronze: "DataFrame", contract: StreamContract, writers: Mapping[int, str] | None = None) -> "DataFrame":
    """Parsed fields without any verdict: what the contract's rules may refer to. `writers`: as for `judge`."""
    raw = _read(bronze, (), contract, writers or {})
    return _typed(raw, contract, is_helped=java_archive.is_there(bronze.sparkSession))


def silver_columns(contract: StreamContract) -> list[str]:
    """The columns of the silver table, in order."""
    return [*contract.field_names, "event_date", "_rescued", *_change_columns(contract), *PROVENANCE]


def valid_rows(judged: "DataFrame", contract: StreamContract) -> "DataFrame":
    """The judged rows that silver is made of, in its shape."""
    # A truncate that the contract ignores is no reject, and there is no row in it.
    passes = "_broken = '' AND _op != 't'" if contract.ignores_truncates else "_broken = ''"
    return where_judged(judged, passes, silver_columns(contract))


def where_judged(judged: "DataFrame", condition: str, columns: Iterable[str] = ()) -> "DataFrame":
    """The judged rows for which a condition (SQL) holds: these columns of them, or all.

    `where` would be pushed down through every step before it, and each parse written out anew wherever the condition
    needs it: thousands of times for a change record. Nothing is pushed through a generator.
    """
    wanted = ", ".join(f"`{name}`" for name in columns) or "*"
    return judged.selectExpr(f"inline(CASE WHEN {condition} THEN array(struct({wanted})) END)")


def current_rows(silver: "DataFrame", contract: StreamContract) -> "DataFrame":
    """Silver without the rows that only remember a deleted key, or a truncate."""
    return silver.where("NOT _deleted") if contract.is_cdc else silver


def _change_columns(contract: StreamContract) -> list[str]:
    return list(CHANGE_COLUMNS) if contract.is_cdc else []


def _read(
    bronze: "DataFrame", generations: tuple[str, ...], contract: StreamContract, writers: Mapping[int, str]
) -> "DataFrame":
    """Provenance, the value as text, of which `_unread` says why there is none, and the record's key as text.

    The raw value comes along where the text is another one: each step copies what it passes on.
    """
    is_avro = contract.topic.format == "avro"
    generation = " ".join(f"WHEN {quote(topic_id)} THEN {number}" for number, topic_id in enumerate(generations))
    numbered = f"CASE topic_id {generation} END" if generations else "NULL"
    return bronze.selectExpr(
        "key",
        *([] if _text_is_value(contract) else ["value"]),
        f"{text_of(writers, keep_nulls=contract.is_cdc) if is_avro else 'cast(value AS string)'} AS _text",
        f"{_key_of_change(writers) if is_avro and contract.is_cdc else 'cast(key AS string)'} AS _record_key",
        "timestamp AS _broker_time",
        "arrival_date",
        "topic_id AS _topic_id",
        f"cast({numbered} AS int) AS _generation",
        "partition AS _partition",
        "offset AS _offset",
        "batch AS _batch",
        "_ingested_at",
        "headers",
        f"{_RETRY_COUNT} AS _retry_count",
    ).selectExpr("*", f"{problem_of(writers) if is_avro else _EMPTY} AS _unread")


def _key_of_change(writers: Mapping[int, str]) -> str:
    """SQL: a key has a converter of its own, which need not write Avro. A text never begins with a zero byte."""
    return f"CASE WHEN {is_framed('key')} THEN {text_of(writers, 'key', keep_nulls=True)} ELSE cast(key AS string) END"


def _typed(raw: "DataFrame", contract: StreamContract, ignored: Iterable[str] = (), *, is_helped: bool) -> "DataFrame":
    own = [readable_field(field, contract) for field in contract.fields if field.derive is None]
    records = unpacked(raw, contract) if contract.is_cdc else raw
    # What Spark makes of broken Avro looks like a record without fields.
    plain = f"CASE WHEN _unread = '' THEN {flat(own, is_there=is_helped)} END"
    parsed = records.selectExpr("*", f"{plain} AS _flat").selectExpr("*", f"{_look(own, contract, ignored)} AS _look")
    fields = (_change_fields if contract.is_cdc else _event_fields)(parsed, own, contract)
    derived = [field for field in contract.fields if field.derive is not None]
    for field in derived:
        # One step each, in the order of the YAML, so that a derived field may use an earlier one.
        fields = fields.selectExpr("*", f"try_cast(({field.derive}) AS {spark_type(field)}) AS `{field.name}`")
    return fields


def _text_is_value(contract: StreamContract) -> bool:
    """Whether `_text` stays the record's value, byte for byte."""
    return contract.topic.format != "avro" and not contract.is_cdc


def _look(own: list[FieldSpec], contract: StreamContract, ignored: Iterable[str]) -> str:
    """SQL for the closer look at a record that is not plain. What a change record is, was found out before."""
    if contract.is_cdc:
        return closer_look(own, rescued=rescued(own, ignored, added="__"), unreadable="''")
    is_text = _text_is_value(contract)
    unreadable = (
        f"CASE WHEN {'_text' if is_text else 'value'} IS NULL THEN '{NO_VALUE}' WHEN _unread != '' THEN _unread "
        f"WHEN NOT is_valid_utf8(_text) THEN '{NOT_UTF8}' ELSE {malformed(is_text=is_text)} END"
    )
    return closer_look(own, rescued=rescued(own, ignored), unreadable=unreadable)


def _event_fields(parsed: "DataFrame", own: list[FieldSpec], contract: StreamContract) -> "DataFrame":
    return parsed.selectExpr(
        "cast(_text AS binary) AS value" if _text_is_value(contract) else "value",
        *_RAW,
        *PROVENANCE,
        "coalesce(_look.unreadable, '') AS _unreadable",
        "_look.mistyped AS _mistyped",
        "_look.rescued AS _rescued",
        *(field_expression(field) for field in own),
    )


def _change_fields(parsed: "DataFrame", own: list[FieldSpec], contract: StreamContract) -> "DataFrame":
    """As `_event_fields`; a delete that carries no row image has its key from the record's key."""
    keys = [field for field in own if field.name in contract.key]
    with_key = parsed.selectExpr("*", f"CASE WHEN _op = 'd' THEN {from_json('_key_text', keys)} END AS _key_event")
    return with_key.selectExpr(
        "value",
        *_RAW,
        *PROVENANCE,
        "_op",
        "_op IN ('d', 't') AS _deleted",
        "_changed_at",
        "_position",
        "_refused AS _unreadable",
        "CASE WHEN _op NOT IN ('d', 't') THEN _look.mistyped END AS _mistyped",
        "CASE WHEN _op NOT IN ('d', 't') THEN _look.rescued END AS _rescued",
        *(key_expression(field) if field in keys else field_expression(field) for field in own),
    )


def _judged(typed: "DataFrame", contract: StreamContract, *, is_helped: bool) -> "DataFrame":
    def broken(conditions: list[Condition]) -> str:
        return broken_names(by_function(conditions, contract.fields) if is_helped else conditions)

    judged = typed.selectExpr(
        "*",
        f"{_verdict(contract, broken(rejecting_conditions(contract)), unreadable='_unreadable')} AS _broken",
        f"{_verdict(contract, broken(stopping_conditions(contract)))} AS _failed",
        f"{_verdict(contract, broken(warning_conditions(contract)))} AS _warned",
    )
    return judged.selectExpr(
        *(_kept(name, contract) for name in contract.field_names),
        f"to_date(`{contract.event_time}`) AS event_date",
        "_rescued",
        *_change_columns(contract),
        *PROVENANCE,
        "key",
        "value",
        "_broker_time AS timestamp",
        "arrival_date",
        "_retry_count",
        *VERDICTS,
    )


def _verdict(contract: StreamContract, broken: str, *, unreadable: str = "''") -> str:
    """SQL for the names of broken conditions; of a delete only the key is judged, for it carries nothing else."""
    of_deleted = ""
    if contract.is_cdc:
        is_rejecting = unreadable != "''"
        of_key = broken_names(key_conditions(contract)) if is_rejecting else "''"
        is_asked = is_rejecting and contract.applies_truncates
        of_truncate = broken_names(truncate_conditions(contract)) if is_asked else "''"
        of_deleted = f"WHEN _op = 'd' THEN {of_key} WHEN _op = 't' THEN {of_truncate} "
    return f"CASE WHEN _unreadable != '' THEN {unreadable} {of_deleted}ELSE {broken} END"


def _kept(name: str, contract: StreamContract) -> str:
    """SQL for a field of silver; of a deleted row only the key stays, for what else is told depends on the source."""
    if not contract.is_cdc:
        return f"`{name}`"
    if name in contract.key:
        return f"CASE WHEN _op <=> 't' THEN NULL ELSE `{name}` END AS `{name}`"
    return f"CASE WHEN NOT _deleted THEN `{name}` END AS `{name}`"
