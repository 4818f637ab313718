"""`lakehouse produce api`: the records of an HTTP source, page by page, to its topic.

Here: arguments, repetition, summary. Not here: asking and paging (`sources.http`, `sources.rest`).
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from lakehouse.cli.console import err, out, print_json
from lakehouse.cli.produce_options import AsJson, Brokers, Config, Section, TopicName
from lakehouse.errors import EXIT_INTERRUPTED, LakehouseError, UsageError


def api(
    source: Annotated[str, typer.Option(help="Name of the source in the --sources file.")],
    sources: Annotated[Path | None, typer.Option(help="File of sources. [default: infra/sources/apis.yaml]")] = None,
    brokers: Brokers = None,
    topic: TopicName = None,
    every: Annotated[float | None, typer.Option(help="Ask again after so many seconds, until Ctrl-C.")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Forget the watermark of earlier runs.")] = False,
    config: Config = None,
    section: Section = "local",
    as_json: AsJson = False,
) -> None:
    """Send the records of an HTTP source, one event each, from the last watermark on.

    Example: lakehouse produce api --source github_events --every 60
    """
    from lakehouse.kafka.offsets import read_topic_state
    from lakehouse.sources.api_config import APIS_FILE, load_api
    from lakehouse.sources.api_poll import PollTotals, poll_once
    from lakehouse.sources.config import resolve
    from lakehouse.sources.producer import stop_on_signals
    from lakehouse.sources.rest import Watermarks, open_client

    if every is not None and every <= 0:
        raise UsageError(f"--every {every:g} is not possible.", fix="Give more than 0 seconds.")
    entry = load_api(source, sources or APIS_FILE)
    options = resolve(brokers=brokers, topic=topic or entry.topic, config=config, section=section, source=source)
    state = read_topic_state(options.settings, options.topic)
    marks = Watermarks(options.settings, state.topic_id, source)
    if restart:
        marks.forget()
    totals, failed_rounds = PollTotals(), 0
    with open_client(options.settings, entry) as client, stop_on_signals() as stop:
        while not stop.is_set():
            try:
                poll_once(
                    options.settings,
                    entry,
                    client,
                    marks,
                    topic=options.topic,
                    producer=options.client,
                    totals=totals,
                    stop=stop,
                )
            except LakehouseError as error:
                if every is None or not error.retryable:
                    raise
                failed_rounds += 1
                err.print(error.one_line(), markup=False, soft_wrap=True)
            if every is None:
                break
            stop.wait(every)
        interrupted = stop.is_set() and every is None
    result: dict[str, Any] = {
        "source": source,
        "topic": options.topic,
        "pages": totals.pages,
        "sent": totals.sent,
        "failed_rounds": failed_rounds,
        "watermark": marks.read(),
    }
    if as_json:
        print_json(result)
    else:
        out.print(f"sent {totals.sent:,} records of {totals.pages:,} pages to {options.topic}", markup=False)
    if interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
