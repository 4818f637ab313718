"""Process identity: a process id alone proves nothing."""

import os
import subprocess
import sys
import time

import psutil

from lakehouse.engine.embedded import processes
from lakehouse.engine.embedded.processes import Identity

WAITER = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"


def test_reused_process_id_is_not_ours():
    me = processes.identify(os.getpid())
    assert me.is_alive()
    assert not Identity(me.pid, me.created - 3600).is_alive()


def test_zombie_does_not_count_as_alive():
    child = subprocess.Popen([sys.executable, "-c", ""])
    identity = processes.identify(child.pid)
    deadline = time.monotonic() + 10
    while identity.is_alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert psutil.pid_exists(child.pid)
    assert not identity.is_alive()
    child.wait()


def test_end_kills_what_ignores_sigterm():
    child = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    assert processes.end([psutil.Process(child.pid)], 0.3) == 1
    assert not psutil.pid_exists(child.pid)


def test_marked_finds_by_home_and_service():
    home = f"/nowhere/{os.getpid()}"
    child = subprocess.Popen(WAITER, env={**os.environ, processes.MARK: processes.mark("kafka", home)})
    try:
        assert [process.pid for process in processes.marked(home)] == [child.pid]
        assert [process.pid for process in processes.marked(home, ["kafka"])] == [child.pid]
        assert processes.marked(home, ["spark"]) == []
        assert processes.marked(home + "/other") == []
    finally:
        child.kill()
        child.wait()
