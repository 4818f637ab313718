"""The `lakehouse` command: the table of sub-commands, how errors end a command, exit codes.

Here: what every command shares. Each command group lives in its own module and is imported only when called, so that
`lakehouse --help` and shell completion stay fast. Not here: what any command does.
"""

import importlib
import sys
from itertools import dropwhile
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from lakehouse.errors import EXIT_COULD_NOT_ASK, EXIT_INTERRUPTED, LakehouseError

EPILOG = "Exit codes: 0 done or healthy · 10 unhealthy or findings · 1 could not ask · 2 usage · 130 interrupted."


class _Entry(NamedTuple):
    """A sub-command: the module with its Typer app named `app`, and one line for `--help`."""

    module: str
    help: str


COMMANDS: dict[str, _Entry] = {
    "up": _Entry("lakehouse.cli.up", "Start the embedded Kafka broker and Spark server."),
    "down": _Entry("lakehouse.cli.down", "Stop everything that `up` started."),
    "status": _Entry("lakehouse.cli.status", "Show what runs, where, since when."),
    "setup": _Entry("lakehouse.cli.setup", "Fetch jars and prepare dbt and DuckDB; `up` does it when needed."),
    "doctor": _Entry("lakehouse.cli.doctor", "Say why something will not start, with the fix."),
    "health": _Entry("lakehouse.cli.health", "Is it well now? Kafka, Spark, lake, gold, Dagster."),
    "demo": _Entry("lakehouse.cli.demo", "Send 50,000 events, pull the plug, prove that nothing was lost."),
    "dev": _Entry("lakehouse.cli.dev", "Run everything with Dagster's UI and sensors on, until Ctrl-C."),
    "produce": _Entry("lakehouse.cli.produce", "Send events: sales, user_events, files, a database's rows."),
    "relay": _Entry("lakehouse.cli.relay", "Pass records from one topic to another, exactly once."),
    "topics": _Entry("lakehouse.cli.topics", "Create, list and describe topics from the contracts."),
    "streams": _Entry("lakehouse.cli.streams", "List streams; make a new one from a sample."),
    "pipelines": _Entry("lakehouse.cli.pipelines", "List batch pipelines, check their YAML, run one window."),
    "schemas": _Entry("lakehouse.cli.schemas", "Schemas of the topics: list, show, check, register."),
    "check": _Entry("lakehouse.cli.check", "Dry run of a stream: contract, rules, partitions, topic. Writes nothing."),
    "drain": _Entry("lakehouse.cli.drain", "Take a stream's backlog into bronze and silver, then stop."),
    "backfill": _Entry("lakehouse.cli.backfill", "Recompute days: silver from bronze, or windows of a batch pipeline."),
    "speed": _Entry("lakehouse.cli.speed", "Take new user events into windows, sessions and real-time views."),
    "batch": _Entry("lakehouse.cli.batch", "Compute whole days of the batch view from silver."),
    "kpis": _Entry("lakehouse.cli.kpis", "Key figures: batch up to the last complete day, speed after it."),
    "quarantine": _Entry("lakehouse.cli.quarantine", "Rejected records: look, replay, discard."),
    "dlq": _Entry("lakehouse.cli.dlq", "Dead letters: look, send corrected ones again, discard."),
    "replay": _Entry("lakehouse.cli.replay", "Rebuild silver from bronze beside the live table and swap it in."),
    "connector": _Entry("lakehouse.cli.connector", "Connectors of Kafka Connect: deploy, status, pause, logs."),
    "sink": _Entry("lakehouse.cli.sink", "Copy silver into PostgreSQL, exactly once."),
    "gold": _Entry("lakehouse.cli.gold", "Build the star schema and publish it."),
    "maintain": _Entry("lakehouse.cli.maintain", "Compact small files and delete replaced ones; drains may run."),
    "retention": _Entry("lakehouse.cli.retention", "Archived days that retention deleted: list, restore."),
    "verify": _Entry("lakehouse.cli.verify", "Prove that nothing was lost or doubled from Kafka to gold."),
    "accept-gap": _Entry("lakehouse.cli.accept_gap", "Record offsets that are lost for good, and go on behind them."),
    "repair": _Entry("lakehouse.cli.repair", "Mend a stream's damaged tables from Kafka and bronze."),
    "trace": _Entry("lakehouse.cli.trace", "Where a record came from and where it went; and back from a mart."),
    "prove": _Entry("lakehouse.cli.prove", "Kill workers and broker at random on a scratch lake, then verify."),
    "tune": _Entry("lakehouse.cli.tune", "Sizes of topics, executors and partitions: what to change."),
    "lag": _Entry("lakehouse.cli.lag", "How far streams are behind their topics."),
    "tail": _Entry("lakehouse.cli.tail", "Print the records of a topic as they come."),
    "generate": _Entry("lakehouse.cli.generate", "Write simulated events to a file, any number of them."),
    "loadtest": _Entry("lakehouse.cli.loadtest", "A steady load for a time: rate, latency, loss, duplicates."),
    "logs": _Entry("lakehouse.cli.logs", "What a Dagster run logged, by its id or by job, partition, attempt."),
    "metrics": _Entry("lakehouse.cli.metrics", "Figures of machine and pipeline, for Prometheus too; alerts."),
    "dq": _Entry("lakehouse.cli.dq", "Data quality: validate, profile, report, export."),
    "sql": _Entry("lakehouse.cli.sql", "Query gold."),
    "config": _Entry("lakehouse.cli.config", "Show every setting, its value and where it comes from."),
}


class LazyGroup(TyperGroup):
    """A group whose commands are stubs with a help line until one of them is called."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        for name, entry in COMMANDS.items():
            self.commands.setdefault(name, TyperCommand(name=name, help=entry.help, callback=None))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse as usual, but leave our own options alone while the shell asks for completions.

        Checking an option's value imports pydantic, which takes longer than the shell's user wants to wait.
        """
        if not ctx.resilient_parsing:
            parsed: list[str] = super().parse_args(ctx, args)
            return parsed
        rest = list(dropwhile(lambda word: word.startswith("-"), args))
        # What a group does with what is left after its options; see click's Group.parse_args.
        ctx._protected_args, ctx.args = rest[:1], rest[1:]
        return rest[1:]

    def invoke(self, ctx: Any) -> Any:
        """Run the command; say a word when it was told to stop."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print("\nStopped cleanly; run the command again to go on.", file=sys.stderr)
            raise typer.Exit(EXIT_INTERRUPTED) from None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the module of the command that is being called, then resolve as usual."""
        entry = COMMANDS.get(args[0]) if args else None
        if entry is not None:
            command = get_command(importlib.import_module(entry.module).app)
            command.name = args[0]
            self.commands[args[0]] = command
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog=EPILOG,
    # Plain help: Rich would cost 0.25 s, more than all the rest together.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    debug: bool = typer.Option(False, "--debug", help="Show the full trace when something fails."),
) -> None:
    """A lakehouse on your machine: Kafka → Spark → Delta → dbt, exactly once.

    \b
    Examples:
      lakehouse up                                  start broker and Spark
      lakehouse produce sales --count 1000 --burst  send events
      lakehouse drain sales                         take them into bronze and silver
      lakehouse verify                              prove that none was lost or doubled
      lakehouse sql "from sales_daily limit 5"      ask gold
    """  # noqa: D301 - click keeps the lines of a paragraph that begins with a backspace
    sys.modules[__name__].__dict__["_debug"] = debug


_debug = False


def main() -> None:
    """Entry point of the console script; turns every failure into a message and an exit code."""
    # Arrow, gRPC and JVM clients print their own warnings; a command's output is ours alone.
    try:
        app(standalone_mode=True)
    except LakehouseError as error:
        _fail(error)
    except Exception as error:
        if _debug:
            raise
        from lakehouse.cli.console import crash_log

        path = crash_log(error)
        print(f"error: {type(error).__name__}: {_first_line(error)}\ndetails: {path}", file=sys.stderr)
        sys.exit(EXIT_COULD_NOT_ASK)


def _fail(error: LakehouseError) -> None:
    if _debug:
        raise error
    from lakehouse.cli.console import explain

    explain(error)
    sys.exit(error.exit_code)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0][:300]


if __name__ == "__main__":
    main()
