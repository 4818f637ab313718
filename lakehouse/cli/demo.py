"""`lakehouse demo`: the whole way on real parts, with the plug pulled in the middle, and the proof at the end.

Here: the storyboard. Not here: what is shown while events flow (`cli.demo_view`), anything that moves data: Dagster's
sensors launch the runs, as they do in production.
"""

import threading
import time
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

import typer

from lakehouse.cli.console import err
from lakehouse.errors import EXIT_UNHEALTHY, LakehouseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lakehouse.cli.demo_view import Flow
    from lakehouse.contracts.model import StreamContract
    from lakehouse.engine.embedded.preparation import Progress, Report
    from lakehouse.settings import Settings
    from lakehouse.sources.producer import EventSender, Message
    from lakehouse.sources.sales import SalesGenerator

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_SERVICES = ("kafka", "spark", "dagster")
_PATIENCE_SECONDS = 600.0
_HEAD_SHARE = 0.2


@app.command()
def demo(
    events: int = typer.Option(50_000, help="Sales events to send in all.", min=1),
    bad_share: float = typer.Option(0.02, help="Share of them that is broken on purpose.", min=0, max=1),
    rate: float = typer.Option(2_500, help="Events per second.", min=1),
    pull_plug: bool = typer.Option(True, "--pull-plug/--no-pull-plug", help="Kill Spark in mid-batch."),
    full: bool = typer.Option(False, "--full", help="Show every stream, every batch pipeline and the quality run."),
) -> None:
    """Send sales events from Kafka to gold, kill Spark in mid-batch, and prove that nothing was lost.

    Beside them user events, market data, change data of a shop and a batch pipeline, with small loads; with --full
    all streams and pipelines, for which an embedded PostgreSQL is started as the shop's database.
    A second call finds everything set up and only proves again. Ctrl-C anywhere is safe; the next call goes on.

    Example: lakehouse demo --full
    """
    from lakehouse.cli.demo_beside import Beside
    from lakehouse.cli.demo_proof import Proof
    from lakehouse.cli.setup import prepare
    from lakehouse.cli.up import ProgressLines
    from lakehouse.contracts.load import load_stream
    from lakehouse.engine.embedded import stack
    from lakehouse.settings import load_settings

    began = time.monotonic()
    settings = load_settings()
    sales, beside = load_stream("sales"), Beside(full=full)
    err.print(f"logs {settings.home / 'logs'}", style="dim", soft_wrap=True)
    opening = _Opening(sales, events, bad_share=bad_share, rate=rate)
    with ProgressLines() as progress:
        _step(1, "Jars, DuckDB extensions, dbt project")
        prepare(settings, progress)
        _step(2, "Kafka, Spark and Dagster with its sensors on (usually 25 s)")
        stack.start(settings, _SERVICES, opening.beside(progress))
        beside.prepare(load_settings(), progress)
        # Where everything is, what was prepared beside them included.
        settings = load_settings()
    flow = opening.flow
    if flow is not None:
        _step(3, f"Sending {flow.count:,} sales events, {bad_share:.0%} of them broken on purpose")
        _follow(settings, flow, pull_plug=pull_plug, beside=lambda: beside.send(settings))
    else:
        err.print(f"already set up · state kept · {opening.already:,} events are on the topic, nothing to send")
        beside.send(settings)
    with Proof(settings, [sales, *beside.contracts]) as proof:
        _step(5, f"Beside it: {beside.title}")
        beside.show(settings, proof.begin)
        _step(6, "Verify, from Kafka to gold")
        is_sound = proof.conclude(is_gold_due=flow is not None)
    err.print(f"{time.monotonic() - began:.0f} s in all", style="dim")
    if not is_sound:
        raise typer.Exit(EXIT_UNHEALTHY)


def _step(number: int, title: str) -> None:
    err.print(f"[bold]\\[{number}/6][/bold] {title}", soft_wrap=True)


class _Opening:
    """What begins when Kafka answers, while the rest of the stack is starting: topics are made, events are sent.

    What is on the topic when the sensor looks first is taken at once. `flow` is None when there is nothing to send;
    `already` says how many events were there.
    """

    def __init__(self, sales: "StreamContract", events: int, *, bad_share: float, rate: float) -> None:
        self.flow: Flow | None = None
        self.already = 0
        self._sales = sales
        self._events = events
        self._bad_share = bad_share
        self._rate = rate
        self._is_begun = False

    def beside(self, show: "Report") -> "Report":
        """A report of the stack's start that opens the demo as well."""
        from lakehouse.engine.embedded import kafka

        def report(progress: "Progress") -> None:
            show(progress)
            if progress.step == kafka.TITLE and progress.state == "done" and not self._is_begun:
                self._is_begun = True
                self._begin()

        return report

    def _begin(self) -> None:
        from lakehouse.cli.demo_view import Flow
        from lakehouse.contracts.load import load_streams
        from lakehouse.kafka.offsets import read_topic_state
        from lakehouse.kafka.topics import apply_topics, desired_topics
        from lakehouse.settings import load_settings

        # The stack has said by now where its broker is; or it is one of the user's own.
        settings = load_settings()
        apply_topics(settings, desired_topics(load_streams()))
        state = read_topic_state(settings, self._sales.topic.name)
        self.already = sum(state.end[p] - state.start[p] for p in state.end)
        if self.already < self._events:
            self.flow = Flow(self._sales, settings, self._events - self.already)
            what = (settings, self._sales, self._bad_share, self._rate, self.flow)
            threading.Thread(target=_send, args=what, daemon=True).start()


def _follow(settings: "Settings", flow: "Flow", *, pull_plug: bool, beside: "Callable[[], None]") -> None:
    """Show where the events are, kill Spark once, wait until silver holds them all.

    `beside` sends what is shown beside them: when the plug is pulled, since without Spark the machine has little to do
    for some seconds; otherwise when bronze holds all events.
    """
    from lakehouse.cli.demo_beside import too_long
    from lakehouse.cli.demo_view import LiveView

    deadline = time.monotonic() + _PATIENCE_SECONDS
    is_plug_in, is_beside_sent = pull_plug, False
    with LiveView(flow) as view:
        while True:
            totals = flow.update()
            view.show()
            if flow.is_started and not flow.first_commit.is_set():
                flow.first_commit.set()
                err.print("the sensor's run is under way", style="dim")
            if flow.failure is not None:
                raise flow.failure
            if is_plug_in and flow.sent > 2 * _HEAD_SHARE * flow.count and _kill_in_mid_batch(settings, flow):
                is_plug_in = False
            was_pulled = pull_plug and not is_plug_in
            if not is_beside_sent and (was_pulled or (flow.all_sent.is_set() and flow.is_in_bronze)):
                beside()
                is_beside_sent = True
            if flow.all_sent.is_set() and flow.is_merged:
                return
            if time.monotonic() > deadline:
                left = flow.sent - totals.silver_read
                raise too_long(settings, f"After {_PATIENCE_SECONDS:.0f} s {left:,} events are still under way.")
            time.sleep(0.25)


def _send(settings: "Settings", sales: "StreamContract", bad_share: float, rate: float, flow: "Flow") -> None:
    from lakehouse.kafka.client import producer_config
    from lakehouse.sources.producer import EventSender
    from lakehouse.sources.sales import SalesGenerator

    try:
        sender = EventSender(settings, sales.topic.name, producer_config(settings))
        generator = SalesGenerator(seed=time.time_ns(), bad_share=bad_share)
        head = int(flow.count * _HEAD_SHARE)
        _send_paced(sender, generator, head, rate, flow)
        # The rest comes when the drain runs, so that it arrives in many batches and not as one backlog.
        flow.first_commit.wait(timeout=_PATIENCE_SECONDS)
        _send_paced(sender, generator, flow.count - head, rate, flow)
        sender.settle()
        flow.sent = sender.sent
        sender.raise_if_failed("the demo's events")
        flow.all_sent.set()
    except LakehouseError as error:
        flow.failure = error


def _send_paced(sender: "EventSender", generator: "SalesGenerator", count: int, rate: float, flow: "Flow") -> None:
    chunk = max(1, int(rate / 20))
    started = time.monotonic()
    sent = 0
    while sent < count:
        messages: list[Message] = [(event.key, event.value) for event in islice(generator, min(chunk, count - sent))]
        sender.send(messages)
        sent += len(messages)
        flow.sent = sender.sent
        time.sleep(max(0.0, started + sent / rate - time.monotonic()))


def _kill_in_mid_batch(settings: "Settings", flow: "Flow") -> bool:
    """Kill Spark as soon as it writes a file that no commit names; False when no batch began within 3 s."""
    import psutil

    from lakehouse.engine.embedded import stack
    from lakehouse.lake.log.staging import staged_files
    from lakehouse.lake.paths import LakePaths

    bronze = LakePaths.of(settings).bronze(flow.contract.name)
    spark = next((entry for entry in stack.status(settings) if entry.name == "spark" and entry.pid), None)
    if spark is None:
        return True
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        if any(staged_files(bronze)):
            with suppress(psutil.NoSuchProcess):
                psutil.Process(spark.pid).kill()
            err.print("[bold]\\[4/6][/bold] Now we pull the plug: Spark is killed with -9 in the middle of a batch")
            return True
        time.sleep(0.005)
    return False
