"""`lakehouse dev`: the whole stack with Dagster's UI and sensors on, until Ctrl-C.

Here: starting, following the daemon's log, stopping. Not here: the services themselves (`lakehouse.engine.embedded`).
"""

import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from lakehouse.cli.console import err

app = typer.Typer(add_completion=False, rich_markup_mode=None)

# What daemons say of themselves every few seconds, and sensors that found nothing to do.
_IDLE = (
    " DEBUG ",
    "AssetDaemon",
    "MonitoringDaemon",
    "Checking for new runs",
    "Priority sorting and checking tag concurrency limits",
    "No cursor for event type",
    " skipped: Initiating ",
    " skipped: Sensor function returned an empty result",
    " skipped: Nothing new on ",
    " skipped: No new files for ",
    " skipped: Nothing was recorded since ",
    " skipped: The conditions were asked less than ",
    " skipped: No check was evaluated ",
    " skipped: 0 runs take too long",
    " skipped: 0 limits changed, 0 lost runs ended",
    " rows wait on the broker.",
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_POLL_SECONDS = 0.5


@app.command()
def dev(
    keep: bool = typer.Option(False, "--keep", help="Leave everything running after Ctrl-C."),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Show every line of the daemon's log."),
) -> None:
    """Start Kafka, Spark and Dagster, create the topics, switch the sensors on, and stop it all on Ctrl-C.

    Sensors start switched on: a record that arrives is in bronze and silver a few seconds later, gold follows.

    Example: lakehouse dev
    """
    from lakehouse.cli.setup import prepare
    from lakehouse.cli.up import ProgressLines
    from lakehouse.engine.embedded import stack
    from lakehouse.settings import load_settings

    settings = load_settings()
    try:
        with _ctrl_c_also_on_termination():
            with ProgressLines() as progress:
                prepare(settings, progress)
                stack.start(settings, ("kafka", "spark"), progress)
                _apply_topics()
                entries = stack.start(settings, ("kafka", "spark", "dagster"), progress)
            url = next(entry.url for entry in entries if entry.name == "dagster-webserver")
            log = next(Path(entry.log) for entry in entries if entry.name == "dagster-daemon")
            err.print(f"\n[bold]Dagster[/bold]  {url}/locations/lakehouse/asset-groups/silver", soft_wrap=True)
            err.print("try      lakehouse produce sales --count 1000 --burst --bad-share 0.02", soft_wrap=True)
            err.print("stop     Ctrl-C\n")
            for line in _follow(log):
                if verbose or tells_something(line):
                    err.print(_COLOUR.sub("", line), markup=False, soft_wrap=True)
    except KeyboardInterrupt:
        if keep:
            err.print("\nstill running; stop it with: lakehouse down")
            return
        err.print("\nstopping …")
        stopped = stack.stop(settings)
        left = [entry.name for entry in stack.status(settings) if entry.state != "stopped"]
        err.print(f"stopped {', '.join(stopped) or 'nothing'}" + (f"; still there: {', '.join(left)}" if left else ""))


def tells_something(line: str) -> bool:
    """Whether a line of the daemon's log is about something that happened, or that keeps a sensor from its work."""
    return not any(text in line for text in _IDLE)


def _apply_topics() -> None:
    """Create the contracts' topics, so that the first tick of a sensor finds them."""
    from lakehouse.contracts.load import load_streams
    from lakehouse.kafka.topics import apply_topics, desired_topics
    from lakehouse.settings import load_settings

    # Read anew: the broker may listen on another port than before the start.
    apply_topics(load_settings(), desired_topics(load_streams()))


def _follow(log: Path) -> Iterator[str]:
    """New lines of a growing file, for ever; survives its rotation."""
    position = log.stat().st_size if log.is_file() else 0
    while True:
        size = log.stat().st_size if log.is_file() else 0
        if size < position:
            position = 0
        if size > position:
            with log.open("rb") as file:
                file.seek(position)
                whole, _, _ = file.read().rpartition(b"\n")
                position += len(whole) + 1 if whole else 0
            yield from whole.decode("utf-8", errors="replace").splitlines()
        time.sleep(_POLL_SECONDS)


@contextmanager
def _ctrl_c_also_on_termination() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C: a terminal that is closed must not leave processes behind."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
