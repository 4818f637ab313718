"""`lakehouse produce sales --check`: does the broker answer, is the topic there, do the events keep their contract?

Here: the answer. Not here: judging events (`sources.event_check`).
"""

from itertools import islice
from typing import TYPE_CHECKING

import typer

from lakehouse.cli.console import err, out, print_json
from lakehouse.errors import EXIT_UNHEALTHY

if TYPE_CHECKING:
    from lakehouse.sources.config import ProducerOptions

CHECKED_EVENTS = 200


def check_sales(options: "ProducerOptions", seed: int, topic_id: str, *, as_json: bool) -> None:
    """The broker answered and the topic exists; now hold a few events against the contract."""
    from lakehouse.contracts.load import load_stream
    from lakehouse.sources.event_check import broken_promises
    from lakehouse.sources.sales import SalesGenerator

    values = [event.value for event in islice(SalesGenerator(seed=seed), CHECKED_EVENTS)]
    broken = broken_promises(load_stream("sales"), values)
    wrong = [(value.decode(), names) for value, names in zip(values, broken, strict=True) if names]
    result = {
        "brokers": options.settings.kafka_bootstrap_servers,
        "topic": options.topic,
        "topic_id": topic_id,
        "events_checked": CHECKED_EVENTS,
        "events_wrong": len(wrong),
    }
    if as_json:
        print_json(result)
    else:
        out.print(
            f"broker answers at {result['brokers']} · topic {options.topic} exists · "
            f"{CHECKED_EVENTS - len(wrong)} of {CHECKED_EVENTS} events keep the contract · nothing was sent",
            markup=False,
        )
    if wrong:
        err.print(f"first wrong event breaks {', '.join(wrong[0][1])}: {wrong[0][0]}", markup=False)
        raise typer.Exit(EXIT_UNHEALTHY)
