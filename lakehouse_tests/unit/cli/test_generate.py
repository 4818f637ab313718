"""`lakehouse generate`: as many events as asked for, the same for a seed, in bounded memory, whole or not at all."""

import gzip
import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lakehouse.cli import generate
from lakehouse.contracts.load import load_stream
from lakehouse.sources.event_check import broken_promises


def test_events_keep_the_contract_and_repeat_with_the_seed(tmp_path: Path) -> None:
    texts = []
    for name in ("a.jsonl", "b.jsonl.gz"):
        done = CliRunner().invoke(generate.app, ["--records", "2500", "--seed", "7", "--file", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        raw = (tmp_path / name).read_bytes()
        texts.append((gzip.decompress(raw) if name.endswith("gz") else raw).splitlines())
    assert [len(lines) for lines in texts] == [2500, 2500]
    ids = [[json.loads(line)["order_id"] for line in lines] for lines in texts]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2500
    assert not any(broken_promises(load_stream("sales"), texts[0][:200]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "b.jsonl.gz"]


def test_shares_are_met_and_every_event_is_one_line() -> None:
    arguments = ["--records", "400", "--seed", "1", "--bad-share", "0.1", "--duplicate-share", "0.05"]
    lines = CliRunner().invoke(generate.app, arguments).stdout_bytes.split(b"\n")[:-1]
    assert len(lines) == 400
    bad = sum(bool(names) for names in broken_promises(load_stream("sales"), lines))
    assert bad == pytest.approx(40, abs=4)
    other = CliRunner().invoke(generate.app, ["--records", "5", "--stream", "system_metrics"])
    assert len(other.stdout.splitlines()) == 5


MEASURE = """
import resource, sys
from lakehouse.cli.generate import app
try:
    app(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_number_of_records(tmp_path: Path) -> None:
    """Forty times the records, and less than 25 MB more; kept in memory they would be 75 MB."""
    assert resource.getpagesize()
    peaks = []
    for records in (5_000, 200_000):
        command = [sys.executable, "-c", MEASURE, "--records", str(records), "--file", str(tmp_path / "out.jsonl")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout.split()[-1]))
    assert peaks[1] - peaks[0] < 25_000
    assert (tmp_path / "out.jsonl").stat().st_size > 50_000_000
