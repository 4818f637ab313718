"""The nightly jobs: when they run, in which pool, what they leave on the assets, how they fail."""

import dagster as dg

from lakehouse.components import LakeResource
from lakehouse.components.failures import FAILURE_TAG
from lakehouse.components.maintenance import POOL, build_events_maintenance_schedule
from lakehouse.components.stream import build_stream_defs
from lakehouse.components.tables import pool
from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.errors import ForeignLakeError
from lakehouse.lake.maintenance.table_files import TableStats
from lakehouse.lake.maintenance.upkeep import TableReport

SALES = load_stream("sales")
REPORT = TableReport("sales", "silver", TableStats(9, 900, 50, 5, 9), TableStats(2, 500, 50, 0, 1), ("2026-11-01",))


class FakeLake(LakeResource):
    def maintain_stream(self, contract: StreamContract) -> list[TableReport]:
        return [REPORT, TableReport(contract.name, "quarantine", REPORT.before, REPORT.after)]

    def maintain_events(self) -> TableReport | None:
        raise ForeignLakeError("It is another lake.", why="The root changed.", fix="lakehouse drain")


def definitions() -> dg.Definitions:
    return dg.Definitions.merge(
        build_stream_defs(SALES),
        dg.Definitions(schedules=[build_events_maintenance_schedule()], resources={"lake": FakeLake()}),
    )


def test_maintenance_runs_every_night_and_holds_up_no_drain() -> None:
    found = definitions()
    for name, job in (("sales_maintenance", "maintain_sales"), ("ops_events_maintenance", "maintain_ops_events")):
        schedule = found.resolve_schedule_def(name)
        assert (schedule.job_name, schedule.cron_schedule, schedule.execution_timezone) == (job, "23 3 * * *", "UTC")
        assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
        (op,) = found.resolve_job_def(job).graph.node_defs
        assert isinstance(op, dg.OpDefinition)
        assert op.pool == POOL != pool(SALES)


def test_figures_are_put_on_the_tables_that_are_assets() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions().resolve_job_def("maintain_sales").execute_in_process(instance=instance)
        observed = instance.fetch_observations(dg.AssetKey(["silver", "sales"]), limit=5).records
    assert [event.asset_key.path for event in result.get_asset_observation_events()] == [["silver", "sales"]]
    metadata = {name: value.value for name, value in observed[0].asset_observation.metadata.items()}
    assert (metadata["files_before"], metadata["files_files"], metadata["days_compacted"]) == (9, 2, 1)


def test_a_typed_error_fails_the_run_with_its_code() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        job = definitions().resolve_job_def("maintain_ops_events")
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        run = instance.get_run_by_id(result.run_id)
    assert not result.success
    assert run is not None
    assert run.tags[FAILURE_TAG] == ForeignLakeError.code
