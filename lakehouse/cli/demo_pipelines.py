"""The batch pipelines of the demo: one window of each, in an order in which every one finds what it reads.

Here: which window, the order, a line for each. Not here: running a pipeline (`lake.batch`), the streams that some read
(`cli.demo_beside`).
"""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from lakehouse.cli.console import err
from lakehouse.contracts.pipeline import LoadStep, PipelineContract
from lakehouse.contracts.window import LENGTHS, WHOLE, key_of
from lakehouse.lake.batch.report import StepReport
from lakehouse.lake.batch.tables import rows_of_window
from lakehouse.lake.newest import newest_time
from lakehouse.lake.paths import LakePaths
from lakehouse.settings import Settings

Choice = Callable[[Settings, PipelineContract], str | None]
"""The key of the window to run; None when nothing lies in any."""


def _yesterday(_settings: Settings, pipeline: PipelineContract) -> str:
    return key_of(pipeline.cadence, _midnight(datetime.now(UTC)) - timedelta(days=1))


def _of_the_sample(_settings: Settings, _pipeline: PipelineContract) -> str:
    """A day of the bundled sample on which a corrected report came whole, and another one that is refused."""
    return "2026-03-04"


def _whole(_settings: Settings, _pipeline: PipelineContract) -> str:
    return WHOLE


def _newest(stream: str, column: str, where: str = "true") -> Choice:
    """The window of the newest row in the stream's silver, also when it has not ended: there is something to see."""

    def choose(settings: Settings, pipeline: PipelineContract) -> str | None:
        newest = newest_time(settings, stream, column, where=where)
        if newest is None or pipeline.cadence == "none":
            return None
        day = _midnight(newest)
        return key_of(pipeline.cadence, newest - (newest - day) % LENGTHS[pipeline.cadence])

    return choose


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


ONE_FLOW = ("orders_star",)
# What waits for another pipeline comes after it; what feeds a stream comes first, as its sensor needs time.
_OUTSIDE: dict[str, Choice] = {
    "covid_etl": _of_the_sample,
    "orders_star": _yesterday,
    "daily_etl": _yesterday,
    "idempotent_etl": _yesterday,
    "backfillable_etl": _yesterday,
    "source_etl": _yesterday,
    "downstream_etl": _yesterday,
}
_STREAMS: dict[str, Choice] = {
    "hourly_sync": _newest("sales", "sale_timestamp"),
    "etl_sales_store_daily": _newest("sales", "sale_timestamp"),
    "sales_history": _whole,
    "orders_bucketed": _whole,
    "etl_retail_country_daily": _newest("retail", "invoice_date"),
    "market_crypto": _newest("market_data", "event_time", "symbol <> 'EUR/USD'"),
    "market_forex": _newest("market_data", "event_time", "symbol = 'EUR/USD'"),
    "user_features": _newest("user_events", "event_time"),
}
FROM_OUTSIDE, FROM_STREAMS = tuple(_OUTSIDE), tuple(_STREAMS)


def show_pipelines(settings: Settings, names: Iterable[str]) -> None:
    """Run one window of each pipeline and say what each step made.

    A window is run again when a stream may have brought it more, and when its end is not a table, which would tell that
    it was run; the rows are the same then.

    Raises:
        LakehouseError: a pipeline failed.
    """
    from lakehouse.contracts.pipelines import load_pipelines
    from lakehouse.lake.batch.run import run_pipeline

    known, choices = load_pipelines(), _OUTSIDE | _STREAMS
    for name in names:
        window = choices[name](settings, known[name])
        if window is None:
            err.print(f"- pipeline {name}: nothing to take; silver has no row for it", markup=False, soft_wrap=True)
            continue
        made = _made_before(settings, known[name], window) if name in _OUTSIDE else ""
        if made:
            err.print(f"✓ pipeline {name}, {window}: made before · {made}", markup=False, soft_wrap=True)
            continue
        began = time.monotonic()
        reports = run_pipeline(known[name], window, settings)
        when = "" if window == WHOLE else f", {window}"
        steps = " → ".join(_said(report) for report in reports)
        err.print(f"✓ pipeline {name}{when}: {steps} · {time.monotonic() - began:.1f} s", markup=False, soft_wrap=True)


def _made_before(settings: Settings, pipeline: PipelineContract, window: str) -> str:
    """The last table of the pipeline with its rows of the window; an empty text when there are none to be seen."""
    *_, (_, last) = pipeline.steps()
    if not isinstance(last, LoadStep) or last.strategy == "merge":
        return ""
    rows = rows_of_window(LakePaths.of(settings).batch(pipeline.name, last.name), window)
    return f"{last.name} {rows:,}" if rows else ""


def show_daily_agg(settings: Settings) -> None:
    """Compute the days of the batch view that it lacks, as every night."""
    from lakehouse.lake.batch.daily_views import VIEW, build_daily_agg, stale_days

    days = stale_days(settings)
    if not days:
        err.print(f"✓ batch view {VIEW}: has every settled day as silver has it", markup=False)
        return
    report = build_daily_agg(settings, days)
    err.print(
        f"✓ batch view {VIEW}: {len(report.days)} days, {report.rows:,} rows · {report.seconds:.1f} s", markup=False
    )


def _said(report: StepReport) -> str:
    """A step and its rows; of a delivery the figures that it returned."""
    if report.stage != "deliver":
        rejected = f" ({report.rejected:,} rejected)" if report.rejected else ""
        return f"{report.step} {report.rows:,}{rejected}"
    figures = [
        f"{name.replace('_', ' ')} {value:,}"
        for name, value in report.details.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return f"{report.step} ({', '.join(figures)})" if figures else report.step
