"""Every family of sources that the architecture names feeds some stream, as assets of a group of its own."""

from typing import get_args

from lakehouse.contracts.load import load_streams
from lakehouse.contracts.parts import Upstream


def test_every_family_of_sources_feeds_a_stream() -> None:
    declared = {source.family for contract in load_streams().values() for source in contract.upstream}
    assert declared == set(get_args(Upstream.model_fields["family"].annotation))
