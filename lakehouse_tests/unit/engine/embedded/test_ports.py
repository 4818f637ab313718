"""Port choice: a taken port moves us, and its holder is named."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from lakehouse.engine.embedded import ports


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server((ports.LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


def test_free_port_is_kept():
    port = ports.any_free(set())
    assert ports.choose(port, set()) == port


def test_taken_port_moves_to_another(taken):
    assert not ports.is_free(taken)
    chosen = ports.choose(taken, set())
    assert chosen != taken
    assert ports.is_free(chosen)


def test_port_taken_on_every_address_counts_as_taken():
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104 - that is the case under test
        assert not ports.is_free(server.getsockname()[1])


def test_port_promised_to_another_service_is_avoided():
    port = ports.any_free(set())
    assert ports.choose(port, {port}) != port


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
