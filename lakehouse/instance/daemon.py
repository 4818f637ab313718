"""Dagster's daemon in the embedded stack, ready for the first event: `-m lakehouse.instance.daemon WORKSPACE PORT`.

Dagster's own `dagster-daemon run` looks for sensors at once, finds that the code server is still loading, and looks
again five seconds later; and only the first run makes the launcher load the definitions. Here both happen while the
code server loads. Not here: daemons, sensors, the launcher.
"""

import sys
import time
from contextlib import suppress

from dagster import DagsterInstance
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._daemon.controller import daemon_controller_from_instance
from dagster._utils.interrupts import capture_interrupts, setup_interrupt_handlers

from lakehouse.engine.embedded import ports
from lakehouse.launcher.prefork import PreforkRunLauncher

_PATIENCE_SECONDS = 120.0
_POLL_SECONDS = 0.1


def main() -> None:
    """Run Dagster's daemons until the process is asked to end."""
    workspace, code_port = sys.argv[1], int(sys.argv[2])
    setup_interrupt_handlers()
    with suppress(KeyboardInterrupt), capture_interrupts(), DagsterInstance.get() as instance:
        launcher = instance.run_launcher
        if isinstance(launcher, PreforkRunLauncher):
            launcher.load()
        _wait_for(code_port)
        with daemon_controller_from_instance(instance, WorkspaceFileTarget([workspace])) as controller:
            controller.check_daemon_loop()


def _wait_for(code_port: int) -> None:
    """Wait until the code server has loaded, then it listens; definitions that do not load are the daemons' to tell."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not ports.is_open(code_port) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


if __name__ == "__main__":
    main()
