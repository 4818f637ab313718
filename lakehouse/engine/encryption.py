"""Whether a connection that leaves this machine must be encrypted. Here: the one rule. Not here: making connections."""

from ipaddress import ip_address

from lakehouse.errors import SettingsError
from lakehouse.settings import Settings


def require_encrypted(settings: Settings, *, what: str, host: str, is_encrypted: bool, fix: str) -> None:
    """Refuse a connection in plain text when LAKEHOUSE_REQUIRE_TLS says so; what stays on this machine is let be.

    Args:
        settings: With the switch.
        what: The connection, for the message: "Kafka at broker:9092".
        host: Name or address of the other end.
        is_encrypted: Whether the connection would be.
        fix: How to encrypt it.

    Raises:
        SettingsError: before anything was sent.
    """
    if settings.require_tls and not is_encrypted and not is_this_machine(host):
        raise SettingsError(f"{what} would not be encrypted, and LAKEHOUSE_REQUIRE_TLS is on.", fix=fix)


def is_this_machine(host: str) -> bool:
    """True for a loopback name or address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
