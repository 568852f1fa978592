"""Erase a person or a tenant: destroy their keys, and replace their clear text in the database.

First the database changes, in one transaction; from then on no process uses the keys. Then a tombstone
replaces each key file. Every function may run again, and completes an interrupted run. Not here: which texts
name a person (`mentions`), or what pages and logs still hold (`remains`).
"""

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from myproperty.sealing.errors import SealingError
from myproperty.sealing.keyring import Keyring
from myproperty.sealing.mentions import check_words, count_in_books, find_mentions, names_of
from myproperty.sealing.store import KeyName, Mention, Tombstone, read_mentions, subject

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
PEOPLE = """
    select id from myproperty.users
    where tenant_id = %(tenant)s and (%(users)s::uuid[] is null or id = any (%(users)s))
"""
ERASE_TEXTS = "select place, texts from audit.erase_texts(%(people)s, %(named)s) where texts > 0"
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
# On one key of the person, or of the tenant.
REMEMBER_TEXTS = """
    update myproperty.data_keys set erased_texts = erased_texts || %(named)s
    where tenant_id = %(tenant)s and id = (
        select id from myproperty.data_keys
        where tenant_id = %(tenant)s and user_id is not distinct from %(user)s order by id limit 1
    )
"""
MARK_DESTROYED = """
    insert into myproperty.data_keys
        (id, tenant_id, user_id, status, destroyed_at, destroyed_because, erased_texts)
    select %(id)s, %(tenant)s, %(user)s, 'destroyed', %(at)s, %(because)s, %(named)s
    where %(user)s::uuid is null or exists (select from myproperty.users where id = %(user)s)
    on conflict (id) do update set
        status = 'destroyed', destroyed_at = excluded.destroyed_at,
        destroyed_because = excluded.destroyed_because, erased_texts = excluded.erased_texts
    where data_keys.destroyed_at is null
"""
DESTROYED = """
    select id, user_id, destroyed_at, destroyed_because, erased_texts from myproperty.data_keys
    where tenant_id = %s and destroyed_at is not null
"""


@dataclass(frozen=True)
class Erased:
    """What was erased, in numbers.

    `people`: whose clear fields were replaced. `key_files`: destroyed. `texts`: cleared, by table.
    `in_books`: texts of the books that name the person and are kept, by column. `unread`: sealed names that
    could not be read, so that no text was searched for them. `names`: what the texts were searched for.
    """

    people: int
    key_files: int
    texts: Mapping[str, int] = field(default_factory=dict)
    in_books: Mapping[str, int] = field(default_factory=dict)
    unread: int = 0
    names: tuple[str, ...] = field(default=(), repr=False)

    def __add__(self, other: "Erased") -> "Erased":
        texts = dict(Counter(self.texts) + Counter(other.texts))
        return Erased(self.people + other.people, self.key_files + other.key_files, texts)


def erase_user(
    keys: Keyring, tenant: uuid.UUID, user: uuid.UUID, because: str, words: Sequence[str] = ()
) -> Erased:
    """Erase one person for good. `because` is kept, so it must not name anyone.

    Texts that name the person, also by one of `words`, are cleared. Raises `SealingError` if the person does
    not exist, the reason is empty or a word is too short.
    """
    query = "select role from myproperty.users where tenant_id = %s and id = %s"
    with keys.as_tenant(tenant) as connection:
        row = connection.execute(query, (tenant, user)).fetchone()
    if row is None:
        raise SealingError(f"{subject(tenant, user)} is not in the database: nothing was erased")
    return _erase(keys, tenant, user, because, words, is_staff=row.role != "resident")


def erase_tenant(keys: Keyring, tenant: uuid.UUID, because: str, words: Sequence[str] = ()) -> Erased:
    """Erase everyone of a tenant, and all values sealed by its own keys. Raises `SealingError`."""
    with keys.as_tenant(tenant) as connection:
        if connection.execute("select from myproperty.tenants where id = %s", (tenant,)).fetchone() is None:
            raise SealingError(f"{subject(tenant, None)} is not in the database: nothing was erased")
    return _erase(keys, tenant, None, because, words, is_staff=False)


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
            people, texts = _erase_again(connection, tenant, of_tenant.get(tenant, []))
        done += Erased(people, _destroy_files(keys, tenant), texts)
    return done


def _erase(
    keys: Keyring,
    tenant: uuid.UUID,
    user: uuid.UUID | None,
    because: str,
    words: Sequence[str],
    *,
    is_staff: bool,
) -> Erased:
    if not because.strip():
        raise SealingError("an erasure needs a reason: give one that does not name the person")
    names, unread = names_of(keys, tenant, user)
    names = [*dict.fromkeys([*names, *check_words(words)])]
    values = {"tenant": tenant, "user": user, "whole": user is None, "because": because.strip()}
    with keys.changing(tenant) as connection:
        named = find_mentions(connection, tenant, names, is_staff=is_staff)
        people, texts = _clear(connection, tenant, None if user is None else [user], named)
        connection.execute(DESTROY_KEYS, values)
        connection.execute(LEAVE_A_TRACE, values)
        if named:
            connection.execute(REMEMBER_TEXTS, {**values, "named": _as_json(named)})
        in_books = count_in_books(connection, tenant, names)
    return Erased(people, _destroy_files(keys, tenant), texts, in_books, unread, tuple(names))


def _erase_again(
    connection: psycopg.Connection[Any], tenant: uuid.UUID, stones: Iterable[Tombstone]
) -> tuple[int, dict[str, int]]:
    users = [stone.name.user for stone in stones]
    people, texts = 0, dict[str, int]()
    if users:
        of_people = [user for user in users if user is not None]
        named = [mention for stone in stones for mention in stone.erased_texts]
        people, texts = _clear(connection, tenant, of_people if len(of_people) == len(users) else None, named)
    for stone in stones:
        values = {
            "id": stone.name.id, "tenant": tenant, "user": stone.name.user, "at": stone.destroyed_at,
            "because": stone.destroyed_because, "named": _as_json(stone.erased_texts),
        }  # fmt: skip
        connection.execute(MARK_DESTROYED, values)
    return people, texts


def _clear(
    connection: psycopg.Connection[Any], tenant: uuid.UUID, users: People, named: Sequence[Mention]
) -> tuple[int, dict[str, int]]:
    """Clear the fields and texts of people, and the texts `named`; return the numbers of both."""
    values = {"tenant": tenant, "users": users}
    connection.execute(CLEAR_PREFERENCES, values)
    cleared = connection.execute(CLEAR_USERS, values).rowcount
    people = [row.id for row in connection.execute(PEOPLE, values)]
    texts: Counter[str] = Counter()
    for row in connection.execute(ERASE_TEXTS, {"people": people, "named": _as_json(named)}):
        texts[row.place] += row.texts
    return cleared, dict(texts)


def _as_json(named: Sequence[Mention]) -> Jsonb:
    return Jsonb([mention.content() for mention in named])


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
            written += _bury(keys, KeyName(row.id, tenant, row.user_id), row)
        # An interrupted creation leaves a key file without a row: it goes with the other keys of its person.
        erased = {row.user_id: row for row in rows}
        whole = erased.get(None)
        for file in keys.store.files(tenant) if rows else ():
            row = whole or erased.get(file.name.user)
            if row is not None and file.name.id not in alive and not isinstance(file, Tombstone):
                written += _bury(keys, file.name, row)
    keys.forget(tenant)
    return written


def _bury(keys: Keyring, name: KeyName, row: Any) -> bool:
    """Replace a key file by a tombstone, or add texts to the tombstone; return whether a key is new to it."""
    texts = tuple(read_mentions(row.erased_texts))
    found = keys.store.find(name)
    if not isinstance(found, Tombstone):
        keys.store.write(Tombstone(name, row.destroyed_at, row.destroyed_because, texts))
        return True
    more = tuple(dict.fromkeys([*found.erased_texts, *texts]))
    if more != found.erased_texts:
        keys.store.write(replace(found, erased_texts=more))
    return False
