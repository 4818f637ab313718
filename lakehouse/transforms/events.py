"""From raw bronze records to typed, judged rows: one parse, all conditions in one pass.

Here: a pure DataFrame → DataFrame step. Not here: reading bronze, writing silver, what a rule means (`quality.rules`).

Spark would turn `from_json(value).field` into one parse per field and push every condition back into the parse. Two
things keep it at one parse: `spark.sql.optimizer.enableJsonExpressionOptimization=false` on the session, and steps that
refer to the parsed struct many times, which the optimizer then does not inline.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from lakehouse.contracts.model import FieldSpec, StreamContract
from lakehouse.quality.rules import (
    MALFORMED,
    NO_VALUE,
    NOT_UTF8,
    broken_names,
    quote,
    rejecting_conditions,
    stopping_conditions,
    warning_conditions,
)
from lakehouse.transforms.avro import problem_of, text_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SPARK_TYPES = {"integer": "int", "long": "bigint"}
PROVENANCE = ("_topic_id", "_generation", "_partition", "_offset", "_batch", "_ingested_at")
VERDICTS = ("_broken", "_failed", "_warned")
# What is carried from bronze through parsing besides the provenance.
_EMPTY = "''"
_RAW = ("key", "value", "_broker_time", "arrival_date", "_retry_count")
# How often a record was sent again, as its header says; whatever is no number counts as never.
_RETRY_COUNT = (
    "greatest(0, coalesce(try_cast(cast("
    "try_element_at(filter(headers, h -> h.key = 'retry_count'), -1).value AS string) AS int), 0))"
)


def spark_type(field: FieldSpec) -> str:
    """The field's type in Spark SQL."""
    return SPARK_TYPES.get(field.type, field.type)


def judge(
    bronze: "DataFrame",
    contract: StreamContract,
    generations: tuple[str, ...],
    ignored: Iterable[str] = (),
    writers: Mapping[int, str] | None = None,
) -> "DataFrame":
    """Parse and judge raw records.

    Args:
        bronze: Rows of the bronze table.
        contract: What the stream promises.
        generations: The topic ids of the stream, oldest first.
        ignored: Keys of an event that are neither read nor kept in `_rescued`: fields that the contract had once.
        writers: Avro schemas by id, for a topic of that format.

    Returns:
        One row per record: the contract's fields, `event_date`, `_rescued`, provenance, the raw `key`, `value`,
        `timestamp` and `arrival_date`, `_retry_count` (how often it was sent again), and the verdicts `_broken`,
        `_failed`, `_warned`: comma-separated names of broken conditions, empty when all hold. `_broken` is not empty
        exactly for rejected rows.
    """
    return _judged(_typed(_read(bronze, generations, contract, writers or {}), contract, ignored), contract)


def slim(judged: "DataFrame", contract: StreamContract) -> "DataFrame":
    """Judged rows with the payload of rejected ones only: half the size where they are kept for a while."""
    return judged.selectExpr(
        *(f"`{name}`" for name in (*silver_columns(contract), "timestamp", "arrival_date", "_retry_count", *VERDICTS)),
        "CASE WHEN _broken != '' THEN key END AS key",
        "CASE WHEN _broken != '' THEN value END AS value",
    )


def typed(bronze: "DataFrame", contract: StreamContract, writers: Mapping[int, str] | None = None) -> "DataFrame":
    """Parsed fields without any verdict: what the contract's rules may refer to. `writers`: as for `judge`."""
    return _typed(_read(bronze, (), contract, writers or {}), contract)


def silver_columns(contract: StreamContract) -> list[str]:
    """The columns of the silver table, in order."""
    return [*contract.field_names, "event_date", "_rescued", *PROVENANCE]


def _read(
    bronze: "DataFrame", generations: tuple[str, ...], contract: StreamContract, writers: Mapping[int, str]
) -> "DataFrame":
    """Provenance and the value as text; `_unread` says why there is none."""
    is_avro = contract.topic.format == "avro"
    generation = " ".join(f"WHEN {quote(topic_id)} THEN {number}" for number, topic_id in enumerate(generations))
    numbered = f"CASE topic_id {generation} END" if generations else "NULL"
    return bronze.selectExpr(
        "key",
        "value",
        f"{text_of(writers) if is_avro else 'cast(value AS string)'} AS _text",
        "timestamp AS _broker_time",
        "arrival_date",
        "topic_id AS _topic_id",
        f"cast({numbered} AS int) AS _generation",
        "partition AS _partition",
        "offset AS _offset",
        "batch AS _batch",
        "_ingested_at",
        f"{_RETRY_COUNT} AS _retry_count",
    ).selectExpr("*", f"{problem_of(writers) if is_avro else _EMPTY} AS _unread")


def _typed(raw: "DataFrame", contract: StreamContract, ignored: Iterable[str] = ()) -> "DataFrame":
    own = [field for field in contract.fields if field.derive is None]
    parsed = raw.selectExpr(
        "*",
        f"from_json(_text, {quote(_parse_schema(own))}, "
        "map('mode', 'PERMISSIVE', 'columnNameOfCorruptRecord', '_corrupt')) AS _event",
        "json_object_keys(_text) AS _keys",
    )
    known = sorted({*ignored, *(key for field in own for key in field.keys)})
    in_order = ", ".join(quote(key) for key in dict.fromkeys(field.key for field in own))
    all_known = ", ".join(quote(key) for key in known)
    unreadable = (
        f"CASE WHEN value IS NULL THEN '{NO_VALUE}' WHEN _unread != '' THEN _unread "
        f"WHEN NOT is_valid_utf8(_text) THEN '{NOT_UTF8}' "
        f"WHEN _keys IS NULL OR _event IS NULL THEN '{MALFORMED}' ELSE '' END"
    )
    fields = parsed.selectExpr(
        *_RAW,
        *PROVENANCE,
        f"{unreadable} AS _unreadable",
        # The raw texts are needed only where some field did not parse; everywhere else this branch costs nothing.
        f"CASE WHEN _event._corrupt IS NOT NULL OR {_has_unparsed(own)} "
        "THEN from_json(_text, 'map<string,string>') END AS _raw",
        f"CASE WHEN _keys = array({in_order}) OR size(array_except(_keys, array({all_known}))) <= 0 THEN NULL "
        "ELSE to_json(map_filter(from_json(_text, 'map<string,string>'), "
        f"(k, v) -> NOT array_contains(array({all_known}), k))) END AS _rescued",
        *(_field_expression(field) for field in own),
    )
    derived = [field for field in contract.fields if field.derive is not None]
    for field in derived:
        # One step each, in the order of the YAML, so that a derived field may use an earlier one.
        fields = fields.selectExpr("*", f"try_cast(({field.derive}) AS {spark_type(field)}) AS `{field.name}`")
    return fields


def _has_unparsed(own: list[FieldSpec]) -> str:
    """SQL: some field with a `parse` expression came out null although its text is there."""
    parts = [
        f"({_event_value(field)} IS NOT NULL AND {_parse_expression(field)} IS NULL)"
        for field in own
        if field.parse is not None
    ]
    return " OR ".join(parts) or "false"


def _parse_schema(own: list[FieldSpec]) -> str:
    """DDL of the event: a key that several fields read, or that has a `parse`, is read as text."""
    types: dict[str, str] = {}
    for field in own:
        for key in field.keys:
            is_text = field.parse is not None or key in types
            types[key] = "string" if is_text else spark_type(field)
    columns = ", ".join(f"{_tick(key)} {kind}" for key, kind in types.items())
    return f"{columns}, `_corrupt` string"


def _field_expression(field: FieldSpec) -> str:
    if field.parse is not None:
        return f"{_parse_expression(field)} AS `{field.name}`"
    return f"cast({_event_value(field)} AS {spark_type(field)}) AS `{field.name}`"


def _event_value(field: FieldSpec) -> str:
    """SQL for what the event says of the field: by today's key, else by a former one."""
    found = [f"_event.{_tick(key)}" for key in field.keys]
    return found[0] if len(found) == 1 else f"coalesce({', '.join(found)})"


def _parse_expression(field: FieldSpec) -> str:
    """The field's own expression with the raw text bound to `value`."""
    text = _event_value(field)
    bound = f"element_at(transform(array({text}), value -> {field.parse}), 1)"
    return f"try_cast({bound} AS {spark_type(field)})"


def _judged(typed: "DataFrame", contract: StreamContract) -> "DataFrame":
    broken = broken_names(rejecting_conditions(contract))
    judged = typed.selectExpr(
        "*",
        f"CASE WHEN _unreadable != '' THEN _unreadable ELSE {broken} END AS _broken",
        f"CASE WHEN _unreadable != '' THEN '' ELSE {broken_names(stopping_conditions(contract))} END AS _failed",
        f"CASE WHEN _unreadable != '' THEN '' ELSE {broken_names(warning_conditions(contract))} END AS _warned",
    )
    return judged.selectExpr(
        *(f"`{name}`" for name in contract.field_names),
        f"to_date(`{contract.event_time}`) AS event_date",
        "_rescued",
        *PROVENANCE,
        "key",
        "value",
        "_broker_time AS timestamp",
        "arrival_date",
        "_retry_count",
        *VERDICTS,
    )


def winner_per_key(valid: "DataFrame", contract: StreamContract) -> "DataFrame":
    """The winning row of each (event date, key), by event time, then topic generation, partition, offset.

    In `upsert` mode the latest wins, in `append` mode the first: what was appended stays. Either way the order of
    arrival does not matter.
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention
    from pyspark.sql.window import Window

    last_wins = contract.mode == "upsert"
    order = [F.col(c).desc() if last_wins else F.col(c).asc() for c in winning_order(contract)]
    window = Window.partitionBy("event_date", *contract.key).orderBy(*order)
    return valid.withColumn("_rank", F.row_number().over(window)).where("_rank = 1").drop("_rank")


def repeated_keys(valid: "DataFrame", contract: StreamContract) -> "DataFrame":
    """Each (event date, key) that more than one row has."""
    return valid.groupBy("event_date", *contract.key).count().where("count > 1").drop("count")


def winners_of_repeated(valid: "DataFrame", repeated: "DataFrame", contract: StreamContract) -> "DataFrame":
    """`winner_per_key` when few rows share a key: only those are sorted, the others stay where they are.

    Args:
        valid: Rows to choose from.
        repeated: `repeated_keys(valid)`; small enough to be sent to every task.
        contract: The stream.
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

    identity = ["event_date", *contract.key]
    few = F.broadcast(repeated)
    winners = winner_per_key(valid.join(few, identity, "left_semi"), contract)
    return valid.join(few, identity, "left_anti").unionByName(winners).select(*silver_columns(contract))


def winning_order(contract: StreamContract) -> list[str]:
    """Columns by which the winner among rows of one key is decided, most significant first."""
    return [contract.event_time, "_generation", "_partition", "_offset"]


def _tick(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
