"""Events against a stream's contract, without Spark: fields, types and rules of a handful of events.

Here: the check behind `lakehouse produce sales --check`. Not here: the pipeline's own judgement (`quality`), which is
the only one that counts for data in the lake.
"""

import json
import re
from typing import Any

from lakehouse.contracts.model import StreamContract

# Spark's `x rlike 'pattern'` in DuckDB's words; the rest of the rules' SQL means the same in both.
_RLIKE = re.compile(r"(\w+)\s+rlike\s+('(?:[^']|'')*')", re.IGNORECASE)
_DUCKDB_TYPES = {"string": "varchar", "long": "bigint", "timestamp": "timestamptz"}


def broken_promises(contract: StreamContract, value: bytes) -> list[str]:
    """What an event breaks: `parse`, names of missing or ill-typed fields, names of rules; empty for a good event.

    Fields that the contract parses or derives by an expression are not judged.

    Raises:
        duckdb.Error: when a rule uses SQL that only Spark knows.
    """
    import duckdb

    try:
        event = json.loads(value.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError):
        return ["parse"]
    if not isinstance(event, dict):
        return ["parse"]
    plain = [field for field in contract.fields if field.parse is None and field.derive is None]
    with duckdb.connect() as connection:
        casts = ", ".join(
            f'try_cast(? as {_DUCKDB_TYPES.get(field.type, field.type)}) as "{field.name}"' for field in plain
        )
        given = [_text(event.get(field.key)) for field in plain]
        row = connection.execute(f"select {casts}", given).fetchone() or ()
        broken = [field.name for field, cell in zip(plain, row, strict=True) if cell is None and not field.nullable]
        if broken:
            return broken
        for rule in contract.rules:
            condition = _RLIKE.sub(r"regexp_matches(\1, \2)", rule.sql)
            query = f"select ({condition}) from (select {casts})"  # noqa: S608 - from the contract
            answer = connection.execute(query, given).fetchone()
            if not answer or answer[0] is not True:
                broken.append(rule.name)
    return broken


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)
