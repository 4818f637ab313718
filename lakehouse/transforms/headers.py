"""Kafka's headers of a record as SQL. Here: text → SQL text. Not here: what a header means (`events`, `changes`)."""

from lakehouse.quality.rules import quote


def last_header(name: str) -> str:
    """SQL for the last header of that name as text, null without one.

    Without a lambda: Spark compiles no code for a step that has one, and copies each row once more.
    """
    place = f"int(nullif(array_position(reverse(headers.key), {quote(name)}), 0))"
    return f"cast(try_element_at(reverse(headers.value), {place}) AS string)"
