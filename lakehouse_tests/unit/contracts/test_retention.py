"""How long rows are kept: which ages a contract may give, and which age counts for a table."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import Retention


def test_quarantine_goes_with_bronze_unless_it_goes_earlier_and_silver_stays() -> None:
    assert [Retention().of(layer) for layer in ("bronze", "quarantine", "silver")] == [None] * 3
    both = Retention.model_validate({"bronze": "30d"})
    assert [both.of(layer) for layer in ("bronze", "quarantine", "silver")] == [timedelta(30), timedelta(30), None]
    one = Retention.model_validate({"quarantine": "7d"})
    assert [one.of(layer) for layer in ("bronze", "quarantine")] == [None, timedelta(7)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"bronze": "36h"}, "bronze is a number of whole days"),
        ({"quarantine": "0d"}, "quarantine is a number of whole days"),
        ({"bronze": "7d", "quarantine": "8d"}, "quarantine must not be longer than bronze"),
        ({"silver": "7d"}, "Extra inputs"),
    ],
)
def test_ages_that_cannot_be(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Retention.model_validate(given)


@pytest.mark.parametrize(("stream", "changes"), [("orders", {}), ("sales", {"history": "scd2"})])
def test_state_made_of_every_change_keeps_bronze(stream: str, changes: dict[str, Any]) -> None:
    text = load_stream(stream).model_dump(mode="json") | changes
    StreamContract.model_validate(text | {"retention": {"quarantine": "7d"}})
    with pytest.raises(ValidationError, match="bronze must keep them"):
        StreamContract.model_validate(text | {"retention": {"bronze": "7d"}})
