"""Ports for servers that are started and started again on one machine."""

from random import SystemRandom
from socket import socket

_LOOPBACK = "127.0.0.1"
_CHOICE = range(12_000, 32_000)
"""Below the ports that Linux gives to outgoing connections (32768 to 60999): a server that is gone for a second finds
its port free when it comes back."""


def free_ports(count: int) -> list[int]:
    """Ports of loopback, each another, that nobody listens on now."""
    found: list[int] = []
    for port in SystemRandom().sample(_CHOICE, len(_CHOICE)):
        if len(found) == count:
            break
        with socket() as probe:
            try:
                probe.bind((_LOOPBACK, port))
            except OSError:
                continue
        found.append(port)
    return found
