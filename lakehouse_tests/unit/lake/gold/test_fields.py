"""What gold knows of silver by name (dbt's macro gold_fields) against the contracts of today."""

from typing import Any

import jinja2
import pytest

from lakehouse.contracts.load import load_streams
from lakehouse.quality.rules import is_required
from lakehouse.settings import PROJECT_ROOT

MACRO = (PROJECT_ROOT / "dbt_project" / "macros" / "fields.sql").read_text(encoding="utf-8")
TABLES = [
    "sales", "retail", "orders_batch", "market_data", "covid_updates", "user_events", "customers", "history/customers",
    "orders",
]  # fmt: skip


def gold_fields(table: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    environment = jinja2.Environment(extensions=["jinja2.ext.do"], autoescape=False)  # noqa: S701 - SQL, not HTML
    environment.globals["return"] = found.append
    environment.from_string(MACRO).module.gold_fields(table)  # type: ignore[attr-defined]
    return found[0]


@pytest.mark.parametrize("table", TABLES)
def test_gold_knows_which_fields_may_be_empty(table: str) -> None:
    known = gold_fields(table)
    contract = load_streams()[table.removeprefix("history/")]
    optional = [field.name for field in contract.fields if not is_required(contract, field)]
    assert known.get("nullable", []) == [name for name in known["columns"] if name in optional]
