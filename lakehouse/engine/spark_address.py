"""The address of a Spark Connect server, `sc://host:port/;parameters`.

Here: its parts, and what of it people may see. Not here: sessions (`engine.spark`).
"""

from urllib.parse import urlsplit

DEFAULT_PORT = 15002


def shown(remote: str) -> str:
    """The address for people: without its parameters, of which one may be a token."""
    return remote.partition("/;")[0]


def address(remote: str) -> tuple[str, int]:
    """Host and port of `sc://host:port/;parameters`."""
    parts = urlsplit(remote)
    return parts.hostname or "localhost", parts.port or DEFAULT_PORT
