"""What every `lakehouse produce …` shares: options, the meaning of --from and --to, sending with progress lines.

Here: types, their reading, the run. Not here: what is sent (`sources`), the summary (`cli.produce_summary`).
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.console import err
from lakehouse.errors import UsageError

if TYPE_CHECKING:
    from lakehouse.sources.config import ProducerOptions
    from lakehouse.sources.producer import Message, Summary
    from lakehouse.sources.sales import Now

Brokers = Annotated[str | None, typer.Option(help="Brokers as host:port, comma-separated.", show_default=False)]
TopicName = Annotated[str | None, typer.Option(help="Topic to send to.", show_default=False)]
Config = Annotated[
    Path | None, typer.Option(help="JSON or YAML file with a section per environment, or a Kafka client's .properties.")
]
Section = Annotated[str, typer.Option("--profile", help="Section of the --config file: local, msk, …")]
AsJson = Annotated[bool, typer.Option("--json", help="The summary as one JSON object on stdout.")]


def clock(start: datetime | None, end: datetime | None, count: int | None) -> "dict[str, Now]":
    """What --from, --to and --count say about a generator's times: nothing, or its argument `now`.

    Raises:
        UsageError: when they do not fit together.
    """
    if start is None and end is None:
        return {}
    from lakehouse.sources.sales import spread_over

    if start is None:
        raise UsageError("--to needs --from.", fix="Add --from 2026-11-01.")
    return {"now": spread_over(start, end or datetime.now(UTC), count or 0)}


def one_line(text: str) -> None:
    """A line of progress."""
    err.print(text, markup=False, soft_wrap=True)


def send_all(
    messages: "Iterator[Message]", options: "ProducerOptions", *, interval: float, count: int | None
) -> "Summary":
    """Send generated messages, once the broker is known to have the topic, until they are `count` or Ctrl-C."""
    from lakehouse.kafka.offsets import read_topic_state
    from lakehouse.sources.producer import EventSender, run, stop_on_signals

    read_topic_state(options.settings, options.topic)
    sender = EventSender(options.settings, options.topic, options.client)
    with stop_on_signals() as stop:
        return run(messages, sender, interval=interval, count=count, stop=stop, report=one_line)
