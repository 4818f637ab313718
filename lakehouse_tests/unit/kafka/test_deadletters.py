"""The dead-letter record keeps every byte and has exactly six keys."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.kafka.deadletters import ID_HEADER, DeadLetter, dead_letter, dead_letter_id, headers


def _letter(value: bytes | None, **extra: Any) -> DeadLetter:
    return dead_letter(
        value,
        error_type="ValidationError",
        error_message="quantity_positive",
        topic="sales_events",
        topic_id="abc",
        partition=3,
        offset=17,
        at=datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC),
        **extra,
    )


def test_it_has_the_six_keys() -> None:
    record = json.loads(_letter(b'{"a": 1}', rules=["quantity_positive"]).to_json())
    assert record == {
        "original_record": '{"a": 1}',
        "error_type": "ValidationError",
        "error_message": "quantity_positive",
        "timestamp": "2026-01-02T03:04:05.678Z",
        "context": {
            "topic": "sales_events",
            "topic_id": "abc",
            "partition": 3,
            "offset": 17,
            "rules": ["quantity_positive"],
        },
        "retry_count": 0,
    }


@given(st.none() | st.binary(max_size=200) | st.text(max_size=50).map(str.encode))
def test_every_value_comes_back_byte_for_byte(value: bytes | None) -> None:
    assert DeadLetter.from_json(_letter(value).to_json()).original_bytes() == value


def test_bytes_that_are_no_text_are_marked() -> None:
    assert _letter(b"\xff\x00").context["encoding"] == "base64"
    assert "encoding" not in _letter("é".encode()).context


def test_the_id_belongs_to_the_event_not_to_the_attempt() -> None:
    first, second = _letter(b"x"), _letter(b"x").retried()
    assert dict(headers(first))[ID_HEADER] == dict(headers(second))[ID_HEADER]
    assert dict(headers(second))["retry_count"] == b"1"
    assert dead_letter_id("abc", 3, 17) != dead_letter_id("abd", 3, 17)


def test_other_json_is_no_dead_letter() -> None:
    with pytest.raises(ValueError, match="no dead-letter record"):
        DeadLetter.from_json(b'{"a": 1}')
