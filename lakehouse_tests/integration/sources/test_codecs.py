"""Every codec on the real broker, read back by Spark; several producers at once."""

import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer import Exit

from lakehouse.cli.produce import sales as produce_sales
from lakehouse.kafka.offsets import read_topic_state
from lakehouse.lake.drain import drain
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse_tests.streams import sales_on

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
# As the broker writes them into a batch's header.
CODES = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def codes_on_disk(home: Path, topic: str) -> list[int]:
    """The codec of each record batch in the broker's own files."""
    found = []
    for log in home.rglob(f"{topic}-*/*.log"):
        content, position = log.read_bytes(), 0
        while position + 23 <= len(content):
            (length,) = struct.unpack_from(">i", content, position + 8)
            (attributes,) = struct.unpack_from(">h", content, position + 21)
            found.append(attributes & 7)
            position += 12 + length
    return found


def test_every_codec_arrives_in_silver(
    stack: Settings, settings: Settings, topic_name: Callable[[str], str], tmp_path: Path
) -> None:
    contract = sales_on(settings, topic_name("codecs"))
    topic = contract.topic.name
    used = set()
    for seed, codec in enumerate(CODES):
        file = tmp_path / f"{codec}.json"
        file.write_text(json.dumps({"local": {"producer": {"compression.type": codec}}}), encoding="utf-8")
        with pytest.raises(Exit) as ended:
            produce_sales(config=file, topic=topic, count=300, burst=True, seed=seed)
        assert ended.value.exit_code == 0
        fresh = set(codes_on_disk(stack.home, topic)) - used
        assert fresh == {CODES[codec]}
        used |= fresh
    drain(contract, settings, budget_seconds=240, idle_seconds=0)
    (proof,) = verify(settings, [contract]).proofs
    assert (proof.bronze, proof.silver, proof.quarantined) == (1_500, 1_500, 0)


def test_several_instances_share_the_count_and_no_order(settings: Settings, topic_name: Callable[[str], str]) -> None:
    contract = sales_on(settings, topic_name("instances"))
    topic = contract.topic.name
    command = [sys.executable, "-m", "lakehouse.cli.main", "produce", "sales", "--topic", topic, "--burst"]
    done = subprocess.run(
        [*command, "--instances", "3", "--count", "1000", "--seed", "5", "--bad-share", "0.1", "--json"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["sent"], summary["failed"], summary["instances"]) == (1_000, 0, 3)
    assert 95 <= summary["bad"] <= 100
    assert sum(read_topic_state(settings, topic).end.values()) == 1_000
    failed = subprocess.run(
        [*command[:-3], "--topic", f"{topic}x", "--instances", "2", "--count", "4", "--json"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert failed.returncode == 1
    assert "There is no topic" in failed.stderr
