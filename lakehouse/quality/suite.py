"""A contract as a Great Expectations suite. Here: contract → JSON. Not here: running it; rules run in Spark already.

Rules in plain form (`a > 0`, `a in (…)`, `a rlike '…'`) become the expectation of that name; any other becomes
`unexpected_rows_expectation` with its SQL, so that nothing of the contract is left out.
"""

from typing import Any

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec, Rule
from lakehouse.quality.rules import is_required

_TYPES = {
    "string": "StringType", "integer": "IntegerType", "long": "LongType", "double": "DoubleType",
    "boolean": "BooleanType", "date": "DateType", "timestamp": "TimestampType",
}  # fmt: skip


def expectation_suite(contract: StreamContract) -> dict[str, Any]:
    """The suite for silver, in the form that Great Expectations 1.x loads."""
    expectations = [
        _expect("expect_table_columns_to_match_set", {"column_set": contract.field_names, "exact_match": False})
    ]
    for field in contract.fields:
        expectations.append(
            _expect("expect_column_values_to_be_of_type", {"column": field.name, "type_": _type(field)})
        )
        if is_required(contract, field):
            expectations.append(_expect("expect_column_values_to_not_be_null", {"column": field.name}))
    expectations.append(_unique(contract))
    expectations += [_rule(rule) for rule in contract.rules]
    return {
        "name": f"silver.{contract.name}",
        "expectations": expectations,
        "meta": {
            "description": contract.description,
            "owners": contract.owners,
            "sla": {
                "freshness_warn_seconds": contract.freshness.warn.total_seconds(),
                "freshness_fail_seconds": contract.freshness.fail.total_seconds(),
            },
        },
    }


def _unique(contract: StreamContract) -> dict[str, Any]:
    if len(contract.key) == 1:
        return _expect("expect_column_values_to_be_unique", {"column": contract.key[0]})
    return _expect("expect_compound_columns_to_be_unique", {"column_list": contract.key})


def _rule(rule: Rule) -> dict[str, Any]:
    import sqlglot
    from sqlglot import exp

    meta = {"rule": rule.name, "severity": rule.severity, "description": rule.description}
    # What a rule of severity error may let through before it counts, as in our own checks.
    mostly = {} if rule.severity == "fail" else {"mostly": round(1 - rule.tolerance, 6)}
    tree = sqlglot.parse_one(rule.sql, dialect="spark")
    column = tree.this.name if isinstance(tree.this, exp.Column) else None
    if column and isinstance(tree, exp.In) and all(isinstance(value, exp.Literal) for value in tree.expressions):
        values = [_constant(value) for value in tree.expressions]
        return _expect("expect_column_values_to_be_in_set", {"column": column, "value_set": values, **mostly}, meta)
    if column and isinstance(tree, exp.RegexpLike) and isinstance(tree.expression, exp.Literal):
        return _expect(
            "expect_column_values_to_match_regex", {"column": column, "regex": tree.expression.this, **mostly}, meta
        )
    bounds = _bounds(tree) if column else None
    if bounds is not None:
        return _expect("expect_column_values_to_be_between", {"column": column, **bounds, **mostly}, meta)
    query = f"SELECT * FROM {{batch}} WHERE NOT coalesce({rule.sql}, false)"  # noqa: S608 - for another tool to run
    return _expect("unexpected_rows_expectation", {"unexpected_rows_query": query}, meta)


def _bounds(tree: Any) -> dict[str, Any] | None:
    """`a > 0` and its like as min or max; None for anything else."""
    from sqlglot import exp

    kinds = {exp.GT: ("min_value", True), exp.GTE: ("min_value", False), exp.LT: ("max_value", True),
             exp.LTE: ("max_value", False)}  # fmt: skip
    for kind, (name, is_strict) in kinds.items():
        if type(tree) is kind and isinstance(tree.expression, exp.Literal) and not tree.expression.is_string:
            bound = {name: _constant(tree.expression)}
            return bound | ({f"strict_{name.split('_')[0]}": True} if is_strict else {})
    return None


def _constant(node: Any) -> Any:
    if node.is_string:
        return node.this
    return int(node.this) if str(node.this).isdigit() else float(node.this)


def _type(field: FieldSpec) -> str:
    return _TYPES.get(field.type, "DecimalType")


def _expect(kind: str, kwargs: dict[str, Any], meta: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs, "meta": meta or {}}
