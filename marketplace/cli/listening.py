"""Sockets that commands listen on, apart from the application, which takes longer to import than a processor's."""

import socket

from marketplace.core.errors import Conflict


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises Conflict naming the address when something else does already."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as fault:
        raise Conflict(f"cannot listen on {host}:{port}: {fault.strerror}; name another with --port") from fault
