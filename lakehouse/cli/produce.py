"""`lakehouse produce`: send simulated sales, changes of a shop's tables, rows of CSV files, or what other sources hold.

Here: arguments, progress, summary. Not here: events, pacing, sending (`sources`), the arguments of user events
(`cli.produce_user_events`).
"""

import random
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lakehouse.cli.console import err, out, print_json
from lakehouse.cli.dates import moment_option
from lakehouse.cli.produce_api import api
from lakehouse.cli.produce_changes import customers, orders
from lakehouse.cli.produce_check import check_sales
from lakehouse.cli.produce_db import db
from lakehouse.cli.produce_devices import devices
from lakehouse.cli.produce_market import market
from lakehouse.cli.produce_options import AsJson, Brokers, Config, Section, TopicName, clock, one_line
from lakehouse.cli.produce_queue import queue
from lakehouse.cli.produce_summary import conclude
from lakehouse.cli.produce_user_events import user_events
from lakehouse.errors import EXIT_INTERRUPTED, UsageError

if TYPE_CHECKING:
    from lakehouse.sources.config import ProducerOptions
    from lakehouse.sources.sales import SalesGenerator
    from lakehouse.sources.serde import Serde

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Send events to a topic.")

Form = Annotated[
    Literal["json", "avro"] | None,
    typer.Option("--format", help="Of the values; avro needs a schema registry. [default: the stream's]"),
]

app.command("user_events")(user_events)
app.command()(api)
app.command()(db)
app.command()(customers)
app.command()(devices)
app.command()(market)
app.command()(orders)
app.command()(queue)


@app.command()
def sales(
    brokers: Brokers = None,
    topic: TopicName = None,
    count: Annotated[int | None, typer.Option(help="How many events; without it, until Ctrl-C.")] = None,
    interval: Annotated[float | None, typer.Option(help="Seconds between events. [default: 1]")] = None,
    burst: Annotated[bool, typer.Option("--burst", help="As fast as the broker takes them.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the settings and the first events.")] = False,
    config: Config = None,
    section: Section = "local",
    seed: Annotated[int | None, typer.Option(help="The same seed sends the same sales.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Check broker, topic and events; send nothing.")] = False,
    bad_share: Annotated[float, typer.Option(help="Share of events broken on purpose, 0 to 1.")] = 0.0,
    duplicate_share: Annotated[float, typer.Option(help="Share of events sent twice, 0 to 1.")] = 0.0,
    start: Annotated[datetime | None, moment_option("--from", "Sale times from this UTC time on, not now.")] = None,
    end: Annotated[datetime | None, moment_option("--to", "Sale times spread evenly up to this UTC time.")] = None,
    compat: Annotated[bool, typer.Option("--compat", help="The first system's producer settings.")] = False,
    instances: Annotated[int, typer.Option(help="Producers at once, one process each; --count is shared.", min=1)] = 1,
    form: Form = None,
    as_json: AsJson = False,
) -> None:
    """Send simulated sales. Command line wins over environment, over the --config file, over defaults.

    Example: lakehouse produce sales --count 1000 --burst --bad-share 0.02
    """
    from lakehouse.kafka.offsets import read_topic_state
    from lakehouse.sources.config import resolve
    from lakehouse.sources.producer import EventSender, run, stop_on_signals
    from lakehouse.sources.sales import SalesGenerator

    if count is not None and count < 1:
        raise UsageError(f"--count {count} is not possible.", fix="Give 1 or more, or leave it out for no end.")
    options = resolve(
        brokers=brokers,
        topic=topic,
        interval=interval,
        config=config,
        section=section,
        producer_profile="compat" if compat else None,
    )
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    if instances > 1 and not check:
        from lakehouse.cli.produce_instances import produce_with_instances

        given = {
            "--brokers": brokers, "--topic": topic, "--interval": interval, "--burst": burst, "--config": config,
            "--profile": section, "--bad-share": bad_share, "--duplicate-share": duplicate_share, "--from": start,
            "--to": end, "--compat": compat, "--format": form,
        }  # fmt: skip
        produce_with_instances(instances, given, count=count, seed=seed, as_json=as_json)
    generator = SalesGenerator(
        seed=seed, bad_share=bad_share, duplicate_share=duplicate_share, **clock(start, end, count)
    )
    _tell_settings(options, seed, verbose=verbose or options.settings.log_level == "DEBUG")
    state = read_topic_state(options.settings, options.topic)
    if check:
        check_sales(options, seed, state.topic_id, as_json=as_json)
        return
    serde = _serde("sales", options, form)
    sender = EventSender(options.settings, options.topic, options.client)
    with stop_on_signals() as stop:
        summary = run(
            _messages(generator, serde, shown=3 if verbose else 0),
            sender,
            interval=0 if burst else options.interval,
            count=count,
            stop=stop,
            report=one_line,
        )
    made = generator.made
    broken = made.bad_by_kind.total()
    more = {"bad": broken, "bad_by_kind": dict(made.bad_by_kind), "duplicates": made.duplicates, "seed": seed}
    details = f"broken on purpose {broken:,} · repeated {made.duplicates:,}"
    conclude(summary, options.topic, more, details=details, as_json=as_json)


@app.command()
def files(
    stream: Annotated[str, typer.Option(help="The stream whose topic gets the rows.")],
    path: Annotated[Path, typer.Option(help="A CSV file, or a folder of them.")],
    brokers: Brokers = None,
    topic: TopicName = None,
    rate: Annotated[float | None, typer.Option(help="Rows per second; without it, as fast as possible.")] = None,
    limit: Annotated[int | None, typer.Option(help="Send at most so many rows in this run.")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Send again what was sent before.")] = False,
    unpivot: Annotated[
        str | None, typer.Option(help="Columns to keep, comma-separated; every other cell is an event.")
    ] = None,
    config: Config = None,
    section: Section = "local",
    as_json: AsJson = False,
) -> None:
    """Send CSV rows as JSON events, one per row. A stopped run goes on where it was; a finished one sends nothing.

    Example: lakehouse produce files --stream retail --path data/online_retail --rate 500
    """
    from lakehouse.contracts.load import load_stream
    from lakehouse.kafka.offsets import read_topic_state
    from lakehouse.sources.config import resolve
    from lakehouse.sources.csv_files import find_csv
    from lakehouse.sources.files import Progress, require_columns, row_key, send_files
    from lakehouse.sources.producer import EventSender, stop_on_signals

    if rate is not None and rate <= 0:
        raise UsageError(f"--rate {rate:g} is not possible.", fix="Give more than 0 rows per second.")
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit} is not possible.", fix="Give 1 or more rows.")
    contract = load_stream(stream)
    found = find_csv(path, tuple(name.strip() for name in unpivot.split(",")) if unpivot else ())
    plain = [field for field in contract.fields if field.derive is None]
    require_columns(found, {field.key for field in plain if not field.nullable and field.key[:1] != "_"}, stream)
    options = resolve(
        brokers=brokers, topic=topic or contract.topic.name, config=config, section=section, source=stream
    )
    state = read_topic_state(options.settings, options.topic)
    progress = Progress(options.settings.home / "produce", state.topic_id)
    if restart:
        for file in found:
            progress.forget(file)
    with stop_on_signals() as stop:
        summary = send_files(
            found,
            EventSender(options.settings, options.topic, options.client),
            progress,
            key=row_key([field.key for field in plain if field.name in contract.key]),
            interval=1 / rate if rate else 0.0,
            limit=limit,
            stop=stop,
            report=one_line,
        )
    total = sum(file.rows for file in found)
    before = sum(summary.before.values())
    if as_json:
        print_json(
            {
                "topic": options.topic,
                "files": len(found),
                "rows": total,
                "sent": summary.rows,
                "sent_before": before,
                "interrupted": summary.interrupted,
            }
        )
    else:
        out.print(f"sent {summary.rows:,} rows of {len(found)} files; {before + summary.rows:,} of {total:,} in all")
    if summary.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)


def _serde(stream: str, options: "ProducerOptions", form: str | None) -> "Serde":
    """The serializer of the stream's values; Avro registers the contract's schema first."""
    from lakehouse.contracts.load import load_stream
    from lakehouse.contracts.registry import Registry
    from lakehouse.sources.serde import serde_of

    contract = load_stream(stream)
    chosen = form or contract.topic.format
    topic = contract.topic.model_copy(update={"name": options.topic, "format": chosen})
    registry = Registry.required(options.settings) if chosen == "avro" else None
    return serde_of(contract.model_copy(update={"topic": topic}), registry)


def _messages(generator: "SalesGenerator", serde: "Serde", *, shown: int) -> Any:
    for number, event in enumerate(generator):
        if number < shown:
            err.print(event.value.decode("utf-8", "replace"), markup=False, soft_wrap=True)
        yield event.key, serde.value(event.value)


def _tell_settings(options: "ProducerOptions", seed: int, *, verbose: bool) -> None:
    if options.dropped:
        err.print(f"note: left out, no properties of this producer: {', '.join(options.dropped)}", markup=False)
    if verbose:
        secret = ("password", "secret", "username", "key")
        for name, value in sorted(options.client.items()):
            shown = "(hidden)" if any(word in name for word in secret) else value
            err.print(f"{name} = {shown}", markup=False)
        err.print(f"topic = {options.topic}, seed = {seed}", markup=False)
