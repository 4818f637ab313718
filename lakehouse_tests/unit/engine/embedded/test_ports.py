"""Port choice: a taken port moves us, and its holder is named."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.engine.embedded import ports


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server((ports.LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def promises(tmp_path: Path) -> Iterator[ports.Promises]:
    with ports.Promises(tmp_path / "ports") as made:
        yield made


def test_free_port_is_kept(promises):
    port = ports.any_free(set())
    assert ports.choose(port, set(), promises) == port


def test_taken_port_moves_to_another(taken, promises):
    assert not ports.is_free(taken)
    chosen = ports.choose(taken, set(), promises)
    assert chosen != taken
    assert ports.is_free(chosen)


def test_port_taken_on_every_address_counts_as_taken():
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104 - that is the case under test
        assert not ports.is_free(server.getsockname()[1])


def test_port_promised_to_another_service_is_avoided(promises):
    port = ports.any_free(set())
    assert ports.choose(port, {port}, promises) != port


def test_a_port_promised_to_another_stack_is_avoided_until_that_one_listens(tmp_path):
    port = ports.any_free(set())
    with ports.Promises(tmp_path / "ports") as ours:
        assert ports.choose(port, set(), ours) == port
        with ports.Promises(tmp_path / "ports") as theirs:
            assert ports.choose(port, set(), theirs) != port
    with ports.Promises(tmp_path / "ports") as theirs:
        assert ports.choose(port, set(), theirs) == port


def test_without_a_folder_for_promises_ports_are_chosen_all_the_same(tmp_path):
    (tmp_path / "file").touch()
    port = ports.any_free(set())
    with ports.Promises(tmp_path / "file" / "ports") as promises:
        assert ports.choose(port, set(), promises) == port


def test_holder_is_named(taken):
    assert f"pid {os.getpid()}" in ports.holder(taken)


def test_who_listens_is_told_from_who_does_not(taken):
    assert ports.is_held_by(taken, os.getpid())
    assert not ports.is_held_by(ports.any_free({taken}), os.getpid())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert not ports.is_held_by(taken, other.pid), "another process has the port"
        other.communicate(b"\n")
    assert not ports.is_held_by(taken, other.pid), "nor has one that is gone"


def test_a_port_of_a_child_is_the_services(tmp_path):
    """PostgreSQL and others start helpers; a launcher may leave the listening to its child."""
    told = tmp_path / "port"
    serve = (
        "import pathlib, socket, time; server = socket.create_server(('127.0.0.1', 0)); "
        f"pathlib.Path({str(told)!r}).write_text(str(server.getsockname()[1])); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", serve]) as child:
        try:
            while not told.exists() or not told.read_text():
                time.sleep(0.02)
            assert ports.is_held_by(int(told.read_text()), os.getpid())
        finally:
            child.kill()
