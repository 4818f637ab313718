"""The sensor that keeps check results, on the kind of event log that a plain Dagster has: one per run."""

from typing import Any

import dagster as dg

from lakehouse.components import LakeResource
from lakehouse.components.check_results import build_check_results_sensor

kept: list[str] = []


class RememberingLake(LakeResource):
    def keep_results(self, results: Any) -> int:
        kept.extend(result.check for result in results)
        return len(results)

    def send_alerts(self, results: Any) -> int:
        return 0


@dg.asset
def table() -> None:
    """Checked below."""


@dg.asset_check(asset=table)
def first() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False)


@dg.asset_check(asset=table)
def second() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


def test_each_look_goes_on_behind_the_last() -> None:
    kept.clear()
    sensor = build_check_results_sensor()
    with dg.DagsterInstance.local_temp() as instance:
        assert instance.event_log_storage.is_run_sharded

        def look(cursor: str | None) -> dg.SensorResult:
            context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"lake": RememberingLake()})
            said = sensor(context)
            assert isinstance(said, dg.SensorResult)
            return said

        assert look(None).cursor is None
        dg.materialize([table, first], instance=instance)
        cursor = look(None).cursor
        assert kept == ["first"]
        dg.materialize([table, second], instance=instance)
        assert look(cursor).cursor
        assert kept[1:].count("second") == 1
