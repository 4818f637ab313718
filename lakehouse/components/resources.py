"""The lake as a Dagster resource: one method for each thing that assets, checks and sensors ask of `lakehouse.lake`.

Here: delegation, with imports inside the methods so that loading the definitions costs nothing. Not here: any logic.
Tests swap it through `build_defs(resources={"lake": …})`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from lakehouse.components.watching import Watching
from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.pipeline import PipelineContract
from lakehouse.ops.incidents import Incident
from lakehouse.settings import Settings, load_settings

if TYPE_CHECKING:
    from lakehouse.lake.batch.daily_views import DailyAggReport
    from lakehouse.lake.batch.report import StepReport
    from lakehouse.lake.gold.builds import GoldBuild
    from lakehouse.lake.maintenance.upkeep import TableReport
    from lakehouse.lake.monitoring.progress import Backlog
    from lakehouse.lake.quality.checks import RuleResult
    from lakehouse.lake.quality.standing import BronzeFacts, FailingDay
    from lakehouse.lake.reports import BatchReport, DayReport, DrainSummary, LoadReport
    from lakehouse.lake.serving.kpi_page import KpiPage
    from lakehouse.lake.speed.run import SpeedSummary
    from lakehouse.lake.speed.writer import SpeedReport
    from lakehouse.sources.landing import LandingReport


class LakeResource(Watching, dg.ConfigurableResource[Any]):
    """Reads the settings anew on each call: the embedded stack may have moved to other ports."""

    def settings(self) -> Settings:
        """The settings as they are now."""
        return load_settings()

    def backlog(self, contract: StreamContract) -> "Backlog":
        """Rows that the broker has and bronze has not; needs no Spark."""
        from lakehouse.lake.monitoring import progress

        return progress.backlog(contract, self.settings())

    def drain(self, contract: StreamContract, *, day: date, report: "Callable[[BatchReport], None]") -> "DrainSummary":
        """Take one arrival day's backlog into bronze and silver, for as long as the settings allow."""
        from lakehouse.lake import drain

        settings = self.settings()
        return drain.drain(
            contract,
            settings,
            budget_seconds=settings.drain_budget_seconds,
            idle_seconds=settings.drain_idle_seconds,
            day=day,
            report=report,
        )

    def verify_bronze_day(self, contract: StreamContract, day: date) -> "DayReport":
        """Compare one arrival day of bronze with the broker and fill gaps; never rewrites."""
        from lakehouse.lake.repair import bronze_day

        return bronze_day.verify_bronze_day(contract, self.settings(), day)

    def rebuild_silver(
        self, contract: StreamContract, days: list[date], report: "Callable[[DayReport], None]"
    ) -> "list[DayReport]":
        """Recompute these event dates of silver from bronze and replace them."""
        from lakehouse.lake.rebuild import backfill

        return backfill.rebuild_silver(contract, self.settings(), days, report)

    def evaluate_rules(self, contract: StreamContract, days: list[date] | None) -> "list[RuleResult]":
        """Rows, broken rows and share for each rule on these days; None means the whole table."""
        from lakehouse.lake.quality import checks

        return checks.evaluate_rules(contract, self.settings(), days)

    def bronze_facts(self, contract: StreamContract, days: list[date] | None) -> "BronzeFacts":
        """Rows, duplicates and broken places of bronze on these arrival days; None means all."""
        from lakehouse.lake.quality import standing

        return standing.bronze_facts(contract, self.settings(), days)

    def failing_days(self, contract: StreamContract) -> "list[FailingDay]":
        """Arrival days on which a rule rejected more than it tolerates."""
        from lakehouse.lake.quality import standing

        return standing.failing_days(contract, self.settings())

    def keys_held_twice(self, contract: StreamContract) -> int:
        """Keys that silver holds in more than one row."""
        from lakehouse.lake.quality import standing

        return standing.keys_held_twice(contract, self.settings())

    def hours_until_expiry(self, contract: StreamContract, backlog: "Backlog", *, now: datetime) -> float:
        """Hours until retention may delete the oldest unread record."""
        from lakehouse.lake.quality import standing

        return standing.hours_until_expiry(contract, backlog.days[0][0], now=now)

    def landed(self) -> dict[str, str]:
        """For each stream with whole files in its landing folder, the files' position."""
        from lakehouse.contracts.load import load_streams
        from lakehouse.sources import landing

        settings = self.settings()
        found = {stream: landing.landed(settings, stream) for stream in load_streams()}
        return {stream: landing.position(paths) for stream, paths in found.items() if paths}

    def send_landed(self, contract: StreamContract) -> "LandingReport":
        """Send what is new in the stream's landing folder."""
        from lakehouse.sources import landing

        return landing.send_landed(self.settings(), contract)

    def maintain_stream(self, contract: StreamContract) -> "list[TableReport]":
        """Compact and vacuum the stream's tables."""
        from lakehouse.lake.maintenance import upkeep

        return upkeep.maintain_stream(contract, self.settings())

    def maintain_events(self) -> "TableReport | None":
        """Compact and vacuum the table of facts; None when the lake has none."""
        from lakehouse.lake.maintenance import upkeep

        return upkeep.maintain_events(self.settings())

    def maintain_records(self) -> "list[TableReport]":
        """Compact and vacuum results, statistics and the audit table."""
        from lakehouse.lake.maintenance import upkeep

        return upkeep.maintain_records(self.settings())

    def advance_speed(self, report: "Callable[[SpeedReport], None]") -> "SpeedSummary":
        """Bring windows, sessions and the real-time views of user events up to silver."""
        from lakehouse.lake.batch.daily_views import record_of
        from lakehouse.lake.paths import LakePaths
        from lakehouse.lake.speed import run

        settings = self.settings()
        record = record_of(LakePaths.of(settings))
        return run.advance(settings, keep_from=record.boundary if record else None, report=report)

    def build_daily_agg(self, days: list[date]) -> "DailyAggReport":
        """Compute these days of the batch view from silver."""
        from lakehouse.lake.batch import daily_views

        return daily_views.build_daily_agg(self.settings(), days)

    def stale_batch_days(self) -> list[date]:
        """Settled days that the batch view lacks, or whose silver changed since."""
        from lakehouse.lake.batch import daily_views

        return daily_views.stale_days(self.settings())

    def publish_kpis(self) -> "KpiPage":
        """Read the serving view and write the live page of key figures."""
        from lakehouse.lake.serving import kpi_page

        return kpi_page.publish_kpis(self.settings())

    def building_gold(self, *, whole: bool) -> "AbstractContextManager[GoldBuild]":
        """Hold gold's build lock and prepare its work file; single models are built at the versions gold shows."""
        from lakehouse.lake.gold import builds

        return builds.building(self.settings(), full_refresh=not whole, frozen=not whole)

    def load_postgres(self, contract: StreamContract) -> "LoadReport":
        """Bring the stream's PostgreSQL table up to silver."""
        from lakehouse.lake.sinks import postgres

        return postgres.load(contract, self.settings())

    def run_batch_step(self, pipeline: PipelineContract, step: str, partition: str) -> "StepReport":
        """Run one step of one window of a batch pipeline."""
        from lakehouse.lake.batch import run

        return run.run_step(pipeline, step, partition, self.settings())

    def nothing_new(self, pipeline: PipelineContract, partition: str) -> str:
        """Why a run of this window would find nothing; empty when it may find something. Needs no Spark."""
        from lakehouse.contracts.window import window_of
        from lakehouse.lake.batch import news

        window = window_of(pipeline.cadence, partition, pipeline.start)
        return news.nothing_new(pipeline, window, self.settings())

    def report_incident(self, incident: Incident) -> list[Exception]:
        """Write an incident down and tell the handlers; returns what failing handlers raised."""
        from lakehouse.lake.monitoring import incidents

        return incidents.report_incident(incident, self.settings())
