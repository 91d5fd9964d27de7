"""Where a webhook may go: to servers of the outside world, never to what stands behind our own walls. Pure.

An endpoint's address is written by somebody else and called by us, from inside our network (server-side request
forgery). So it is looked at twice: as text when it is stored, and as what its name stands for whenever it is called;
and what was looked at is what is then connected to.
"""

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from marketplace.core.errors import Invalid

URL_LENGTH_MAX = 500

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LOCAL_NAMES = ("localhost", "local", "internal", "home.arpa")


class NotOutside(Exception):
    """An address that no webhook may go to."""


def check_url(url: str, *, private: bool) -> str:
    """The URL, when a webhook may be told of it. Raises Invalid naming what is wrong with it.

    private: loopback, then also without TLS, and private networks are allowed.
    """
    if len(url) > URL_LENGTH_MAX or not (url.isascii() and url.isprintable()) or " " in url or "\\" in url:
        raise _refused(f"must be printable ASCII without spaces, at most {URL_LENGTH_MAX} characters")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as fault:
        raise _refused("cannot be read") from fault
    if not host or port == 0 or parts.username is not None or parts.password is not None or parts.fragment:
        raise _refused("must have a host, a port above 0 if any, and neither user, password nor fragment")
    named = host.rstrip(".").lower()
    is_local_name = named == _LOCAL_NAMES[0] or named.endswith(tuple(f".{name}" for name in _LOCAL_NAMES))
    literal = _literal(named)
    is_loopback = named == _LOCAL_NAMES[0] or (literal is not None and literal.is_loopback)
    if parts.scheme != "https" and not (private and is_loopback and parts.scheme == "http"):
        raise _refused("must begin with https://")
    if not private and (is_local_name or (literal is not None and not is_outside(literal))):
        raise _refused("must lead to the outside world, not to loopback or a private network")
    return url


def _refused(reason: str) -> Invalid:
    return Invalid(f"url: {reason}", pointer="/url")


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_outside(address: Address) -> bool:
    """Whether the address is one of the public internet, also by what it carries inside it (NAT64, 6to4, Teredo)."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return is_outside(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
        inner = (address.ipv4_mapped, address.sixtofour, *(address.teredo or ()))
        if not all(is_outside(each) for each in inner if each is not None):
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def check_addresses(scheme: str, host: str, addresses: Sequence[str], *, private: bool) -> None:
    """Raise NotOutside unless all that the host stands for now may be called in this way.

    One bad address is enough: who answers with a public and a private one is trying something.
    """
    for each in addresses:
        address = ipaddress.ip_address(each.partition("%")[0])
        if not private and not is_outside(address):
            raise NotOutside(f"{host} leads to {address}, which is not of the outside world")
        if scheme != "https" and not address.is_loopback:
            raise NotOutside(f"{host} leads to {address}, and only loopback may be called without TLS")
