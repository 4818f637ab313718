"""`lakehouse produce customers|orders`: send the changes of a simulated shop's tables, as a connector would.

Here: arguments and summary. Not here: the changes (`sources.shop`), sending (`sources.producer`).
"""

import random
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.console import err
from lakehouse.cli.produce_summary import conclude
from lakehouse.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lakehouse.sources.producer import Message
    from lakehouse.sources.shop import Shop, Table


class ShapeName(StrEnum):
    """How a change is written."""

    envelope = "envelope"
    flat = "flat"


Count = Annotated[int, typer.Option(help="How many records, the snapshot included.")]
TopicName = Annotated[str | None, typer.Option(help="Topic to send to.", show_default=False)]
Interval = Annotated[float, typer.Option(help="Seconds between records; 0 sends as fast as the broker takes them.")]
ShapeOption = Annotated[ShapeName, typer.Option(help="Debezium's envelope, or the row alone with added __ fields.")]
Seed = Annotated[int | None, typer.Option(help="The same seed sends the same changes; both tables fit together.")]
BadShare = Annotated[float, typer.Option(help="Share of records with an unknown operation, 0 to 1.")]
AsJson = Annotated[bool, typer.Option("--json", help="The summary as one JSON object on stdout.")]


def _of_table(shop: "Shop", table: "Table") -> "Iterator[Message]":
    return ((record.key, record.value) for record in shop if record.table == table)


def _command(table: "Table", usual: int, example: str) -> "Callable[..., None]":
    """The command that sends one of the shop's tables; `usual` is its --count."""

    def send(
        count: Count = usual,
        interval: Interval = 0.0,
        shape: ShapeOption = ShapeName.envelope,
        seed: Seed = None,
        bad_share: BadShare = 0.0,
        topic: TopicName = None,
        as_json: AsJson = False,
    ) -> None:
        from lakehouse.contracts.load import load_stream
        from lakehouse.kafka.offsets import read_topic_state
        from lakehouse.sources.config import resolve
        from lakehouse.sources.producer import EventSender, run, stop_on_signals
        from lakehouse.sources.shop import Shop

        if count < 1:
            raise UsageError(f"--count {count} is not possible.", fix="Give 1 or more.")
        if not 0 <= bad_share <= 1:
            raise UsageError(f"--bad-share {bad_share:g} is no share.", fix="Give a number from 0 to 1, such as 0.02.")
        contract = load_stream(table)
        if topic is None and contract.topic.format != "json":
            raise UsageError(
                f"The simulated shop writes JSON; {contract.topic.name} holds {contract.topic.format}.",
                why="Every record would be quarantined.",
                fix="Name another topic with --topic, or use a connector: lakehouse connector deploy --init --avro",
            )
        options = resolve(topic=topic or contract.topic.name, interval=interval)
        read_topic_state(options.settings, options.topic)
        seed = random.SystemRandom().randrange(2**32) if seed is None else seed
        shop = Shop(seed=seed, shape=shape.value, bad_share=bad_share)
        sender = EventSender(options.settings, options.topic, options.client)
        with stop_on_signals() as stop:
            summary = run(
                _of_table(shop, table),
                sender,
                interval=options.interval,
                count=count,
                stop=stop,
                report=lambda line: err.print(line, markup=False),
            )
        more = {"rows": len(shop.rows(table)), "seed": seed}
        details = f"changes of {table} · {len(shop.rows(table)):,} rows there now · seed {seed}"
        conclude(summary, options.topic, more, details=details, as_json=as_json)

    send.__name__ = table
    send.__doc__ = (
        f"Send changes of the shop's {table}: a snapshot, then creates, updates, deletes with tombstones, new keys.\n\n"
        f"Example: {example}"
    )
    return send


customers = _command("customers", 200, "lakehouse produce customers --count 500 --seed 7")
orders = _command("orders", 400, "lakehouse produce orders --count 1000 --seed 7 --shape flat")
