"""Grafana's dashboards: four, of what is really exported, provisioned as the compose file mounts them."""

import json
import re
from typing import Any

import pytest
import yaml

from lakehouse.ops.prometheus import PREFIX
from lakehouse.ops.samples import METRICS
from lakehouse.ops.spark_metrics import figures_of
from lakehouse.settings import PROJECT_ROOT

FOLDER = PROJECT_ROOT / "infra" / "monitoring" / "grafana"
# What each must show.
WANTED = {
    "kafka_metrics": ("Kafka Metrics", {"Throughput", "Lag", "Errors"}),
    "spark_metrics": ("Spark Metrics", {"Executors", "Tasks", "Memory"}),
    "dagster_jobs": ("Dagster Job Status", {"Success rate", "Duration"}),
    "system_monitoring": ("System Resources", {"CPU", "Memory", "Disk"}),
}
_NO_METRIC = {"sum", "by", "max", "rate"}


def dashboard(name: str) -> dict[str, Any]:
    return dict(json.loads((FOLDER / "dashboards" / f"{name}.json").read_text(encoding="utf-8")))


def test_the_four_are_there_and_nothing_else() -> None:
    assert {path.stem for path in (FOLDER / "dashboards").iterdir()} == set(WANTED)
    assert len({dashboard(name)["uid"] for name in WANTED}) == 4


@pytest.mark.parametrize("name", WANTED)
def test_every_query_asks_for_what_is_exported(name: str) -> None:
    title, subjects = WANTED[name]
    found = dashboard(name)
    assert found["title"] == title
    panels = found["panels"]
    assert all(any(panel["title"].startswith(subject) for panel in panels) for subject in subjects)
    assert len({panel["id"] for panel in panels}) == len({str(panel["gridPos"]) for panel in panels}) == len(panels)
    exported = {f"{PREFIX}{metric}" for metric in METRICS}
    for panel in panels:
        assert panel["fieldConfig"]["defaults"]["unit"]
        [runbook] = re.findall(r"Runbook: (\S+)$", panel["description"])
        assert (PROJECT_ROOT / runbook).is_file(), panel["title"]
        for target in panel["targets"]:
            # Without labels, ranges and what is grouped by, only functions and metrics are left.
            bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|by \([^)]*\)", "", target["expr"])
            named = set(re.findall(r"[a-zA-Z_]\w*", bare)) - _NO_METRIC
            assert named, target["expr"]
            assert named <= exported, target["expr"]
    assert set(re.findall(rf"{PREFIX}(spark_\w+)", json.dumps(found))) in (set(), set(figures_of([])))


def test_the_containers_provision_them() -> None:
    compose = yaml.safe_load((PROJECT_ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    mounted = {
        entry["target"]: compose["configs"][entry["source"]]["file"]
        for entry in compose["services"]["grafana"]["configs"]
    }
    assert all((PROJECT_ROOT / file).is_file() for file in mounted.values())
    [provider] = yaml.safe_load((FOLDER / "provisioning/dashboards/lakehouse.yml").read_text(encoding="utf-8"))[
        "providers"
    ]
    [source] = yaml.safe_load((FOLDER / "provisioning/datasources/prometheus.yml").read_text(encoding="utf-8"))[
        "datasources"
    ]
    for name in WANTED:
        own = f"{provider['options']['path']}/{name}.json"
        assert mounted[own] == f"./infra/monitoring/grafana/dashboards/{name}.json"
        assert {panel["datasource"]["uid"] for panel in dashboard(name)["panels"]} == {source["uid"]}
    services = compose["services"]
    host, port = re.findall(r"http://([\w-]+):(\d+)", source["url"])[0]
    assert services[host]["ports"] == [f"127.0.0.1:{port}:{port}"]

    # From Dagster's text file to Prometheus.
    file = PROJECT_ROOT / compose["configs"]["prometheus"]["file"]
    [job] = yaml.safe_load(file.read_text(encoding="utf-8"))["scrape_configs"]
    [target] = job["static_configs"][0]["targets"]
    assert target.split(":")[0] in services
    dockerfile = (PROJECT_ROOT / "infra/docker/Dockerfile").read_text(encoding="utf-8")
    [home] = re.findall(r"LAKEHOUSE_HOME=(\S+)", dockerfile)
    assert f"--collector.textfile.directory={home}/metrics" in services["node-exporter"]["command"]


def test_figures_of_spark_are_added_up_over_its_executors() -> None:
    def executor(name: str, *, active: bool = True, **more: Any) -> dict[str, Any]:
        base = {"id": name, "isActive": active, "activeTasks": 1, "completedTasks": 10, "failedTasks": 2}
        return base | {"memoryUsed": 100, "maxMemory": 1000} | more

    alone = executor("driver", peakMemoryMetrics={"JVMHeapMemory": 7})
    assert figures_of([alone])["spark_executors"] == 1
    assert figures_of([alone]).keys() <= METRICS.keys()
    cluster = figures_of([alone, executor("0"), executor("1", active=False)])
    assert cluster == {
        "spark_executors": 1, "spark_active_tasks": 2, "spark_completed_tasks": 30, "spark_failed_tasks": 6,
        "spark_memory_bytes": 200, "spark_memory_limit_bytes": 2000, "spark_peak_heap_bytes": 7,
    }  # fmt: skip
