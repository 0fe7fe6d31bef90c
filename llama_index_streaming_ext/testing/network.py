"""Connections that are refused before they are made."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Generator
from typing import Any
from unittest import mock

from llama_index_streaming_ext.errors import StreamingError

_PROXIES = ("all_proxy", "http_proxy", "https_proxy")


class NetworkBlocked(StreamingError):
    """A connection that would have left this machine.

    It is no `OSError`, so that no client takes it for a network that is down.

    Attributes:
        host: the name or the address of the other side.
    """

    def __init__(self, host: str) -> None:
        super().__init__(
            f"A connection to {host} was refused: tests with no_llm_network do not leave this "
            "machine. Hand the code a fake (fake_llm, fake_openai, llm_cassette), or remove "
            "no_llm_network from a test that is meant to go out."
        )
        self.host = host


@contextlib.contextmanager
def no_network() -> Generator[None]:
    """Refuses, while the block runs, every connection of sockets that leaves this machine.

    Names of other hosts are not even resolved. Loopback addresses and Unix sockets go through.
    Proxies of the environment are not used meanwhile: one on this machine would be a way out.

    Raises:
        NetworkBlocked: raised to whoever connects, in any thread and on any asyncio loop that
            uses Python's sockets (uvloop does not).
    """
    getaddrinfo, by_name, by_name_ex = (
        socket.getaddrinfo,
        socket.gethostbyname,
        socket.gethostbyname_ex,
    )

    def refuse(host: str) -> None:
        if not _is_here(host):
            raise NetworkBlocked(host)

    def checked(host: Any, *args: Any, **kwargs: Any) -> Any:
        # An address is resolved by nobody: that it is of another host shows when it is used.
        if host and not _is_address(_text(host)):
            refuse(_text(host))
        return getaddrinfo(host, *args, **kwargs)

    def checked_name(host: str) -> str:
        refuse(host)
        return by_name(host)

    def checked_name_ex(host: str) -> tuple[str, list[str], list[str]]:
        refuse(host)
        return by_name_ex(host)

    kept = {name: value for name, value in os.environ.items() if name.lower() not in _PROXIES}
    with (
        checked_connects(refuse),
        mock.patch.object(socket, "getaddrinfo", checked),
        mock.patch.object(socket, "gethostbyname", checked_name),
        mock.patch.object(socket, "gethostbyname_ex", checked_name_ex),
        mock.patch.dict(os.environ, kept, clear=True),
    ):
        yield


@contextlib.contextmanager
def checked_connects(check: Callable[[str], None]) -> Generator[None]:
    """Calls `check` with the host before a socket connects over IP; what it raises is raised.

    asyncio's own loops connect by the same method.

    Args:
        check: raises where the connection is not to be made.
    """
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def look(sock: socket.socket, address: Any) -> None:
        if sock.family not in (socket.AF_INET, socket.AF_INET6):
            return
        try:
            check(_text(address[0]))
        except BaseException:
            # socket.create_connection closes its socket after an OSError only.
            sock.close()
            raise

    def checked(self: socket.socket, address: Any, /) -> None:
        look(self, address)
        connect(self, address)

    def checked_ex(self: socket.socket, address: Any, /) -> int:
        look(self, address)
        return connect_ex(self, address)

    with (
        mock.patch.object(socket.socket, "connect", checked),
        mock.patch.object(socket.socket, "connect_ex", checked_ex),
        _checked_anyio(check),
    ):
        yield


@contextlib.contextmanager
def _checked_anyio(check: Callable[[str], None]) -> Generator[None]:
    """Check at anyio's door, too: what a socket in it raises would come out as a group."""
    anyio: Any = sys.modules.get("anyio")
    if anyio is None:
        yield
        return
    connect_tcp = anyio.connect_tcp

    async def checked(remote_host: Any, *args: Any, **kwargs: Any) -> Any:
        check(str(remote_host))
        return await connect_tcp(remote_host, *args, **kwargs)

    with mock.patch.object(anyio, "connect_tcp", checked):
        yield


def _text(host: str | bytes) -> str:
    return host.decode("idna") if isinstance(host, bytes) else host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_here(host: str) -> bool:
    """Return True if a host is this machine, as far as can be said without asking anybody."""
    name = host.lower().rstrip(".")
    if not _is_address(name):
        return name in ("", "localhost") or name.endswith(".localhost")
    address = ipaddress.ip_address(name)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    # Connecting to 0.0.0.0 or :: reaches this machine.
    return address.is_loopback or address.is_unspecified
