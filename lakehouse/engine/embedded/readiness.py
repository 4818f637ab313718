"""Is a service well, and if it is not, what did it say last?

Here: one real request per service, and its own last words. Not here: how long to wait (stack).
"""

from pathlib import Path

from lakehouse.engine import spark as spark_client
from lakehouse.engine.embedded import connect, dagster_ui, kafka, postgres, registry, spark
from lakehouse.engine.embedded.service import ServiceSpec
from lakehouse.errors import LakehouseError


def is_healthy(spec: ServiceSpec, timeout_seconds: float) -> bool:
    """Does the service answer a real request within the time?"""
    try:
        if spec.name == kafka.NAME:
            kafka.ask(spec.url, timeout_seconds)
        elif spec.name == spark.NAME:
            spark_client.ask(spec.url, timeout_seconds)
        elif spec.name == postgres.NAME:
            postgres.ask(spec.url, timeout_seconds)
        elif spec.name == connect.NAME:
            return connect.ask(spec.url, timeout_seconds)
        elif spec.name == registry.NAME:
            return registry.ask(spec.url, timeout_seconds)
        elif spec.name == dagster_ui.WEBSERVER:
            return dagster_ui.ask(spec.url, timeout_seconds)
    except LakehouseError:
        return False
    return True


def last_words(spec: ServiceSpec) -> str:
    """The last line that sounds like a reason, out of the service's own files."""
    for name in (spec.log, spec.output):
        path = Path(name)
        if not path.is_file():
            continue
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-200:]
        telling = [
            line for line in lines if "ERROR" in line or "FATAL" in line or "Exception" in line or "Error" in line
        ]
        if telling:
            return telling[-1].strip()[:300]
    return "Its log says nothing."
