"""The process that runs are forked from: it loads all definitions once, then forks for each run it is asked for.

`python -m lakehouse.launcher.template`. It has one thread of Python only, so that a fork copies a whole state: what
starts others when it is imported (DuckDB) is left to the runs. It ends when its input ends and the last run has. Here:
loading, forking, reaping. Not here: what the launcher makes of it (`prefork`, `handle`).
"""

import importlib
import json
import os
import select
import signal
import sys
import traceback
from typing import Any, NoReturn

from dagster import DagsterInstance
from dagster import _check as check
from dagster._cli.api import execute_run_command
from dagster._core.code_pointer import CodePointer
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import deserialize_value

import lakehouse.definitions
from lakehouse.engine.embedded.processes import own_place
from lakehouse.launcher import PROCESS_TAG

POLL_SECONDS = 0.25
# Nearly every run talks to Spark: what its client imports is imported once, not in each run. Arrow's allocator has a
# thread of its own, which it stops and starts around a fork.
_OF_RUNS = ("pandas", "pyarrow.parquet", "pyspark.sql.connect.session", "pyspark.sql.connect.functions")


def main() -> None:
    """Load, then serve the launcher until it goes away."""
    answers = os.dup(1)
    # Whatever libraries print goes to the log, not among the answers.
    os.dup2(2, 1)
    # Ctrl-C in a terminal reaches this process, too; it ends when its launcher does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        load()
    except Exception as error:
        _say(answers, {"error": f"The definitions cannot be loaded: {type(error).__name__}: {error}"})
        raise
    _say(answers, {"ready": os.getpid()})
    prepare_runs()
    runs: dict[int, str] = {}
    requests = _Lines(0)
    while not requests.ended or runs:
        for request in requests.take(POLL_SECONDS if runs else None):
            pid = os.fork()
            if pid == 0:
                os.close(answers)
                _run(request)
            runs[pid] = request["run_id"]
            _say(answers, {"pid": pid})
        for pid, code in _ended(runs):
            _say(answers, {"exit": {"run_id": runs.pop(pid), "pid": pid, "code": code}})


def load() -> None:
    """Build every job of the project, and let whoever loads the definitions in a forked process get what was built."""
    definitions = ReconstructableRepository(CodePointer.from_module("lakehouse.definitions", "defs", None))
    repository = definitions.get_definition()
    repository.get_all_jobs()
    lakehouse.definitions.defs = repository


def prepare_runs() -> None:
    """Import what runs will need; a run that is asked for meanwhile would do the same."""
    # NumPy would start a thread for each processor, for algebra that is small in every run.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for name in _OF_RUNS:
        importlib.import_module(name)


def _run(request: dict[str, Any]) -> NoReturn:
    """In the forked process: what `dagster api execute_run` does in a new one."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        arguments = deserialize_value(request["arguments"], ExecuteRunArgs)
        with DagsterInstance.from_ref(check.not_none(arguments.instance_ref)) as instance:
            # Before anything of the run: tags are read, changed and written back, which two processes must not do.
            instance.add_run_tags(arguments.run_id, {PROCESS_TAG: own_place()})
        execute_run_command.main(args=[request["arguments"]], standalone_mode=False)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - the last frame of this process
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Not sys.exit: what the template registered for its own end is not this process's to do.
        os._exit(code)


def _ended(runs: dict[int, str]) -> list[tuple[int, int]]:
    ended = []
    for pid in runs:
        gone, status = os.waitpid(pid, os.WNOHANG)
        if gone:
            ended.append((pid, os.waitstatus_to_exitcode(status)))
    return ended


def _say(answers: int, what: dict[str, Any]) -> None:
    try:
        os.write(answers, (json.dumps(what) + "\n").encode())
    except BrokenPipeError:
        # The launcher is gone: nobody is left to be told, and the runs go on.
        return


class _Lines:
    """Lines of JSON from a file descriptor, without waiting longer than asked."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.ended = False
        self._rest = b""

    def take(self, seconds: float | None) -> list[dict[str, Any]]:
        """What has come; waits up to so many seconds for the first byte, for ever when None."""
        watched = [] if self.ended else [self.descriptor]
        if not select.select(watched, [], [], seconds)[0]:
            return []
        block = os.read(self.descriptor, 1 << 20)
        self.ended = not block
        *lines, self._rest = (self._rest + block).split(b"\n")
        return [json.loads(line) for line in lines]


if __name__ == "__main__":
    main()
