"""Port choice: a taken port moves us, and its holder is named."""

import os
import socket
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
