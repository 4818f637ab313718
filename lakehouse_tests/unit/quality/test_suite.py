"""A contract as a Great Expectations suite: every field, every rule, owners and SLA are in it."""

import pytest

from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import Rule
from lakehouse.quality.suite import expectation_suite

SALES = load_stream("sales")


def test_nothing_of_the_contract_is_left_out() -> None:
    suite = expectation_suite(SALES)
    assert suite["name"] == "silver.sales"
    assert suite["meta"]["owners"] == SALES.owners
    assert suite["meta"]["sla"] == {"freshness_warn_seconds": 600.0, "freshness_fail_seconds": 3600.0}
    expectations = suite["expectations"]
    typed = [e["kwargs"]["column"] for e in expectations if e["type"] == "expect_column_values_to_be_of_type"]
    assert typed == SALES.field_names
    assert [e["meta"]["rule"] for e in expectations if "rule" in e["meta"]] == [rule.name for rule in SALES.rules]


@pytest.mark.parametrize(
    ("sql", "kind", "kwargs"),
    [
        ("quantity > 0", "expect_column_values_to_be_between", {"min_value": 0, "strict_min": True}),
        ("quantity <= 9.5", "expect_column_values_to_be_between", {"max_value": 9.5}),
        ("category in ('a', 'b')", "expect_column_values_to_be_in_set", {"value_set": ["a", "b"]}),
        ("store_id rlike '^S'", "expect_column_values_to_match_regex", {"regex": "^S"}),
        ("quantity > unit_price", "unexpected_rows_expectation", {}),
    ],
)
def test_a_rule_becomes_the_expectation_of_its_form(sql: str, kind: str, kwargs: dict[str, object]) -> None:
    contract: StreamContract = SALES.model_copy(update={"rules": [Rule(name="it", sql=sql, tolerance=0.1)]})
    (found,) = [e for e in expectation_suite(contract)["expectations"] if e["meta"]]
    assert found["type"] == kind
    assert found["kwargs"].items() >= kwargs.items()
    if kind == "unexpected_rows_expectation":
        assert found["kwargs"]["unexpected_rows_query"] == f"SELECT * FROM {{batch}} WHERE NOT coalesce({sql}, false)"
    else:
        assert found["kwargs"]["mostly"] == 0.9
