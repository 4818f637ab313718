"""A stack that may use one core is started by a thread that may use one core."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from benchmarks.scaling import only


def test_threads_and_processes_that_are_started_meanwhile_have_the_cores_and_no_others() -> None:
    before = os.sched_getaffinity(0)
    core = min(before)
    with only([core]):
        asked = [sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"]
        assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip() == f"{{{core}}}"
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(os.sched_getaffinity, 0).result() == {core}
    assert os.sched_getaffinity(0) == before
