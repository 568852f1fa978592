"""The settings of every embedded PostgreSQL, and the files in which settings and passwords are kept."""

import os
from collections.abc import Mapping
from pathlib import Path

SERVER_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    # Only TCP: the path of a socket is limited to 107 bytes, which a deep home exceeds.
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "200",
    # A query over all daily partitions locks each of them and its index.
    "max_locks_per_transaction": "512",
    "fsync": "on",
    # Else a day of many readings ends in a checkpoint every few seconds. A small home never uses it.
    "max_wal_size": "4GB",
    "shared_buffers": "256MB",
    # A statement ends soon after its client, and a killed run holds no locks. A lost machine takes minutes.
    "client_connection_check_interval": "2s",
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "6",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    # The log holds no rows: neither the statement of an error nor the values of a violated key.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}


def write_settings(values: Mapping[str, str]) -> str:
    """Return the lines of a configuration file of PostgreSQL."""
    quoted = ((name, value.replace("'", "''")) for name, value in values.items())
    return "".join(f"{name} = '{value}'\n" for name, value in quoted)


def write_secret(file: Path, text: str) -> None:
    """Write a file that only this account may read, in place of an older one."""
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(text)
