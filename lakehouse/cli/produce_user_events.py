"""`lakehouse produce user_events`: send simulated clicks, views and purchases.

Here: arguments and summary of this one command. Not here: events (`sources.user_events`), the other commands of
`lakehouse produce` and what they share (`cli.produce`).
"""

import random
from datetime import datetime
from typing import Annotated

import typer

from lakehouse.cli.dates import moment_option
from lakehouse.cli.produce_options import AsJson, Brokers, TopicName, clock, send_all
from lakehouse.cli.produce_summary import conclude


def user_events(
    brokers: Brokers = None,
    topic: TopicName = None,
    count: Annotated[int | None, typer.Option(help="How many events; without it, until Ctrl-C.", min=1)] = None,
    interval: Annotated[float, typer.Option(help="Seconds between events.", min=0)] = 1.0,
    burst: Annotated[bool, typer.Option("--burst", help="As fast as the broker takes them.")] = False,
    seed: Annotated[int | None, typer.Option(help="The same seed sends the same events.")] = None,
    late_share: Annotated[float, typer.Option(help="Share of events that come late, 0 to 1.")] = 0.02,
    duplicate_share: Annotated[float, typer.Option(help="Share of events sent twice, 0 to 1.")] = 0.01,
    bad_share: Annotated[float, typer.Option(help="Share of events broken on purpose, 0 to 1.")] = 0.0,
    start: Annotated[datetime | None, moment_option("--from", "Event times from this UTC time on, not now.")] = None,
    end: Annotated[datetime | None, moment_option("--to", "Event times spread evenly up to this UTC time.")] = None,
    as_json: AsJson = False,
) -> None:
    """Send simulated user events, keyed by user: sessions of views, clicks and purchases.

    Example: lakehouse produce user_events --count 5000 --burst --late-share 0.05
    """
    from lakehouse.contracts.load import load_stream
    from lakehouse.kafka.topics_file import topic_named
    from lakehouse.sources.config import resolve
    from lakehouse.sources.user_events import UserEventGenerator

    name = topic_named(topic) if topic else load_stream("user_events").topic.name
    options = resolve(brokers=brokers, topic=name, interval=interval, source="user_events")
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    generator = UserEventGenerator(
        seed=seed,
        late_share=late_share,
        duplicate_share=duplicate_share,
        bad_share=bad_share,
        **clock(start, end, count),
    )
    messages = ((event.key, event.value) for event in generator)
    summary = send_all(messages, options, interval=0 if burst else interval, count=count)
    made = generator.made
    broken = made.bad_by_kind.total()
    more = {"late": generator.late, "duplicates": made.duplicates, "bad": broken, "seed": seed}
    details = f"late {generator.late:,} · repeated {made.duplicates:,} · broken on purpose {broken:,}"
    conclude(summary, options.topic, more, details=details, as_json=as_json)
