"""What tests and benchmarks start processes with: an environment without ours, ports that nobody listens on."""

import os
import socket


def clean_environment() -> dict[str, str]:
    """The environment without what would lead a process to a house that is not its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("BELVEDERE", "DJANGO"))}


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
