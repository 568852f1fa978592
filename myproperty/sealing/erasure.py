"""Erase a person or a tenant: destroy their keys, and replace their clear text in the database.

First the database changes, in one transaction; from then on no process uses the keys. Then a tombstone
replaces each key file. Every function may run again, and completes an interrupted run.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

import psycopg

from myproperty.sealing.errors import SealingError
from myproperty.sealing.keyring import Keyring
from myproperty.sealing.store import KeyName, Tombstone, subject

People = list[uuid.UUID] | None  # None: everyone of the tenant

CLEAR_USERS = """
    update myproperty.users
    set status = 'erased', email = 'erased-' || id || '@invalid', full_name = null, last_login_at = null
    where tenant_id = %(tenant)s and status <> 'erased'
      and (%(users)s::uuid[] is null or id = any (%(users)s))
"""
CLEAR_PREFERENCES = """
    update myproperty.notification_preferences set enabled = false, destination = null
    where tenant_id = %(tenant)s and (%(users)s::uuid[] is null or user_id = any (%(users)s))
      and (enabled or destination is not null)
"""
# The words of a ticket that staff opened belong to the company.
CLEAR_TICKETS = """
    update myproperty.service_tickets as t set summary = '(erased)', description = '', attachments = '[]'
    from myproperty.users as u
    where t.tenant_id = %(tenant)s and u.tenant_id = t.tenant_id and u.id = t.opened_by
      and u.role = 'resident' and (%(users)s::uuid[] is null or u.id = any (%(users)s))
      and (t.summary, t.description, t.attachments) is distinct from ('(erased)', '', '[]'::jsonb)
"""
DESTROY_KEYS = """
    update myproperty.data_keys
    set status = 'destroyed', destroyed_at = now(), destroyed_because = %(because)s
    where tenant_id = %(tenant)s and (%(whole)s or user_id = %(user)s) and destroyed_at is null
"""
# A person without a key gets a destroyed one: its tombstone tells a restored database about the erasure.
LEAVE_A_TRACE = """
    insert into myproperty.data_keys (tenant_id, user_id, status, destroyed_at, destroyed_because)
    select %(tenant)s, %(user)s, 'destroyed', now(), %(because)s
    where not exists (
        select from myproperty.data_keys
        where tenant_id = %(tenant)s and user_id is not distinct from %(user)s
    )
"""
MARK_DESTROYED = """
    insert into myproperty.data_keys (id, tenant_id, user_id, status, destroyed_at, destroyed_because)
    select %(id)s, %(tenant)s, %(user)s, 'destroyed', %(at)s, %(because)s
    where %(user)s::uuid is null or exists (select from myproperty.users where id = %(user)s)
    on conflict (id) do update set
        status = 'destroyed', destroyed_at = excluded.destroyed_at,
        destroyed_because = excluded.destroyed_because
    where data_keys.destroyed_at is null
"""
DESTROYED = """
    select id, user_id, destroyed_at, destroyed_because from myproperty.data_keys
    where tenant_id = %s and destroyed_at is not null
"""


@dataclass(frozen=True)
class Erased:
    """Number of people whose clear fields were replaced, and of destroyed key files."""

    people: int
    key_files: int

    def __add__(self, other: "Erased") -> "Erased":
        return Erased(self.people + other.people, self.key_files + other.key_files)


def erase_user(keys: Keyring, tenant: uuid.UUID, user: uuid.UUID, because: str) -> Erased:
    """Erase one person for good. `because` is kept, so it must not name anyone.

    Raises `SealingError` if the person does not exist or the reason is empty.
    """
    with keys.changing(tenant) as connection:
        query = "select from myproperty.users where tenant_id = %s and id = %s"
        if connection.execute(query, (tenant, user)).fetchone() is None:
            raise SealingError(f"{subject(tenant, user)} is not in the database: nothing was erased")
        people = _erase_rows(connection, tenant, user, because)
    return Erased(people, _destroy_files(keys, tenant))


def erase_tenant(keys: Keyring, tenant: uuid.UUID, because: str) -> Erased:
    """Erase everyone of a tenant, and all values sealed by its own keys. Raises `SealingError`."""
    with keys.changing(tenant) as connection:
        if connection.execute("select from myproperty.tenants where id = %s", (tenant,)).fetchone() is None:
            raise SealingError(f"{subject(tenant, None)} is not in the database: nothing was erased")
        people = _erase_rows(connection, tenant, None, because)
    return Erased(people, _destroy_files(keys, tenant))


def replay(keys: Keyring) -> Erased:
    """Repeat in the database the erasures that only the key store knows, and the reverse.

    Run it after either was restored from a backup: it repeats the erasures made since that backup.
    """
    stones = [file for file in keys.store.files() if isinstance(file, Tombstone)]
    of_tenant = {
        tenant: list(found) for tenant, found in groupby(stones, key=lambda stone: stone.name.tenant)
    }
    done = Erased(0, 0)
    for tenant in keys.tenants():
        with keys.changing(tenant) as connection:
            people = _erase_again(connection, tenant, of_tenant.get(tenant, []))
        done += Erased(people, _destroy_files(keys, tenant))
    return done


def _erase_rows(
    connection: psycopg.Connection[Any], tenant: uuid.UUID, user: uuid.UUID | None, because: str
) -> int:
    if not because.strip():
        raise SealingError("an erasure needs a reason: give one that does not name the person")
    values = {"tenant": tenant, "user": user, "whole": user is None, "because": because.strip()}
    people = _clear(connection, tenant, None if user is None else [user])
    connection.execute(DESTROY_KEYS, values)
    connection.execute(LEAVE_A_TRACE, values)
    return people


def _erase_again(connection: psycopg.Connection[Any], tenant: uuid.UUID, stones: Iterable[Tombstone]) -> int:
    users = [stone.name.user for stone in stones]
    people = 0
    if users:
        named = [user for user in users if user is not None]
        people = _clear(connection, tenant, named if len(named) == len(users) else None)
    for stone in stones:
        values = {
            "id": stone.name.id, "tenant": tenant, "user": stone.name.user, "at": stone.destroyed_at,
            "because": stone.destroyed_because,
        }  # fmt: skip
        connection.execute(MARK_DESTROYED, values)
    return people


def _clear(connection: psycopg.Connection[Any], tenant: uuid.UUID, users: People) -> int:
    values = {"tenant": tenant, "users": users}
    connection.execute(CLEAR_PREFERENCES, values)
    connection.execute(CLEAR_TICKETS, values)
    return connection.execute(CLEAR_USERS, values).rowcount


def _destroy_files(keys: Keyring, tenant: uuid.UUID) -> int:
    """Bury each key that is destroyed in the database, and the key files of its person without a row."""
    with keys.changing(tenant) as connection:
        rows = connection.execute(DESTROYED, (tenant,)).fetchall()
        known = connection.execute(
            "select id from myproperty.data_keys where tenant_id = %s and destroyed_at is null", (tenant,)
        )
        alive = {row.id for row in known}
        written = 0
        for row in rows:
            name = KeyName(row.id, tenant, row.user_id)
            written += _bury(keys, name, row.destroyed_at, row.destroyed_because)
        # An interrupted creation leaves a key file without a row: it goes with the other keys of its person.
        erased = {row.user_id: row for row in rows}
        whole = erased.get(None)
        for file in keys.store.files(tenant) if rows else ():
            row = whole or erased.get(file.name.user)
            if row is not None and file.name.id not in alive:
                written += _bury(keys, file.name, row.destroyed_at, row.destroyed_because)
    keys.forget(tenant)
    return written


def _bury(keys: Keyring, name: KeyName, at: datetime, because: str) -> bool:
    if isinstance(keys.store.find(name), Tombstone):
        return False
    keys.store.write(Tombstone(name, at, because))
    return True
