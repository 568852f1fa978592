"""What an address of a PostgreSQL server says before anything connects to it. No text here quotes one."""

from ipaddress import ip_address


def find_fault(dsn: str, demands_tls: bool) -> str | None:
    """Say what is wrong with an address; None if it may be used."""
    # Settings without an address start without the driver, which takes 0.1 s to import.
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        parts = {key: str(value) for key, value in conninfo_to_dict(dsn).items()}
    except psycopg.ProgrammingError:
        return "is no libpq URI: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with %-codes for marks"
    if not demands_tls or parts.get("sslmode") == "verify-full" or _is_on_this_machine(parts):
        return None
    return (
        "names a server on another machine without a verified connection: add "
        "?sslmode=verify-full&sslrootcert=FILE, where FILE is the certificate of its authority"
    )


def is_loopback(host: str) -> bool:
    """Return whether what is sent to a host stays on this machine: a socket or the loopback."""
    if not host or host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_on_this_machine(parts: dict[str, str]) -> bool:
    # libpq connects to `hostaddr` where there is one, and takes each of a list in turn.
    addresses = (parts.get("hostaddr") or parts.get("host") or "").split(",")
    return all(is_loopback(address) for address in addresses)
