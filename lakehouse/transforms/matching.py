"""Conditions that say `field rlike '…'`, as Spark SQL that asks a function of ours, which takes a tenth of the time.

Here: text → SQL text. Not here: the function (`engine/java`, package `text`), what a condition means (`quality.rules`).
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from lakehouse.contracts.parts import FieldSpec
from lakehouse.engine.java_archive import MATCHES
from lakehouse.quality.rules import Condition
from lakehouse.transforms.fields import spark_type

# A literal without escapes is the same text to Spark SQL and to a regular expression.
_MATCH = re.compile(r"\s*`?(\w+)`?\s+rlike\s+('[^'\\]*')\s*", re.IGNORECASE)


def by_function(conditions: Iterable[Condition], fields: Iterable[FieldSpec]) -> list[Condition]:
    """The conditions, those of that form asked of the function: false where `rlike` is false or null.

    Args:
        conditions: Of a contract.
        fields: Its fields; of others than texts Spark makes texts first.
    """
    texts = {field.name for field in fields if spark_type(field) == "string"}
    found = []
    for condition in conditions:
        match = _MATCH.fullmatch(condition.holds)
        if match is not None and match[1] in texts:
            found.append(replace(condition, holds=f"{MATCHES}(`{match[1]}`, {match[2]})"))
        else:
            found.append(condition)
    return found
