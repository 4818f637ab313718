"""`lakehouse trace` understands what it is asked, and says in one sentence when it does not."""

import subprocess
import sys

import pytest

from lakehouse.cli.trace import asked_for, resolve
from lakehouse.contracts.load import load_streams


def test_a_record_is_named_in_one_word_or_two() -> None:
    assert asked_for("sales_events:3:1200", None) == ("sales_events", (3, 1200))
    assert asked_for("sales", "0:7") == ("sales", (0, 7))
    assert asked_for("sales", None) == ("sales", None)


def test_a_topic_names_its_stream() -> None:
    streams = load_streams()
    assert resolve("sales_events", streams) is resolve("sales", streams)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sales_event:0:1"], "Did you mean 'sales_events'?"),
        (["sale", "0:1"], "Did you mean 'sales'?"),
        (["sales", "3-1200"], "'3-1200' is no PARTITION:OFFSET."),
        (["sales_events:3", "1:2"], "both name a place"),
        (["sales_events:3:"], "'3:' is no PARTITION:OFFSET."),
        (["sales"], "Say one of"),
        (["sales", "1:2", "--key", "a"], "Say one of"),
        (["sales", "--key", "a", "--key", "b"], "The key of stream sales is order_id; 2 values were given."),
        (["sales", "--key", "a", "--day", "today"], "--day 'today' is no date."),
    ],
)
def test_what_cannot_be_asked_is_told_in_one_sentence(arguments: list[str], words: str) -> None:
    command = [sys.executable, "-m", "lakehouse.cli.main", "trace", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert words in result.stderr
    assert len(result.stderr.splitlines()) <= 3
