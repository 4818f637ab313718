"""The part of the lake's resource that watches: quality, alerts, figures, audit, exports.

Here: delegation, with imports inside the methods, as in `components.resources`. Not here: any logic.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from lakehouse.lake.monitoring.audit import Action
    from lakehouse.lake.quality.hourly import Written
    from lakehouse.lake.serving.exports import Export
    from lakehouse.ops.notify.dispatch import Delivery
    from lakehouse.ops.samples import Sample
    from lakehouse.quality.profile import ColumnProfile
    from lakehouse.quality.results import CheckResult


class Watching:
    """Methods of `LakeResource` for checks, monitoring and reports."""

    def settings(self) -> Settings:
        """The settings as they are now."""
        raise NotImplementedError

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
        from lakehouse.lake.monitoring import quality_alerts
        from lakehouse.lake.quality import hourly

        settings = self.settings()
        return quality_alerts.send_alerts(hourly.results_of_run(settings, run, now.date()), settings)

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
        from lakehouse.lake.monitoring import quality_alerts

        return quality_alerts.send_alerts(results, self.settings())

    def sample(self, contracts: Mapping[str, StreamContract], *, now: datetime) -> "list[Sample]":
        """Figures of machine, pipeline and data quality."""
        from lakehouse.lake.monitoring import metrics

        return metrics.sample_all(contracts.values(), self.settings(), now=now)

    def write_textfile(self, samples: "Iterable[Sample]") -> Path:
        """Write the figures for Prometheus and return the file."""
        from lakehouse.ops import prometheus

        path = self.settings().home / "metrics" / "lakehouse.prom"
        prometheus.write_textfile(samples, path)
        return path

    def publish_metrics(self, samples: "Sequence[Sample]") -> int:
        """Send the figures to the topic system-metrics."""
        from lakehouse.lake.monitoring import outbox
        from lakehouse.ops.host import host_name

        events = [sample.as_event(host_name()) for sample in samples]
        return outbox.send(outbox.METRICS_STREAM, "sample_id", events, self.settings())

    def raise_alarms(self, samples: "Iterable[Sample]", *, is_everything: bool) -> "list[Delivery]":
        """Tell people about what is too much."""
        from lakehouse.lake.monitoring import alarms

        return alarms.raise_alarms(samples, self.settings(), is_everything=is_everything)

    def audit(self, actions: "Sequence[Action]", *, now: datetime) -> int:
        """Add these actions and those of the lake's own tables to the audit table."""
        from lakehouse.lake.monitoring import audit
        from lakehouse.lake.paths import LakePaths

        paths = LakePaths.of(self.settings())
        return audit.record(paths, [*actions, *audit.lake_actions(paths, now=now)])

    def export_gold(self) -> "Export":
        """Write gold's daily tables as dated files."""
        from lakehouse.lake.serving import exports

        return exports.export_gold(self.settings())
