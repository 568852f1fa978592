"""Keep the rows of `myproperty.data_keys` and the files of the key store consistent.

A master key wraps the key of each tenant; the tenant's key wraps one key for each person. Every change to the
keys of a tenant takes the tenant's lock, so changes never interleave.
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from cryptography.exceptions import InvalidTag
from psycopg import errors
from psycopg.rows import namedtuple_row

from myproperty.database.locks import lock_data_keys
from myproperty.database.roles import APP_ROLE, OPERATOR_ROLE
from myproperty.sealing import cipher
from myproperty.sealing.errors import SealingError, erased
from myproperty.sealing.master import MasterKeys, master_keys
from myproperty.sealing.store import KeyName, KeyStore, Tombstone, WrappedKey, subject
from myproperty.settings import Settings

# Row and file of a key are read again after this time, so a key that another process destroyed is dropped.
TRUST_S = 5.0
# Largest number of keys in memory; above it, keys past TRUST_S are dropped.
KEYS_IN_MEMORY = 10_000
LOCK_TIMEOUT = "10s"
MASTER = "master:"


@dataclass(frozen=True)
class DataKey:
    """A key ready for use: 32 bytes."""

    name: KeyName
    secret: bytes = field(repr=False)


class Keyring:
    """The keys of one database and its key store; one connection, safe to share between threads.

    Raises `SealingError` if a key is not available, `ErasedError` if it was destroyed.
    """

    def __init__(self, dsn: str, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.store = KeyStore(settings.key_store)
        self.masters: MasterKeys = master_keys(settings)
        self._dsn = dsn
        self._clock = clock
        self._lock = threading.RLock()
        self._connection: psycopg.Connection[Any] | None = None
        self._keys: dict[tuple[uuid.UUID, uuid.UUID], tuple[DataKey, float]] = {}
        self._active: dict[tuple[uuid.UUID, uuid.UUID | None], tuple[uuid.UUID, float]] = {}

    def __enter__(self) -> "Keyring":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and forget the keys."""
        with self._lock:
            self._keys.clear()
            self._active.clear()
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    # -- keys

    def active(self, tenant: uuid.UUID, user: uuid.UUID | None) -> DataKey:
        """Return the key for new values of the person, or of the tenant; make it at the first use."""
        with self._lock:
            now = self._clock()
            key_id, trusted_until = self._active.get((tenant, user), (None, now))
            if key_id is None or now >= trusted_until:
                key_id = self._active_id(tenant, user) or self._make(tenant, user)
            key = self.find(tenant, key_id)
            if len(self._active) >= KEYS_IN_MEMORY:
                self._active.clear()
            self._active[tenant, user] = (key_id, now + TRUST_S)
            return key

    def find(self, tenant: uuid.UUID, key_id: uuid.UUID) -> DataKey:
        """Return the key with this id, retired or not."""
        with self._lock:
            now = self._clock()
            known = self._keys.pop((tenant, key_id), None)
            if known is None or now >= known[1]:
                if len(self._keys) >= KEYS_IN_MEMORY:
                    self._keys = {at: held for at, held in self._keys.items() if now < held[1]}
                known = (self._load(tenant, key_id), now + TRUST_S)
            self._keys[tenant, key_id] = known
            return known[0]

    def unwrap(self, file: WrappedKey) -> bytes:
        """Unwrap the key of a key file."""
        if file.wrapped_by.startswith(MASTER):
            master = file.wrapped_by.removeprefix(MASTER)
            if master not in self.masters.keys:
                raise SealingError(
                    f"the key of {file.name.subject} is wrapped by the master key {master}, which is not "
                    f"in MYPROPERTY_MASTER_KEYS: add it there (after the first, it only unwraps)"
                )
            secret, wrapped_by = self.masters.keys[master], f"the master key {master}"
        else:
            parent = self.find(file.name.tenant, uuid.UUID(file.wrapped_by))
            secret, wrapped_by = parent.secret, f"the key {parent.name.id}"
        try:
            return cipher.decrypt(secret, file.wrapped, _bound_to(file.name))
        except InvalidTag:
            raise SealingError(
                f"the key {file.name.id} of {file.name.subject} does not open with {wrapped_by}: either that "
                f"is another key under the same id, or the file in {self.store.url} was changed"
            ) from None

    def wrap(self, name: KeyName, secret: bytes, tenant_key: DataKey | None) -> WrappedKey:
        """Wrap a key with the tenant's key, or with the first master key."""
        wrapping = self.masters.keys[self.masters.first] if tenant_key is None else tenant_key.secret
        by = MASTER + self.masters.first if tenant_key is None else str(tenant_key.name.id)
        return WrappedKey(name, by, cipher.encrypt(wrapping, secret, _bound_to(name)))

    def insert(
        self, connection: psycopg.Connection[Any], tenant: uuid.UUID, user: uuid.UUID | None
    ) -> KeyName:
        """Insert a new active key into `data_keys` and return its name; the caller writes its file."""
        query = "insert into myproperty.data_keys (tenant_id, user_id) values (%s, %s) returning id"
        row = connection.execute(query, (tenant, user)).fetchone()
        assert row is not None
        return KeyName(row.id, tenant, user)

    def forget(self, tenant: uuid.UUID) -> None:
        """Drop the keys of a tenant from memory."""
        with self._lock:
            self._keys = {at: known for at, known in self._keys.items() if at[0] != tenant}
            self._active = {at: known for at, known in self._active.items() if at[0] != tenant}

    def _load(self, tenant: uuid.UUID, key_id: uuid.UUID) -> DataKey:
        query = """
            select user_id, destroyed_at, destroyed_because from myproperty.data_keys
            where tenant_id = %s and id = %s
        """
        with self.as_tenant(tenant) as connection:
            row = connection.execute(query, (tenant, key_id)).fetchone()
        if row is None:
            raise SealingError(
                f"tenant {tenant} has no key {key_id}: the value belongs to another tenant, or was changed"
            )
        name = KeyName(key_id, tenant, row.user_id)
        if row.destroyed_at is not None:
            raise erased(name.subject, row.destroyed_at, row.destroyed_because)
        file = self.store.find(name)
        if file is None:
            raise SealingError(
                f"the key {key_id} of {name.subject} is not in {self.store.url}: restore that file from the "
                f"backup of the key store, or check MYPROPERTY_KEY_STORE_URL"
            )
        if isinstance(file, Tombstone):
            raise file.error()
        if file.name != name:
            raise SealingError(
                f"the key file of {key_id} in {self.store.url} holds the key {file.name.id} of "
                f"{file.name.subject}: files were moved; restore them from the backup of the key store"
            )
        return DataKey(name, self.unwrap(file))

    def _active_id(self, tenant: uuid.UUID, user: uuid.UUID | None) -> uuid.UUID | None:
        with self.as_tenant(tenant) as connection:
            return _active_id(connection, tenant, user)

    def _make(self, tenant: uuid.UUID, user: uuid.UUID | None) -> uuid.UUID:
        """Make the key of the person or tenant, and commit it before it seals anything."""
        tenant_key = None if user is None else self.active(tenant, None)
        with self.changing(tenant) as connection:
            made = _active_id(connection, tenant, user)
            if made is not None:  # another process made it while this one waited for the lock
                return made
            self._refuse_erased(connection, tenant, user)
            name = self.insert(connection, tenant, user)
            self.store.write(self.wrap(name, cipher.new_key(), tenant_key))
            return name.id

    def _refuse_erased(
        self, connection: psycopg.Connection[Any], tenant: uuid.UUID, user: uuid.UUID | None
    ) -> None:
        query = """
            select user_id, destroyed_at, destroyed_because from myproperty.data_keys
            where tenant_id = %s and destroyed_at is not null and (user_id is null or user_id = %s)
        """
        row = connection.execute(query, (tenant, user)).fetchone()
        if row is not None:
            raise erased(subject(tenant, row.user_id), row.destroyed_at, row.destroyed_because)
        # A database restored from an old backup does not know later erasures; the store does.
        stone = self.store.tombstone(tenant, user)
        if stone is not None:
            raise stone.error()
        if user is None:
            query, parameters = "select from myproperty.tenants where id = %s", [tenant]
        else:
            query = "select from myproperty.users where tenant_id = %s and id = %s and status <> 'erased'"
            parameters = [tenant, user]
        if connection.execute(query, parameters).fetchone() is None:
            raise SealingError(
                f"{subject(tenant, user)} is not in the database, or is erased: put the row in and commit it "
                f"before its first value is sealed"
            )

    # -- the database

    @contextmanager
    def changing(self, tenant: uuid.UUID) -> Iterator[psycopg.Connection[Any]]:
        """Run a transaction that holds the tenant's lock, and so may change its keys."""
        with self.as_tenant(tenant) as connection:
            lock_data_keys(connection, tenant)
            yield connection

    @contextmanager
    def as_tenant(self, tenant: uuid.UUID) -> Iterator[psycopg.Connection[Any]]:
        """Run a transaction as the application, under the tenant's policies. Do not nest it."""
        with self._as_role(APP_ROLE) as connection:
            connection.execute("select set_config('app.tenant_id', %s, true)", (str(tenant),))
            yield connection

    @contextmanager
    def across_tenants(self) -> Iterator[psycopg.Connection[Any]]:
        """Run a transaction that reads all tenants."""
        with self._as_role(OPERATOR_ROLE) as connection:
            yield connection

    def tenants(self) -> list[uuid.UUID]:
        """Return the ids of all tenants."""
        with self.across_tenants() as connection:
            return [row.id for row in connection.execute("select id from myproperty.tenants order by id")]

    def user_id(self, tenant: uuid.UUID, wanted: str) -> uuid.UUID:
        """Find the person of the tenant with this id or e-mail address; return the id."""
        query = """
            select id from myproperty.users
            where tenant_id = %(tenant)s and (id::text = lower(%(wanted)s) or email = %(wanted)s)
        """
        with self.as_tenant(tenant) as connection:
            row = connection.execute(query, {"tenant": tenant, "wanted": wanted}).fetchone()
        if row is None:
            raise SealingError(
                f"tenant {tenant} has no person {wanted!r}: give the id or the e-mail address; an erased "
                f"person has only the id"
            )
        found: uuid.UUID = row.id
        return found

    def inventory(self, tenant: uuid.UUID | None = None) -> list[dict[str, Any]]:
        """Return each key of the tenant, or of all tenants, as the database and the store hold it."""
        query = """
            select k.id, k.tenant_id, t.name as tenant, k.user_id, k.status, k.created_at, k.destroyed_at,
                k.destroyed_because
            from myproperty.data_keys as k
            inner join myproperty.tenants as t on t.id = k.tenant_id
            where %(tenant)s::uuid is null or k.tenant_id = %(tenant)s
            order by t.name, k.user_id nulls first, k.created_at, k.id
        """
        with self.across_tenants() as connection:
            rows = connection.execute(query, {"tenant": tenant}).fetchall()
        return [
            {
                "tenant": row.tenant,
                "person": row.user_id,
                "key": row.id,
                "status": row.status,
                "created": row.created_at,
                "in_store": self._in_store(KeyName(row.id, row.tenant_id, row.user_id)),
                "destroyed": row.destroyed_at,
                "because": row.destroyed_because,
            }
            for row in rows
        ]

    def _in_store(self, name: KeyName) -> str:
        file = self.store.find(name)
        if file is None:
            return "missing"
        return "tombstone" if isinstance(file, Tombstone) else f"wrapped by {file.wrapped_by}"

    @contextmanager
    def _as_role(self, role: str) -> Iterator[psycopg.Connection[Any]]:
        with self._lock:
            connection = self._connected()
            try:
                with connection.transaction():
                    connection.execute(
                        "select set_config('role', %s, true) as r, set_config('lock_timeout', %s, true) as l",
                        (role, LOCK_TIMEOUT),
                    )
                    yield connection
            except errors.LockNotAvailable as error:
                raise SealingError(
                    f"another session has been changing these keys or people for {LOCK_TIMEOUT}: try again "
                    f"later"
                ) from error

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._dsn, autocommit=True, row_factory=namedtuple_row, application_name="myproperty keys"
            )
        return self._connection


def _active_id(
    connection: psycopg.Connection[Any], tenant: uuid.UUID, user: uuid.UUID | None
) -> uuid.UUID | None:
    query = """
        select id from myproperty.data_keys
        where tenant_id = %s and user_id is not distinct from %s and status = 'active'
    """
    row = connection.execute(query, (tenant, user)).fetchone()
    return None if row is None else row.id


def _bound_to(name: KeyName) -> bytes:
    """Return the associated data that binds a wrapped key to its name."""
    return f"data key {name.id} of {name.subject}".encode()
