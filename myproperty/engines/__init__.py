"""The embedded engines, PostgreSQL and the BigQuery emulator: start, stop and find them.

Callers use the functions of this package: `engines.up(settings)`, `engines.dsn(settings)`.
"""

from myproperty.engines.environment import (
    Status,
    account,
    describe_accounts,
    down,
    dsn,
    login_dsn,
    make_passwords,
    reader_dsn,
    status,
    up,
)
from myproperty.engines.errors import EngineError

__all__ = [
    "EngineError",
    "Status",
    "account",
    "describe_accounts",
    "down",
    "dsn",
    "login_dsn",
    "make_passwords",
    "reader_dsn",
    "status",
    "up",
]
