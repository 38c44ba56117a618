"""Which addresses a sink may connect to: public ones, and the networks that the config lists.

A name is resolved once and every address it has is checked; the caller connects to a
checked address, so that a second answer of the name server cannot lead elsewhere.
"""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from engine.model.errors import Rejected, Retryable

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_MAX_ADDRESSES = 16
_NOT_PUBLIC = tuple(
    ip_network(text)
    for text in (
        "100.64.0.0/10",  # shared address space of carriers, and of some clouds' metadata
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # 6to4 relays
        "168.63.129.16/32",  # Azure's host
        "64:ff9b:1::/48",  # local NAT64: what lies behind is not known
        "fec0::/10",  # site local, withdrawn but routed by some
        "::/96",  # carries an IPv4 address, withdrawn
        "::ffff:0:0/96",  # carries an IPv4 address
        "64:ff9b::/96",  # NAT64, carries an IPv4 address
        "2002::/16",  # 6to4, carries an IPv4 address
        "100::/64",  # discard only
        "2001::/23",  # protocol assignments, Teredo among them
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
    )
)


def refusal(address: Address, allowed: Sequence[Network]) -> str:
    """Return why `address` may not be connected to, or an empty text where it may.

    An IPv6 address that carries an IPv4 one (mapped, NAT64, 6to4) is refused whatever it
    carries; `allowed` must name it in the form that is used.
    """
    if any(address in network for network in allowed):
        return ""
    kinds = (
        (address.is_loopback, "a loopback address"),
        (address.is_link_local, "a link-local address (where clouds serve metadata)"),
        (address.is_multicast, "a multicast address"),
        (address.is_unspecified, "the unspecified address"),
        (any(address in network for network in _NOT_PUBLIC), "not a public address"),
        (address.is_private, "a private address"),
        (address.is_reserved, "a reserved address"),
        (not address.is_global, "not a public address"),
    )
    return next((word for is_so, word in kinds if is_so), "")


async def resolve(host: str, port: int) -> list[Address]:
    """Return the addresses of `host`, in the order of the system's preference.

    Raises:
        Retryable: the name has no address now.
        Rejected: the name cannot be a name.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )
    except UnicodeError:
        raise Rejected(f"'{host}' is no host name") from None
    except OSError as error:
        raise Retryable(f"{host}: {error.strerror or 'the name could not be resolved'}") from None
    addresses = dict.fromkeys(ip_address(str(entry[4][0]).split("%")[0]) for entry in found)
    return list(addresses)[:_MAX_ADDRESSES]


async def checked(host: str, port: int, allowed: Sequence[Network]) -> list[Address]:
    """Return the addresses of `host`, all of which may be connected to.

    Raises:
        Retryable: the name has no address now.
        Rejected: one of its addresses may not be connected to.
    """
    addresses = await resolve(host, port)
    if not addresses:
        raise Retryable(f"{host}: the name has no address")
    for address in addresses:
        if word := refusal(address, allowed):
            raise Rejected(
                f"{host} leads to {address}, which is {word}; "
                "list its network in allow_networks if that is meant"
            )
    return addresses
