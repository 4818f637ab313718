"""`lakehouse up`: start the embedded services and say where they are."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.console import err, print_json, print_table
from lakehouse.errors import UsageError

if TYPE_CHECKING:
    from lakehouse.engine.embedded.preparation import Progress
    from lakehouse.engine.embedded.service import ServiceStatus

app = typer.Typer(add_completion=False, rich_markup_mode=None)

# What `--with` takes, and the services behind it.
EXTRAS: dict[str, tuple[str, ...]] = {
    "postgres": ("postgres",),
    "cdc": ("postgres", "connect"),
    "registry": ("registry",),
}


@app.command()
def up(
    dagster: bool = typer.Option(False, "--dagster", help="Also start Dagster's UI and daemon."),
    extras: Annotated[
        list[str] | None, typer.Option("--with", help="Also start this: postgres, cdc, registry. May be given again.")
    ] = None,
    as_json: bool = typer.Option(False, "--json", help="One JSON array on stdout."),
) -> None:
    """Start the embedded Kafka broker and Spark server, and wait until both answer.

    What runs already is left as it is. The services go on after this command; `lakehouse down` stops them.

    \b
    Examples:
      lakehouse up --dagster
      lakehouse up --with cdc       PostgreSQL, and Kafka Connect with Debezium
      lakehouse up --with registry
    """  # noqa: D301 - click keeps the lines of a paragraph that begins with a backspace
    from dataclasses import asdict

    from lakehouse.engine.embedded import stack
    from lakehouse.settings import load_settings

    unknown = [name for name in extras or [] if name not in EXTRAS]
    if unknown:
        raise UsageError(f"--with {unknown[0]!r} is not known.", fix=f"Use one of: {', '.join(EXTRAS)}.")
    settings = load_settings()
    before = {entry.pid for entry in stack.status(settings) if entry.pid}
    more = [service for name in extras or [] for service in EXTRAS[name]]
    services = ("kafka", "spark", *dict.fromkeys(more), *(["dagster"] if dagster else []))
    with ProgressLines() as progress:
        entries = stack.start(settings, services, progress)
    if {entry.pid for entry in entries} <= before:
        err.print(f"already up ({', '.join(f'{e.name} pid {e.pid}, {age(e.since)}' for e in entries)})")
    if as_json:
        print_json([asdict(entry) for entry in without_tokens(entries)])
        return
    show(entries)
    err.print(f"logs: {settings.home / 'logs'}   stop: lakehouse down", soft_wrap=True)


def show(entries: "list[ServiceStatus]") -> None:
    """The table of services that `up` and `status` print."""
    rows = [[e.name, e.state, e.pid or "", e.url, age(e.since), e.restarts] for e in without_tokens(entries)]
    print_table("", ["service", "state", "pid", "address", "up for", "restarts"], rows)


def without_tokens(entries: "list[ServiceStatus]") -> "list[ServiceStatus]":
    """The services with their addresses as people may see them."""
    from dataclasses import replace

    from lakehouse.engine.spark_address import shown

    return [replace(entry, url=shown(entry.url)) for entry in entries]


def age(since: str) -> str:
    """Time since an ISO 8601 instant, in the largest unit that fits: `12 min`."""
    if not since:
        return ""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


class ProgressLines:
    """Shows a start on stderr: one live line per step in a terminal, finished steps only elsewhere."""

    def __init__(self) -> None:
        self._status = err.status("starting …") if err.is_terminal else None
        self._done: set[str] = set()

    def __enter__(self) -> "ProgressLines":
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def __call__(self, step: "Progress") -> None:
        """Show one step."""
        if step.state == "done" and step.step in self._done:
            # A second start in one command asks again what runs already; one line says it.
            return
        if step.state == "done":
            self._done.add(step.step)
            err.print(f"✓ {step.step}  {step.detail}", soft_wrap=True)
        elif step.state == "note":
            err.print(f"  {step.step}: {step.detail}", soft_wrap=True, markup=False)
        elif self._status is not None:
            self._status.update(f"{step.step} … {step.detail}")
