"""How busy Spark is: executors, tasks, memory, as its web UI's REST interface tells. Of the newest application alone.

Here: asking and adding up. Not here: starting a server with a web UI (`engine.embedded.spark`), what is too much.
"""

from datetime import UTC, datetime
from typing import Any

from lakehouse.ops.samples import Sample

_TIMEOUT_SECONDS = 5
_DRIVER = "driver"


def sample_spark(url: str, *, now: datetime | None = None) -> list[Sample]:
    """Figures of all live executors together; `service_up` 0 when the web UI does not answer.

    Args:
        url: Of the web UI.
        now: Time of the samples (UTC).
    """
    import httpx

    moment = now or datetime.now(UTC)
    try:
        with httpx.Client(base_url=f"{url.rstrip('/')}/api/v1", timeout=_TIMEOUT_SECONDS) as client:
            application = _answer(client, "/applications")[0]["id"]
            executors = _answer(client, f"/applications/{application}/executors")
    except (httpx.HTTPError, LookupError, TypeError, ValueError):
        return [Sample("service_up", 0.0, {"service": "spark"}, moment)]
    figures = figures_of(executors)
    up = Sample("service_up", 1.0, {"service": "spark"}, moment)
    return [up, *(Sample(metric, value, {}, moment) for metric, value in figures.items())]


def figures_of(executors: list[dict[str, Any]]) -> dict[str, float]:
    """What Spark tells of each executor, added up. In local mode the driver is the only one that works."""
    live = [entry for entry in executors if entry["isActive"]]
    workers = [entry for entry in live if entry["id"] != _DRIVER] or live

    def total(name: str, of: list[dict[str, Any]]) -> float:
        return float(sum(entry[name] for entry in of))

    return {
        "spark_executors": float(len(workers)),
        "spark_active_tasks": total("activeTasks", live),
        "spark_completed_tasks": total("completedTasks", executors),
        "spark_failed_tasks": total("failedTasks", executors),
        "spark_memory_bytes": total("memoryUsed", live),
        "spark_memory_limit_bytes": total("maxMemory", live),
        "spark_peak_heap_bytes": float(
            sum(entry.get("peakMemoryMetrics", {}).get("JVMHeapMemory", 0) for entry in live)
        ),
    }


def _answer(client: Any, path: str) -> Any:
    reply = client.get(path)
    reply.raise_for_status()
    return reply.json()
