"""Which addresses mail may be sent to: never into the machine or the network that we stand in.

Anybody can point an MX at 127.0.0.1 or 169.254.169.254; without the guard an MTA carries text of a stranger's
choosing to services that trust their neighbours.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052 section 2.1
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")  # RFC 8215
_GLOBAL_UNICAST = IPv6Network("2000::/3")  # RFC 4291 section 2.4 and the IANA registry


def is_public(ip: str | IPv4Address | IPv6Address) -> bool:
    """Whether ``ip`` is a public unicast address; a text that is no address is not.

    IPv6 addresses that carry an IPv4 address (mapped, NAT64, 6to4, Teredo) are judged by what they carry too.
    """
    try:
        address = ip_address(ip)
    except ValueError:
        return False
    if isinstance(address, IPv4Address):
        return _is_public_unicast(address)
    if address.scope_id is not None or address in _LOCAL_NAT64:
        return False
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address.sixtofour is not None:
        return is_public(address.sixtofour)
    if address.teredo is not None:
        return False
    return address in _GLOBAL_UNICAST and _is_public_unicast(address)


def _is_public_unicast(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global and not (
        address.is_multicast
        or address.is_reserved
        or address.is_loopback
        or address.is_link_local
        or address.is_private
        or address.is_unspecified
    )
