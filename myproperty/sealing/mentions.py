"""Find the texts of a tenant that name a person: by e-mail address, name and numbers, or by given words.

Here: reading. Not here: clearing what is found (`erasure`), or which columns are searched
(`myproperty.personal`).
"""

import json
import re
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from myproperty.personal import DOCUMENTS, FIELDS, OF_RESIDENTS, Protection, searched_columns
from myproperty.sealing import cipher
from myproperty.sealing.errors import SealingError
from myproperty.sealing.keyring import Keyring
from myproperty.sealing.store import Mention

# A shorter word is in the texts of others.
SHORTEST_WORD = 4
# One pattern holds so many words; all people of a tenant have more.
_WORDS_AT_ONCE = 200

_NAMES: LiteralString = """
    select 'email' as field, id, email::text as clear, null::bytea as sealed from myproperty.users
    where tenant_id = %(tenant)s and status <> 'erased' and (%(user)s::uuid is null or id = %(user)s)
    union all
    select 'full_name', id, null, full_name from myproperty.users
    where tenant_id = %(tenant)s and full_name is not null and (%(user)s::uuid is null or id = %(user)s)
    union all
    select 'destination', id, null, destination from myproperty.notification_preferences
    where tenant_id = %(tenant)s and destination is not null
      and (%(user)s::uuid is null or user_id = %(user)s)
"""
_TABLES = {"full_name": "users", "destination": "notification_preferences"}


def names_of(keys: Keyring, tenant: uuid.UUID, user: uuid.UUID | None) -> tuple[list[str], int]:
    """Return the addresses, names and numbers of a person, or of everyone, and how many could not be read.

    Call it before the keys are destroyed. Those of an erased person are gone.
    """
    with keys.as_tenant(tenant) as connection:
        rows = connection.execute(_NAMES, {"tenant": tenant, "user": user}).fetchall()
    names, unread = [], 0
    for row in rows:
        if row.clear is not None:
            names.append(row.clear)
            continue
        try:
            place = cipher.Place(tenant, _TABLES[row.field], row.field, row.id)
            key = keys.find(tenant, cipher.key_id_of(row.sealed))
            names.append(cipher.unseal(row.sealed, key.secret, place))
        except SealingError:
            unread += 1
    return [name for name in dict.fromkeys(names) if len(name.strip()) >= SHORTEST_WORD], unread


def check_words(words: Sequence[str]) -> list[str]:
    """Return the words without spaces around them. Raises `SealingError` for a short one."""
    stripped = [word.strip() for word in words]
    short = [word for word in stripped if len(word) < SHORTEST_WORD]
    if short:
        raise SealingError(
            f"{short[0]!r} has fewer than {SHORTEST_WORD} letters and is in the texts of others too: "
            f"give a longer --word, such as the name in full"
        )
    return stripped


def pattern_of(words: Sequence[str], *, is_whole: bool = True) -> str:
    """Return a regular expression, for Python and PostgreSQL, that finds any of the words, as whole words."""
    any_of = "|".join(re.sub(r"(\\?\s)+", r"\\s+", re.escape(word)) for word in words)
    return rf"(?<!\w)(?:{any_of})(?!\w)" if is_whole else f"(?:{any_of})"


def find_mentions(
    connection: psycopg.Connection[Any], tenant: uuid.UUID, words: Sequence[str], *, is_staff: bool
) -> list[Mention]:
    """Return the texts of the tenant that have one of the words, in any case of letters.

    The tickets of the company are not searched for its staff.
    """
    columns = [
        column
        for column in searched_columns()
        if not (is_staff and column.rpartition(".")[0] in OF_RESIDENTS)
    ]
    found: dict[Mention, None] = {}
    for start in range(0, len(words), _WORDS_AT_ONCE):
        some = words[start : start + _WORDS_AT_ONCE]
        for column in columns:
            search = _search_documents if column in DOCUMENTS else _search_texts
            found |= dict.fromkeys(search(connection, tenant, column, some))
    return list(found)


def count_in_books(
    connection: psycopg.Connection[Any], tenant: uuid.UUID, words: Sequence[str]
) -> dict[str, int]:
    """Return how many texts of the books name the person, by column; they are kept."""
    books = [field.column for field in FIELDS if field.protection is Protection.BOOKS]
    counts = {
        column: len(
            {
                mention.id
                for start in range(0, len(words), _WORDS_AT_ONCE)
                for mention in _search_texts(
                    connection, tenant, column, words[start : start + _WORDS_AT_ONCE]
                )
            }
        )
        for column in books
    }
    return {column: count for column, count in counts.items() if count}


def _search_texts(
    connection: psycopg.Connection[Any], tenant: uuid.UUID, field: str, words: Sequence[str]
) -> Iterator[Mention]:
    schema, table, column = field.split(".")
    query = sql.SQL("select id from {} where tenant_id = %s and {} ~* %s").format(
        sql.Identifier(schema, table), sql.Identifier(column)
    )
    for row in connection.execute(query, (tenant, pattern_of(words))):
        yield Mention(field, row.id, None)


def _search_documents(
    connection: psycopg.Connection[Any], tenant: uuid.UUID, field: str, words: Sequence[str]
) -> Iterator[Mention]:
    """Find documents in the database by the words as JSON writes them, and the places in each by Python."""
    schema, table, column = field.split(".")
    written = [json.dumps(word, ensure_ascii=False)[1:-1] for word in words]
    query = sql.SQL(
        "select id, {column} as document from {table} where tenant_id = %s and {column}::text ~* %s"
    )
    statement = query.format(table=sql.Identifier(schema, table), column=sql.Identifier(column))
    pattern = re.compile(pattern_of(words), re.IGNORECASE)
    for row in connection.execute(statement, (tenant, pattern_of(written, is_whole=False))):
        for path in _find_paths(row.document, pattern):
            yield Mention(field, row.id, path)


def _find_paths(
    document: Any, pattern: re.Pattern[str], path: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    match document:
        case dict():
            for key, value in document.items():
                if pattern.search(key):
                    yield (*path, key)
                else:
                    yield from _find_paths(value, pattern, (*path, key))
        case list():
            for place, value in enumerate(document):
                yield from _find_paths(value, pattern, (*path, str(place)))
        case _:
            if pattern.search(str(document)):
                yield path
