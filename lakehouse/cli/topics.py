"""`lakehouse topics`: make the topics of the contracts and of `infra/kafka/topics.yaml`, list and describe them.

Here: arguments and printing. Not here: what is compared and changed (`kafka.topics`).
"""

from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.console import err, out, print_json, print_table

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Create, list and describe topics from the contracts."
)

AsJson = typer.Option(False, "--json", help="One JSON document on stdout.")


@app.command()
def apply(
    profile: str = typer.Option("dev", help="Profile of topics.yaml: dev or production."),
    file: Annotated[Path | None, typer.Option(help="Another topics.yaml.")] = None,
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what would be done."),
    as_json: bool = AsJson,
) -> None:
    """Make the cluster's topics as the contracts want them. A second run changes nothing; nothing is ever reduced.

    Example: lakehouse topics apply --dry-run
    """
    from lakehouse.contracts.load import load_streams
    from lakehouse.kafka.topic_plan import merge_topics
    from lakehouse.kafka.topics import apply_topics, desired_topics, plan_topics
    from lakehouse.kafka.topics_file import TOPICS_FILE, load_profile, shared_topics
    from lakehouse.settings import load_settings

    path = file or TOPICS_FILE
    wanted = merge_topics(desired_topics(load_streams()), shared_topics(path))
    work = plan_topics if dry_run else apply_topics
    changes = work(load_settings(), wanted, profile=load_profile(profile, path))
    if as_json:
        print_json([change.as_dict() for change in changes])
        return
    done = [change for change in changes if change.action != "none"]
    verbs = {"create": "would create" if dry_run else "created", "alter": "would alter" if dry_run else "altered"}
    for change in done:
        out.print(f"{verbs[change.action]} {change.topic}: {'; '.join(change.details)}", markup=False)
    if not done:
        out.print(f"{len(changes)} topics are as wanted; nothing to do.", markup=False)
    for change in changes:
        for note in change.notes:
            err.print(f"note: {change.topic}: {note}", markup=False, soft_wrap=True)


@app.command("list")
def list_command(as_json: bool = AsJson) -> None:
    """List topics with their partitions and the number of events they hold.

    Example: lakehouse topics list --json
    """
    from lakehouse.kafka.topics import list_topics
    from lakehouse.settings import load_settings

    rows = list_topics(load_settings())
    if as_json:
        print_json(rows)
        return
    columns = ["topic", "partitions", "replication_factor", "events", "topic_id"]
    print_table("", columns, [[row[column] for column in columns] for row in rows])


@app.command()
def describe(topic: str = typer.Argument(help="The topic's name."), as_json: bool = AsJson) -> None:
    """Show one topic: its id, partitions, offsets and settings.

    Example: lakehouse topics describe sales_events
    """
    from lakehouse.kafka.topics import describe_topic
    from lakehouse.kafka.topics_file import topic_named
    from lakehouse.settings import load_settings

    found = describe_topic(load_settings(), topic_named(topic))
    if as_json:
        print_json(found)
        return
    out.print(f"{found['topic']}  id {found['topic_id']}  {found['events']} events", markup=False)
    columns = ["partition", "leader", "replicas", "in_sync", "start", "end"]
    print_table("", columns, [[part[column] for column in columns] for part in found["partitions"]])
    print_table("", ["setting", "value"], [[key, value] for key, value in found["config"].items()])


@app.command("recommend-partitions")
def recommend_partitions_command(
    rate: float = typer.Argument(help="Messages per second."), as_json: bool = AsJson
) -> None:
    """Say how many partitions a topic of that rate should have.

    Example: lakehouse topics recommend-partitions 25000
    """
    from lakehouse.kafka.topic_plan import recommend_partitions

    low, high, reason = recommend_partitions(rate)
    if as_json:
        print_json({"min": low, "max": high, "reason": reason})
    else:
        out.print(f"{low} to {high}: {reason}" if high else f"{low} or more: {reason}")
