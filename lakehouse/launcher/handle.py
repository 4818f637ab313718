"""The launcher's end of the template: start it, ask it for run processes, hear of their ends.

Lines of JSON go both ways over its standard input and output. Here: that talk, and whether the template's code is still
the code on disk. Not here: the other end (`template`).
"""

import json
import logging
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lakehouse.engine.embedded.manifest import MANIFEST
from lakehouse.settings import PROJECT_ROOT

_LOG = logging.getLogger(__name__)
LOAD_SECONDS = 180.0
FORK_SECONDS = 30.0


class TemplateError(Exception):
    """The template could not load the definitions, or ended."""


@dataclass(frozen=True)
class Exit:
    """A run's process ended. `code` is its exit code, or minus the signal that killed it."""

    run_id: str
    pid: int
    code: int

    def how(self) -> str:
        """In words."""
        if self.code >= 0:
            return f"ended with exit code {self.code}"
        return f"was killed by {signal.Signals(-self.code).name}"


class Template:
    """A running template process."""

    def __init__(self, on_exit: Callable[[Exit], None]) -> None:
        self._code = code_on_disk()
        self._on_exit = on_exit
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lakehouse.launcher.template"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT_ROOT,
        )
        threading.Thread(target=self._listen, name="run-template", daemon=True).start()
        self._is_ready = False

    def is_current(self) -> bool:
        """Does it live, and is its code what is on disk?"""
        return self._process.poll() is None and self._code == code_on_disk()

    def start(self, run_id: str, arguments: str) -> None:
        """Fork a process that executes a run.

        Args:
            run_id: The run.
            arguments: Dagster's `ExecuteRunArgs` of it, serialised.

        Raises:
            TemplateError: the definitions cannot be loaded, or the template ended.
        """
        if not self._is_ready:
            self._answer(LOAD_SECONDS)
            self._is_ready = True
        try:
            self._input.write(json.dumps({"run_id": run_id, "arguments": arguments}) + "\n")
            self._input.flush()
        except OSError as error:
            raise TemplateError(f"The process that runs are forked from is gone: {error}.") from error
        self._answer(FORK_SECONDS)

    def let_go(self) -> None:
        """Take no more runs from it; it ends when the last of its runs has."""
        self._input.close()

    @property
    def _input(self) -> Any:
        return self._process.stdin

    def _answer(self, seconds: float) -> None:
        """Wait until it has loaded, or forked."""
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            self._process.kill()
            raise TemplateError(f"The process that runs are forked from was silent for {seconds:.0f} s.") from None
        if "error" in answer:
            raise TemplateError(answer["error"])

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            said = json.loads(line)
            if "exit" in said:
                try:
                    self._on_exit(Exit(**said["exit"]))
                except Exception:  # noqa: BLE001 - whatever Dagster's storage raises
                    # A database that was busy: the next answer must still be heard.
                    _LOG.exception("The end of run %s could not be noted.", said["exit"]["run_id"])
            else:
                self._answers.put(said)
        code = self._process.wait()
        self._answers.put({"error": f"The process that runs are forked from ended ({code}); Dagster's log says why."})


def code_on_disk() -> dict[str, int]:
    """Each file that definitions are made of, with the time of its last change (ns)."""
    files = [path for path in (PROJECT_ROOT / "lakehouse").rglob("*") if path.suffix in {".py", ".yaml"}]
    return {str(path): path.stat().st_mtime_ns for path in (*files, MANIFEST) if path.exists()}
