"""Is a service well? Here: one real request per service. Not here: how long to wait (stack)."""

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
