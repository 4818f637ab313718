"""`lakehouse produce user_events`: send simulated clicks, views and purchases.

Here: arguments and summary of this one command. Not here: events (`sources.user_events`), the other commands of
`lakehouse produce` and what they share (`cli.produce`).
"""

import random
from datetime import datetime
from typing import Annotated

import typer

from lakehouse.cli.console import err
from lakehouse.cli.dates import moment_option
from lakehouse.cli.produce_summary import conclude
from lakehouse.errors import UsageError


def user_events(
    brokers: Annotated[
        str | None, typer.Option(help="Brokers as host:port, comma-separated.", show_default=False)
    ] = None,
    topic: Annotated[str | None, typer.Option(help="Topic to send to.", show_default=False)] = None,
    count: Annotated[int | None, typer.Option(help="How many events; without it, until Ctrl-C.", min=1)] = None,
    interval: Annotated[float, typer.Option(help="Seconds between events.", min=0)] = 1.0,
    burst: Annotated[bool, typer.Option("--burst", help="As fast as the broker takes them.")] = False,
    seed: Annotated[int | None, typer.Option(help="The same seed sends the same events.")] = None,
    late_share: Annotated[float, typer.Option(help="Share of events that come late, 0 to 1.")] = 0.02,
    duplicate_share: Annotated[float, typer.Option(help="Share of events sent twice, 0 to 1.")] = 0.01,
    bad_share: Annotated[float, typer.Option(help="Share of events broken on purpose, 0 to 1.")] = 0.0,
    start: Annotated[datetime | None, moment_option("--from", "Event times from this UTC time on, not now.")] = None,
    end: Annotated[datetime | None, moment_option("--to", "Event times spread evenly up to this UTC time.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as one JSON object on stdout.")] = False,
) -> None:
    """Send simulated user events, keyed by user: sessions of views, clicks and purchases.

    Example: lakehouse produce user_events --count 5000 --burst --late-share 0.05
    """
    from lakehouse.cli.produce_options import clock
    from lakehouse.contracts.load import load_stream
    from lakehouse.kafka.offsets import read_topic_state
    from lakehouse.kafka.topics_file import topic_named
    from lakehouse.sources.config import resolve
    from lakehouse.sources.producer import EventSender, run, stop_on_signals
    from lakehouse.sources.user_events import UserEventGenerator

    if end is not None and start is None:
        raise UsageError("--to needs --from.")
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
    read_topic_state(options.settings, options.topic)
    with stop_on_signals() as stop:
        summary = run(
            ((event.key, event.value) for event in generator),
            EventSender(options.settings, options.topic, options.client),
            interval=0 if burst else interval,
            count=count,
            stop=stop,
            report=lambda line: err.print(line, markup=False, soft_wrap=True),
        )
    made = generator.made
    broken = made.bad_by_kind.total()
    more = {"late": generator.late, "duplicates": made.duplicates, "bad": broken, "seed": seed}
    details = f"late {generator.late:,} · repeated {made.duplicates:,} · broken on purpose {broken:,}"
    conclude(summary, options.topic, more, details=details, as_json=as_json)
