"""What the demo shows beside sales: further streams, batch pipelines, with `--full` all of them and the quality run.

Here: which streams, their order, waiting for them, a line for each. Not here: the storyboard (`cli.demo`), the loads
(`cli.demo_loads`), pipelines (`cli.demo_pipelines`), jobs of Dagster (`cli.demo_jobs`).
"""

import time
from typing import TYPE_CHECKING

from lakehouse.cli.console import err
from lakehouse.cli.demo_jobs import drain_at_once, show_quality, wait_for_checks
from lakehouse.cli.demo_loads import send_loads
from lakehouse.cli.demo_pipelines import FROM_OUTSIDE, FROM_STREAMS, ONE_FLOW, show_daily_agg, show_pipelines
from lakehouse.cli.demo_shop import start_shop
from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.errors import LakehouseError
from lakehouse.kafka.offsets import read_topic_state
from lakehouse.lake.gold.builds import last_build
from lakehouse.lake.ledger import current_version, last_plan, merged_through
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.tally import Tally
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from lakehouse.engine.embedded.preparation import Report

_PATIENCE_SECONDS = 300.0
_POLL_SECONDS = 0.25
_GOLD_POLL_SECONDS = 0.5

FEW = ("user_events", "market_data", "customers")
# The pipeline `covid_etl` feeds the last one.
MORE = ("orders", "orders_batch", "retail", "covid_updates")
# Fed by our own jobs, at the end; their sensors look too seldom to be waited for.
OWN = ("data_quality_alerts", "system_metrics")
OF_THE_SHOP = ("orders_batch", "daily_etl")


class Beside:
    """The part of the demo that is not about sales. `contracts` are its streams, in the order in which they are shown.

    Args:
        full: Every stream and pipeline, not a choice.
    """

    def __init__(self, *, full: bool) -> None:
        self._full = full
        self._left_out: dict[str, str] = {}
        self._coming: dict[str, int] = {}
        self.contracts = [load_stream(name) for name in (*FEW, *((*MORE, *OWN) if full else ()))]

    @property
    def title(self) -> str:
        """What is shown, in a few words."""
        if self._full:
            return f"{len(self.contracts)} further streams, every batch pipeline, the quality run"
        return f"{', '.join(contract.name for contract in self.contracts)} and a batch pipeline"

    def prepare(self, settings: Settings, progress: "Report") -> None:
        """Make what the sources need: the topics of pipelines, the shop's database."""
        from lakehouse.kafka.topics import apply_topics
        from lakehouse.kafka.topics_file import load_profile, shared_topics

        if not self._full:
            return
        apply_topics(settings, shared_topics(), profile=load_profile("dev"))
        problem = start_shop(settings, progress)
        if problem:
            self._left_out = dict.fromkeys(OF_THE_SHOP, problem)
            self.contracts = [contract for contract in self.contracts if contract.name not in self._left_out]

    def send(self, settings: Settings) -> None:
        """Send the loads."""
        self._coming = send_loads(settings, self.contracts, full=self._full)

    def show(self, settings: Settings, when_in_silver: "Callable[[], None]") -> None:
        """Wait for the streams, run the pipelines, a line for each.

        Args:
            settings: The lake and the stack.
            when_in_silver: Called once silver has all that is shown.

        Raises:
            LakehouseError: it takes too long, or a pipeline failed.
        """
        if self._full:
            self._show_all(settings)
            when_in_silver()
            return
        self._show_streams(settings, self.contracts)
        # From here on the machine waits for one process that builds gold; until then it has enough to do.
        wait_for_checks(settings, [load_stream("sales"), *self.contracts])
        when_in_silver()
        show_pipelines(settings, ONE_FLOW)

    def _show_all(self, settings: Settings) -> None:
        """Every stream and pipeline; then, with all in the lake, quality and monitoring, and the streams they send."""
        for name, reason in self._left_out.items():
            err.print(f"- {name}: not shown; {reason}", markup=False, soft_wrap=True)
        show_pipelines(settings, [name for name in FROM_OUTSIDE if name not in self._left_out])
        self._show_streams(settings, [contract for contract in self.contracts if contract.name not in OWN])
        show_pipelines(settings, FROM_STREAMS)
        show_daily_agg(settings)
        reconciled = [contract for contract in self.contracts if contract.reconcile]
        wait_for_gold(settings, [load_stream("sales"), *reconciled])
        show_quality(settings)
        own = [contract for contract in self.contracts if contract.name in OWN]
        drain_at_once(settings, own)
        self._show_streams(settings, own)

    def _show_streams(self, settings: Settings, contracts: list[StreamContract]) -> None:
        paths = LakePaths.of(settings)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        for contract in contracts:
            _wait_for(settings, contract, self._coming.get(contract.name, 0), deadline)
            totals = Tally(contract, paths).update()
            err.print(
                f"✓ {contract.name} ({contract.mode}): {totals.bronze:,} records · {totals.valid:,} valid · "
                f"{totals.rejected:,} quarantined",
                markup=False,
                soft_wrap=True,
            )


def _wait_for(settings: Settings, contract: StreamContract, coming: int, deadline: float) -> None:
    """Wait until the topic has the rows that are coming, then until silver has all that is on it now.

    Raises:
        LakehouseError: the deadline passed.
    """
    paths = LakePaths.of(settings)
    end = read_topic_state(settings, contract.topic.name).end
    while sum(end.values()) < coming or not _has_all(paths, contract.name, end):
        if time.monotonic() > deadline:
            waited = f"After {_PATIENCE_SECONDS:.0f} s"
            raise too_long(settings, f"{waited} silver does not have all of {contract.name}.")
        time.sleep(_POLL_SECONDS)
        if sum(end.values()) < coming:
            end = read_topic_state(settings, contract.topic.name).end


def wait_for_gold(settings: Settings, contracts: list[StreamContract]) -> None:
    """Wait until gold has silver of these streams as it is now; say what to do when that takes too long."""
    paths = LakePaths.of(settings)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        build = last_build(settings)
        versions = {contract.name: current_version(paths.silver(contract.name)) for contract in contracts}
        if build is not None and versions.items() <= build.versions.items():
            return
        if time.monotonic() > deadline:
            err.print("gold does not have all of it yet; Dagster shows why. `lakehouse gold build` builds it at once.")
            return
        time.sleep(_GOLD_POLL_SECONDS)


def _has_all(paths: LakePaths, stream: str, end: dict[int, int]) -> bool:
    known = last_plan(paths.bronze(stream))
    if known is None:
        return not any(end.values())
    plan = known[0]
    is_read = all(plan.end.get(partition, 0) >= offset for partition, offset in end.items())
    return is_read and merged_through(paths.silver(stream)) >= plan.batch


def too_long(settings: Settings, problem: str) -> LakehouseError:
    """What the demo says when it has waited in vain for Dagster's runs: the reason that they or the daemon gave."""
    from lakehouse.engine.embedded.dagster_ui import DAEMON
    from lakehouse.engine.embedded.last_words import last_words
    from lakehouse.ops.logs import log_path
    from lakehouse.ops.run_lines import last_failure

    failure = last_failure(log_path())
    daemon = last_words([settings.home / "logs" / f"{DAEMON}.log"])
    reasons = [
        f"The last run that failed ({failure['run_id'][:8]}, {failure.get('job')}) said: {failure['cause']}"
        if failure
        else "No run has failed; the machine may be busy.",
        f"Dagster's daemon said: {daemon}" if daemon else "",
    ]
    return LakehouseError(
        problem,
        why=" ".join(filter(None, reasons)),
        fix=f"Look at {settings.home / 'logs'} and at Dagster's runs; running the demo again goes on.",
    )
