"""A tenant with sealed fields in a database, and the actions of its application."""

import base64
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from myproperty.sealing import (
    Keyring,
    Sealer,
    SealingError,
)
from myproperty.sealing.store import KeyFile, KeyStore
from myproperty.settings import Settings

MASTER = bytes(range(32))
ANN, PHONE, WORDS = "Ann Example Ångström", "+61 491 570 006", "My heating bill is too high, says Ann"
BECAUSE = "asked for by the person"
SEALED = b"\x01" + bytes(44)
NAME: dict[str, Any] = {"table": "users", "column": "full_name"}
DESTINATION: dict[str, Any] = {"table": "notification_preferences", "column": "destination"}
CONTENT: dict[str, Any] = {"table": "agent_messages", "column": "content"}


def master_setting(**keys: bytes) -> SecretStr:
    return SecretStr(",".join(f"{name}:{base64.b64encode(key).decode()}" for name, key in keys.items()))


def settings_of(home: Path, **keys: bytes) -> Settings:
    given = keys or {"a": MASTER}
    return Settings(home=home, oltp_dsn="postgresql://of-the-test", master_keys=master_setting(**given))


@dataclass
class SealedCompany:
    """A tenant in a database, and the actions of its application."""

    dsn: str
    settings: Settings
    name: str = field(default_factory=lambda: f"Tenant {uuid.uuid4().hex[:8]}")
    id: uuid.UUID = field(default_factory=uuid.uuid4)

    def __post_init__(self) -> None:
        with psycopg.connect(self.dsn) as connection:
            connection.execute(
                "insert into myproperty.tenants (id, name, region) values (%s, %s, 'AU')",
                (self.id, self.name),
            )

    def sealer(self, **others: Any) -> Sealer:
        return Sealer(self.dsn, self.settings, **others)

    def keys(self) -> Keyring:
        return Keyring(self.dsn, self.settings)

    @contextmanager
    def application(self) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(self.dsn) as connection:
            connection.execute("set local role myproperty_app")
            connection.execute("select set_config('app.tenant_id', %s, true)", (str(self.id),))
            yield connection

    def one(self, query: str, *parameters: object) -> Any:
        with self.application() as connection:
            row = connection.execute(query.encode(), parameters).fetchone()
        return None if row is None else row[0]

    def person(self, email: str) -> uuid.UUID:
        found: uuid.UUID = self.one(
            "insert into myproperty.users (tenant_id, email, role) values (%s, %s, 'resident') returning id",
            self.id,
            email,
        )
        return found

    def named(self, sealer: Sealer, email: str, name: str) -> uuid.UUID:
        user = self.person(email)
        sealed = sealer.seal(name, tenant=self.id, user=user, row=user, **NAME)
        self.one("update myproperty.users set full_name = %s where id = %s returning id", sealed, user)
        return user

    def name_of(self, sealer: Sealer, user: uuid.UUID) -> str:
        sealed = self.one("select full_name from myproperty.users where id = %s", user)
        return sealer.unseal(sealed, tenant=self.id, row=user, **NAME)

    def key_rows(self, user: uuid.UUID | None) -> list[str]:
        query = """
            select array_agg(status order by created_at, id) from myproperty.data_keys
            where user_id is not distinct from %s
        """
        return self.one(query, user) or []

    def files(self) -> list[KeyFile]:
        return list(KeyStore(self.settings.key_store).files(self.id))


def fails_after(writes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk of the key store fill up after this number of further files."""
    original, left = KeyStore.write, [writes]

    def write(self: KeyStore, file: KeyFile) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise SealingError("disk full")
        original(self, file)

    monkeypatch.setattr(KeyStore, "write", write)
