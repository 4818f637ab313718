"""The lake as a Dagster resource: one method for each thing that assets, checks and sensors ask of `lakehouse.lake`.

Here: delegation, with imports inside the methods so that loading the definitions costs nothing. Not here: any logic.
Tests swap it through `build_defs(resources={"lake": …})`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from lakehouse.contracts.model import StreamContract
from lakehouse.settings import Settings, load_settings

if TYPE_CHECKING:
    from lakehouse.lake.audit import Action
    from lakehouse.lake.checks import RuleResult
    from lakehouse.lake.exports import Export
    from lakehouse.lake.gold import GoldBuild
    from lakehouse.lake.maintenance import TableReport
    from lakehouse.lake.progress import Backlog
    from lakehouse.lake.quality.hourly import Written
    from lakehouse.lake.reports import BatchReport, DayReport, DrainSummary
    from lakehouse.lake.standing import BronzeFacts, FailingDay
    from lakehouse.ops.notify.dispatch import Delivery
    from lakehouse.ops.samples import Sample
    from lakehouse.quality.profile import ColumnProfile
    from lakehouse.quality.results import CheckResult


class LakeResource(dg.ConfigurableResource[Any]):
    """Reads the settings anew on each call: the embedded stack may have moved to other ports."""

    def settings(self) -> Settings:
        """The settings as they are now."""
        return load_settings()

    def backlog(self, contract: StreamContract) -> "Backlog":
        """Rows that the broker has and bronze has not; needs no Spark."""
        from lakehouse.lake import progress

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
        from lakehouse.lake import backfill

        return backfill.verify_bronze_day(contract, self.settings(), day)

    def rebuild_silver(
        self, contract: StreamContract, days: list[date], report: "Callable[[DayReport], None]"
    ) -> "list[DayReport]":
        """Recompute these event dates of silver from bronze and replace them."""
        from lakehouse.lake import backfill

        return backfill.rebuild_silver(contract, self.settings(), days, report)

    def evaluate_rules(self, contract: StreamContract, days: list[date] | None) -> "list[RuleResult]":
        """Rows, broken rows and share for each rule on these days; None means the whole table."""
        from lakehouse.lake import checks

        return checks.evaluate_rules(contract, self.settings(), days)

    def bronze_facts(self, contract: StreamContract, days: list[date] | None) -> "BronzeFacts":
        """Rows, duplicates and broken places of bronze on these arrival days; None means all."""
        from lakehouse.lake import standing

        return standing.bronze_facts(contract, self.settings(), days)

    def failing_days(self, contract: StreamContract) -> "list[FailingDay]":
        """Arrival days on which a rule rejected more than it tolerates."""
        from lakehouse.lake import standing

        return standing.failing_days(contract, self.settings())

    def keys_on_two_dates(self, contract: StreamContract) -> int:
        """Keys that silver holds under more than one event date."""
        from lakehouse.lake import standing

        return standing.keys_on_two_dates(contract, self.settings())

    def hours_until_expiry(self, contract: StreamContract, backlog: "Backlog", *, now: datetime) -> float:
        """Hours until retention may delete the oldest unread record."""
        from lakehouse.lake import standing

        return standing.hours_until_expiry(contract, backlog.days[0][0], now=now)

    def maintain_stream(self, contract: StreamContract) -> "list[TableReport]":
        """Compact and vacuum the stream's tables."""
        from lakehouse.lake import maintenance

        return maintenance.maintain_stream(contract, self.settings())

    def maintain_events(self) -> "TableReport | None":
        """Compact and vacuum the table of facts; None when the lake has none."""
        from lakehouse.lake import maintenance

        return maintenance.maintain_events(self.settings())

    def building_gold(self, *, whole: bool) -> "AbstractContextManager[GoldBuild]":
        """Hold gold's build lock and prepare its work file; single models are built at the versions gold shows."""
        from lakehouse.lake import gold

        return gold.building(self.settings(), full_refresh=not whole, frozen=not whole)

    def profile(self, contract: StreamContract, days: list[date]) -> "list[ColumnProfile]":
        """What silver's columns hold on these event dates; never personal fields."""
        from lakehouse.lake.quality import profiles

        return profiles.profile(contract, self.settings(), days)

    def check_quality(self, contracts: Mapping[str, StreamContract], *, run: str, now: datetime) -> "list[CheckResult]":
        """Validate every table on the recent days, judge what is unusual, keep the results."""
        from lakehouse.lake.quality import hourly

        days = hourly.recent_days(now)
        return hourly.check_lake(contracts.values(), self.settings(), days=days, now=now, run=run)

    def report_quality(self, contracts: Mapping[str, StreamContract], *, run: str, now: datetime) -> "Written":
        """Write the dated report of a run."""
        from lakehouse.lake.quality import hourly

        settings, days = self.settings(), hourly.recent_days(now)
        results = hourly.results_of_run(settings, run, now.date())
        return hourly.write_report(
            hourly.report_of(results, contracts, settings, days=days, now=now, run=run), settings
        )

    def alert_quality(self, *, run: str, now: datetime) -> int:
        """Send an alert for each result of a run that is wrong."""
        from lakehouse.lake.quality import alerting, hourly

        settings = self.settings()
        return alerting.send_alerts(hourly.results_of_run(settings, run, now.date()), settings)

    def unusual(self, contract: StreamContract) -> "list[CheckResult]":
        """Volume, distribution and freshness against their history."""
        from lakehouse.lake.quality import unusual

        return unusual.look(contract, self.settings())

    def keep_results(self, results: "Sequence[CheckResult]") -> int:
        """Add results of checks to the table; returns how many were new."""
        from lakehouse.lake.paths import LakePaths
        from lakehouse.lake.quality import store

        return store.write_results(LakePaths.of(self.settings()), results)

    def send_alerts(self, results: "Sequence[CheckResult]") -> int:
        """Send an alert for each result that is wrong."""
        from lakehouse.lake.quality import alerting

        return alerting.send_alerts(results, self.settings())

    def sample(self, contracts: Mapping[str, StreamContract], *, now: datetime) -> "list[Sample]":
        """Figures of machine, pipeline and data quality."""
        from lakehouse.lake import metrics

        return metrics.sample_all(contracts.values(), self.settings(), now=now)

    def write_textfile(self, samples: "Iterable[Sample]") -> Path:
        """Write the figures for Prometheus and return the file."""
        from lakehouse.ops import prometheus

        path = self.settings().home / "metrics" / "lakehouse.prom"
        prometheus.write_textfile(samples, path)
        return path

    def publish_metrics(self, samples: "Sequence[Sample]") -> int:
        """Send the figures to the topic system-metrics."""
        from lakehouse.lake import outbox
        from lakehouse.ops.host import host_name

        events = [sample.as_event(host_name()) for sample in samples]
        return outbox.send(outbox.METRICS_STREAM, "sample_id", events, self.settings())

    def raise_alarms(self, samples: "Iterable[Sample]", *, is_everything: bool) -> "list[Delivery]":
        """Tell people about what is too much."""
        from lakehouse.lake import alarms

        return alarms.raise_alarms(samples, self.settings(), is_everything=is_everything)

    def audit(self, actions: "Sequence[Action]", *, now: datetime) -> int:
        """Add these actions and those of the lake's own tables to the audit table."""
        from lakehouse.lake import audit
        from lakehouse.lake.paths import LakePaths

        paths = LakePaths.of(self.settings())
        return audit.record(paths, [*actions, *audit.lake_actions(paths, now=now)])

    def export_gold(self) -> "Export":
        """Write gold's daily tables as dated files."""
        from lakehouse.lake import exports

        return exports.export_gold(self.settings())
