# ruff: noqa: INP001 - a container's entry point, not part of the package
"""Run the Spark Connect server in the foreground of a container, reachable from the other containers.

Here: the one difference to the embedded server, its binding address. Not here: its options (`engine.embedded.spark`).
"""

import os

from lakehouse.engine.embedded import spark
from lakehouse.engine.embedded.java import find_java
from lakehouse.engine.embedded.ports import LOOPBACK
from lakehouse.settings import load_settings

ADDRESS = "spark.connect.grpc.binding.address"


def for_containers(command: list[str]) -> list[str]:
    """The embedded server's command line, listening on every address of the container."""
    changed = [f"-D{ADDRESS}=0.0.0.0" if part == f"-D{ADDRESS}={LOOPBACK}" else part for part in command]
    if changed == command:
        message = f"the server's command line no longer has {ADDRESS}"
        raise RuntimeError(message)
    return changed


def main() -> None:
    """Replace this process by the server, so that the container's signals reach it."""
    settings = load_settings()
    service = spark.prepare(settings, find_java(settings), settings.spark_port)
    os.chdir(service.cwd)
    command = for_containers(service.command)
    os.execve(command[0], command, {**os.environ, **service.env})  # noqa: S606 - our own command, no shell wanted


if __name__ == "__main__":
    main()
