"""Which services a start needs: those that run as they are, new ones with a free port and everything they run from.

Here: order and ports. Not here: a service's own settings (`kafka`, `spark`, …), starting anything (`stack`).
"""

from lakehouse.engine.embedded import (
    connect,
    connect_avro,
    connect_jars,
    dagster_ui,
    kafka,
    ports,
    postgres,
    registry,
    spark,
)
from lakehouse.engine.embedded.java import find_java
from lakehouse.engine.embedded.preparation import Progress, Report, fetch_jars, fetch_registry
from lakehouse.engine.embedded.service import ServiceSpec
from lakehouse.engine.embedded.state import StackFiles
from lakehouse.settings import Settings


def plan_services(
    settings: Settings,
    files: StackFiles,
    wanted: list[str],
    running: list[ServiceSpec],
    promises: ports.Promises,
    report: Report,
) -> list[ServiceSpec]:
    """The running services as they are, and new ones for what is wanted besides."""
    specs = {spec.name: spec for spec in running}
    taken = {spec.port for spec in running}

    def port_for(title: str, preferred: int, variable: str) -> int:
        port = ports.choose(preferred, taken, promises)
        taken.add(port)
        if port != preferred:
            holder = ports.holder(preferred)
            report(Progress(title, "note", f"port {preferred} is held by {holder}; using {port} ({variable} moves it)"))
        return port

    jvm = {kafka.NAME, spark.NAME} & set(wanted) - set(specs)
    if jvm:
        java = find_java(settings)
        fetch_jars(settings, report)
    if kafka.NAME in jvm:
        port = port_for(kafka.TITLE, settings.kafka_port, "LAKEHOUSE_KAFKA_PORT")
        controller = ports.any_free(taken)
        taken.add(controller)
        specs[kafka.NAME] = kafka.prepare(settings, java, port, controller)
    if spark.NAME in jvm:
        port = port_for(spark.TITLE, settings.spark_port, "LAKEHOUSE_SPARK_PORT")
        specs[spark.NAME] = spark.prepare(settings, java, port)
    if postgres.NAME in wanted and postgres.NAME not in specs:
        port = port_for(postgres.TITLE, settings.postgres_port, "PGPORT")
        specs[postgres.NAME] = postgres.prepare(settings, port)
    if connect.NAME in wanted and connect.NAME not in specs:
        java = find_java(settings)
        fetch_jars(settings, report, connect_jars.LOCK_FILE)
        brokers = specs[kafka.NAME].url if kafka.NAME in specs else settings.kafka_bootstrap_servers
        port = ports.any_free(taken)
        avro = registry.NAME in wanted or registry.NAME in specs
        if avro:
            fetch_jars(settings, report, connect_avro.LOCK_FILE)
        password = postgres.cdc_password(settings)
        specs[connect.NAME] = connect.prepare(settings, java, port, brokers, password, avro=avro)
        taken.add(port)
    if registry.NAME in wanted and registry.NAME not in specs:
        fetch_registry(settings, report)
        port = ports.choose(registry.PREFERRED_PORT, taken, promises)
        taken.add(port)
        management = ports.any_free(taken)
        taken.add(management)
        specs[registry.NAME] = registry.prepare(settings, find_java(settings), port, management)
    if dagster_ui.NAME in wanted and dagster_ui.WEBSERVER not in specs:
        port = port_for("Dagster UI", settings.dagster_port, "LAKEHOUSE_DAGSTER_PORT")
        # Dagster's processes read the addresses when they start.
        files.write_endpoints(list(specs.values()))
        specs.update({spec.name: spec for spec in dagster_ui.prepare(settings, port, ports.any_free(taken))})
    return list(specs.values())
