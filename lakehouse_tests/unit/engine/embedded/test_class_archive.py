"""Class archives: only a verified one is used, and a Java that cannot make one starts without."""

import os
import stat
import time
from pathlib import Path

import pytest

from lakehouse.engine.embedded.class_archive import DUMP_TIMEOUT_SECONDS, ClassArchive, stop_seconds
from lakehouse.engine.embedded.java import Java

SCRIPT = """#!/bin/sh
for argument in "$@"; do
  case "$argument" in
    -Xshare:dump) dump=1 ;;
    -XX:SharedArchiveFile=*) file="${argument#*=}" ;;
  esac
done
if [ -n "$dump" ]; then echo base > "$file"; exit 0; fi
grep -q whole "${file##*:}"
"""


@pytest.fixture
def java(tmp_path: Path) -> Java:
    """Makes a base archive, and verifies an archive that says `whole`."""
    path = tmp_path / "java"
    path.write_text(SCRIPT, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Java(path, "21.0.8", "test")


def archive(tmp_path: Path, java: Java, *, may_record: bool = True, owner: str = "home") -> ClassArchive:
    return ClassArchive(tmp_path / "cache", java, "a.jar", [], owner=owner, may_record=may_record)


def recording(options: list[str]) -> Path:
    return Path(next(option for option in options if "AtExit" in option).partition("=")[2])


def test_first_run_records_and_the_next_uses_it(tmp_path, java):
    draft = recording(archive(tmp_path, java).java_options())
    draft.write_text("whole", encoding="utf-8")
    options = archive(tmp_path, java).java_options()
    assert any("classes.jsa" in option for option in options)
    assert not any("AtExit" in option for option in options)


def test_a_service_that_records_gets_time_to_write(tmp_path, java):
    options = archive(tmp_path, java).java_options()
    assert stop_seconds(options, 10) > 30
    Path(recording(options)).write_text("whole", encoding="utf-8")
    assert stop_seconds(archive(tmp_path, java).java_options(), 10) == 10


def test_torn_recording_is_thrown_away_and_recorded_again(tmp_path, java):
    draft = recording(archive(tmp_path, java).java_options())
    draft.write_text("torn", encoding="utf-8")
    options = archive(tmp_path, java).java_options()
    assert not draft.exists()
    assert recording(options) == draft


def test_what_another_stack_recorded_is_used_once_it_is_surely_finished_and_kept_once(tmp_path, java):
    drafts = [recording(archive(tmp_path, java, owner=owner).java_options()) for owner in ("scratch", "other")]
    for draft in drafts:
        draft.write_text("whole", encoding="utf-8")
    assert recording(archive(tmp_path, java).java_options()), "one may still be writing"
    for draft in drafts:
        os.utime(draft, (0, time.time() - DUMP_TIMEOUT_SECONDS - 1))
    options = archive(tmp_path, java).java_options()
    assert any("classes.jsa" in option for option in options)
    assert [draft for draft in drafts if draft.exists()] == [], "220 MB each, and nobody would ever look at them"


def test_run_that_may_not_record_still_uses_the_base(tmp_path, java):
    options = archive(tmp_path, java, may_record=False).java_options()
    assert any("base.jsa" in option for option in options)
    assert not any("AtExit" in option for option in options)


def test_a_tool_that_ends_at_once_is_not_recorded(tmp_path, java):
    options = archive(tmp_path, java).java_options(is_service=False)
    assert any("base.jsa" in option for option in options)
    assert not any("AtExit" in option for option in options)


@pytest.mark.parametrize("version", ["17.0.15", "21.0.8"])
def test_java_that_cannot_make_an_archive_starts_without(tmp_path, version):
    assert archive(tmp_path, Java(tmp_path / "no-java", version, "test")).java_options() == []
