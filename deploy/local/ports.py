"""Are the ports free, and if not, who has them?

In:    port numbers of this machine.
Out:   nothing, or `PortTaken` with the holder's name where the system tells it.
Never: a port opened for longer than the look takes.
"""

import socket
from collections.abc import Mapping

import psutil

from deploy.local.faults import PortTaken


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def check(ports: Mapping[int, tuple[str, str]]) -> None:
    """`ports`: number -> (what for, which setting changes it). Raises PortTaken for the first one that is taken."""
    for port, (purpose, setting) in ports.items():
        if not is_free(port):
            raise PortTaken(f"port {port}, needed for {purpose}, is taken{_by(port)}; stop that program, or choose "
                            f"another port with {setting}")


def _by(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        return ""
    return ""
