"""Why a process died is told by what it wrote last, not by an error of days ago."""

import os
from pathlib import Path

from lakehouse.engine.embedded.last_words import last_words


def test_the_log_that_was_written_last_tells_the_reason(tmp_path: Path) -> None:
    log, output = tmp_path / "kafka.log", tmp_path / "kafka.out"
    log.write_text("2026-11-30 ERROR The controller moved.\n2026-11-30 INFO Shut down.\n", encoding="utf-8")
    output.write_text("Error: Could not find or load main class kafka.Kafka\n", encoding="utf-8")
    os.utime(log, (1_000, 1_000))
    assert last_words([log, output]) == "Error: Could not find or load main class kafka.Kafka"
    os.utime(output, (500, 500))
    assert last_words([log, output]) == "2026-11-30 ERROR The controller moved."


def test_a_log_without_an_error_leaves_it_to_the_other_one(tmp_path: Path) -> None:
    log, output = tmp_path / "spark.log", tmp_path / "spark.out"
    log.write_text("ERROR No space left on device\n", encoding="utf-8")
    output.write_text("started\n", encoding="utf-8")
    os.utime(log, (1_000, 1_000))
    assert last_words([log, output]) == "ERROR No space left on device"
    assert last_words([output, tmp_path / "missing"]) is None


def test_what_java_says_of_its_options_comes_with_its_heading(tmp_path: Path) -> None:
    output = tmp_path / "spark.out"
    said = "Error occurred during initialization of VM\nInitial heap size set to a larger value than the maximum"
    output.write_text(f"{said} heap size\n", encoding="utf-8")
    assert last_words([output]) == f"{said.replace(chr(10), ': ')} heap size"
