"""`lakehouse produce devices`: send readings of simulated devices.

Here: arguments and summary of this one command. Not here: readings (`sources.devices`), the other commands of
`lakehouse produce` and what they share (`cli.produce`).
"""

import random
from datetime import datetime
from typing import Annotated

import typer

from lakehouse.cli.dates import moment_option
from lakehouse.cli.produce_options import AsJson, Brokers, Config, Section, TopicName, clock, send_all
from lakehouse.cli.produce_summary import conclude


def devices(
    brokers: Brokers = None,
    topic: TopicName = None,
    count: Annotated[int | None, typer.Option(help="How many readings; without it, until Ctrl-C.", min=1)] = None,
    number: Annotated[int, typer.Option("--devices", help="How many devices there are.", min=1)] = 20,
    interval: Annotated[float, typer.Option(help="Seconds between readings.", min=0)] = 1.0,
    burst: Annotated[bool, typer.Option("--burst", help="As fast as the broker takes them.")] = False,
    config: Config = None,
    section: Section = "local",
    seed: Annotated[int | None, typer.Option(help="The same seed sends the same readings.")] = None,
    start: Annotated[datetime | None, moment_option("--from", "Times from this UTC time on, not now.")] = None,
    end: Annotated[datetime | None, moment_option("--to", "Times spread evenly up to this UTC time.")] = None,
    as_json: AsJson = False,
) -> None:
    """Send temperature, humidity, power and battery of simulated devices to the stream system_metrics, keyed by device.

    Example: lakehouse produce devices --count 500 --devices 50 --burst
    """
    from lakehouse.contracts.load import load_stream
    from lakehouse.kafka.topics_file import topic_named
    from lakehouse.sources.config import resolve
    from lakehouse.sources.devices import DeviceGenerator

    name = topic_named(topic) if topic else load_stream("system_metrics").topic.name
    options = resolve(brokers=brokers, topic=name, interval=interval, config=config, section=section, source="devices")
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    generator = DeviceGenerator(seed=seed, devices=number, **clock(start, end, count))
    messages = ((event.key, event.value) for event in generator)
    summary = send_all(messages, options, interval=0 if burst else interval, count=count)
    conclude(summary, options.topic, {"devices": number, "seed": seed}, details=f"devices {number:,}", as_json=as_json)
