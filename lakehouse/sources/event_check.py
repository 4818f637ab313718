"""Events against a stream's contract, without Spark: fields, types and rules of a handful of events.

Here: the check behind `lakehouse produce sales --check`. Not here: the pipeline's own judgement (`quality`), which is
the only one that counts for data in the lake.
"""

import json
import re
from typing import Any

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec
from lakehouse.engine.duck import duck_type

# Spark's `x rlike 'pattern'` in DuckDB's words; the rest of the rules' SQL means the same in both.
_RLIKE = re.compile(r"(\w+)\s+rlike\s+('(?:[^']|'')*')", re.IGNORECASE)
_MATCHES = r"regexp_matches(\1, \2)"


def broken_promises(contract: StreamContract, values: list[bytes]) -> list[list[str]]:
    """What each event breaks: `parse`, else missing or ill-typed fields, else rules; nothing for a good event.

    Fields that the contract parses or derives by an expression are not judged.

    Raises:
        duckdb.Error: when a rule uses SQL that only Spark knows.
    """
    import duckdb

    fields = [field for field in contract.fields if field.parse is None and field.derive is None]
    events = [_parsed(value) for value in values]
    # One list per field, unnested side by side: planning a query costs more than running it on every event at once.
    given = [[_text(field.value_in(event)) if event else None for event in events] for field in fields]
    texts = ", ".join(f"unnest(?::varchar[]) as t{number}" for number in range(len(fields)))
    casts = ", ".join(
        f'try_cast(t{number} as {duck_type(field.type)}) as "{field.name}"' for number, field in enumerate(fields)
    )
    rules = "".join(f", ({_RLIKE.sub(_MATCHES, rule.sql)})" for rule in contract.rules)
    query = f"select * {rules} from (select {casts} from (select {texts}))"  # noqa: S608 - from the contract
    with duckdb.connect() as connection:
        rows = connection.execute(query, given).fetchall()
    return [_judge(contract, fields, event, row) for event, row in zip(events, rows, strict=True)]


def _parsed(value: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(value.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError):
        return None
    return event if isinstance(event, dict) else None


def _judge(
    contract: StreamContract, fields: list[FieldSpec], event: dict[str, Any] | None, row: tuple[Any, ...]
) -> list[str]:
    if event is None:
        return ["parse"]
    cells, answers = row[: len(fields)], row[len(fields) :]
    unreadable = [field.name for field, cell in zip(fields, cells, strict=True) if cell is None and not field.nullable]
    broken = [rule.name for rule, answer in zip(contract.rules, answers, strict=True) if answer is not True]
    return unreadable or broken


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)
