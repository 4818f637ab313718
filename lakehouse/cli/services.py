"""What a command needs before its work begins: services that answer, or a word within seconds that one does not.

Here: the question, once for all commands that people type. Not here: the patience of those who are not looked at, such
as runs of Dagster (`engine.spark`); how well a service is (`cli.health`).
"""

from typing import TYPE_CHECKING

from lakehouse.cli.console import err

if TYPE_CHECKING:
    from lakehouse.settings import Settings

ANSWER_SECONDS = 2.0


def require_services(settings: "Settings", *, kafka: bool = False) -> None:
    """Make sure that Spark accepts connections, or that it is about to: the embedded one while it starts (again).

    Args:
        settings: Where the services are.
        kafka: Ask the brokers as well.

    Raises:
        BrokerUnreachableError, SparkUnreachableError: nobody answers at the address, within `ANSWER_SECONDS`.
    """
    from lakehouse.engine.spark import wait_for_port
    from lakehouse.errors import SparkUnreachableError
    from lakehouse.kafka.client import require_reachable

    if kafka:
        require_reachable(settings, timeout_seconds=ANSWER_SECONDS)
    try:
        wait_for_port(settings.spark_remote, ANSWER_SECONDS)
    except SparkUnreachableError:
        if not _is_kept_alive(settings):
            raise
        # Its supervisor brings it back; the work itself waits for that.
        err.print("Spark is starting; waiting for it …", style="dim")


def _is_kept_alive(settings: "Settings") -> bool:
    """Whether the address is that of our own Spark server, and somebody is there to start it again."""
    from lakehouse.engine.embedded.state import StackFiles

    files = StackFiles(settings.home)
    return files.supervisor() is not None and settings.spark_remote in {spec.url for spec in files.read_plan()}
