"""One tenant tries to learn about another one past the policies: the attempts of `side_channels`."""

import re
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from commands.databases import prepare_oltp
from tests.oltp.side_channels import ATTEMPTS, BEFORE, Attempt

pytestmark = pytest.mark.engine
WORD = "zeugma"
# The others take a role on first.
AS_THE_LOGIN = ("role", "statements")


@pytest.fixture(scope="module")
def words(oltp_dsn: str, companies: Any) -> dict[str, str]:
    """Ids and words of Banksia, the other tenant; it has a hundred units of one label."""
    acacia, banksia = companies
    with psycopg.connect(oltp_dsn) as connection:
        for change in (
            f"update myproperty.users set email = '{WORD}@banksia.example' where id = '{banksia.user}'",
            f"update myproperty.service_tickets set summary = 'the {WORD}' where id = '{banksia.ticket}'",
            f"update myproperty.properties set name = '{WORD}' where id = '{banksia.property}'",
            "insert into myproperty.properties (tenant_id, name, timezone) "
            f"select '{banksia.tenant}', 'n' || i, 'UTC' from generate_series(1, 100) as i",
            "insert into myproperty.units (tenant_id, property_id, label) "
            f"select '{banksia.tenant}', id, '{WORD}' from myproperty.properties "
            f"where tenant_id = '{banksia.tenant}'",
        ):
            connection.execute(change.encode())
    with psycopg.connect(oltp_dsn, autocommit=True) as connection:
        connection.execute("analyze")
    return {
        "mine": str(acacia.tenant), "theirs": str(banksia.tenant), "property": str(banksia.property),
        "user": str(banksia.user), "email": f"{WORD}@banksia.example", "word": WORD,
        "tenant_name": banksia.name,
    }  # fmt: skip


@pytest.fixture(scope="module")
def login_dsn(oltp_dsn: str) -> Iterator[str]:
    """A login as that of an application; `migrate` has taken from PUBLIC what no job needs."""
    prepare_oltp(oltp_dsn, {})
    login, parts = f"side_{uuid.uuid4().hex[:8]}", urlsplit(oltp_dsn)
    with psycopg.connect(oltp_dsn, autocommit=True) as admin:
        roles = "myproperty_app, myproperty_readonly"
        admin.execute(f"create role {login} login password '{login}' in role {roles}".encode())
        place = parts.netloc.rpartition("@")[2]
        yield parts._replace(netloc=f"{login}:{login}@{place}").geturl()
        admin.execute(f"drop owned by {login}".encode())
        admin.execute(f"drop role {login}".encode())


@pytest.fixture
def other_session(login_dsn: str, words: dict[str, str]) -> Iterator[None]:
    """A session of Banksia by the same login, whose last statement quotes a word."""
    with psycopg.connect(login_dsn) as connection:
        connection.execute(f"select '{WORD}'".encode())
        yield


def result_of(dsn: str, attempt: Attempt, words: dict[str, str]) -> tuple[str, list[str]]:
    """Return the rows, the status or the message of an attempt as text, and the notices."""
    notices: list[str] = []
    with psycopg.connect(dsn) as connection:
        connection.add_notice_handler(lambda notice: notices.append(str(notice.message_primary)))
        connection.execute("select set_config('app.tenant_id', %s, true)", (words["mine"],))
        if attempt.id not in AS_THE_LOGIN:
            connection.execute(f"set local role {attempt.role}".encode())
        try:
            if attempt.id in BEFORE:
                connection.execute(BEFORE[attempt.id].format(**words).encode())
            cursor = connection.execute(attempt.statement.format(**words).encode())
            found = cursor.statusmessage or ""
            if cursor.description:
                found = "\n".join(" ".join(map(str, row)) for row in cursor)
        except psycopg.Error as error:
            # A detail quotes what the statement itself says.
            assert WORD not in str(error.diag.message_detail) or WORD in attempt.statement.format(**words)
            found = str(error.diag.message_primary)
        connection.rollback()
    return found, notices


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.id)
def test_an_attempt_shows_what_the_page_says(
    login_dsn: str, words: dict[str, str], other_session: None, attempt: Attempt
) -> None:
    found, notices = result_of(login_dsn, attempt, words)
    assert re.search(attempt.shows, found), found
    if attempt.outcome != "tells":
        assert WORD not in found and WORD not in str(notices)


def test_a_foreign_id_gives_the_message_of_an_id_that_nobody_has(
    login_dsn: str, words: dict[str, str]
) -> None:
    for attempt in ATTEMPTS:
        if "an id that nobody has" in attempt.told:
            nobody = {
                name: str(uuid.uuid4()) if name in ("property", "user") else w for name, w in words.items()
            }
            messages = {
                re.sub(r"[0-9a-f-]{36}", "ID", result_of(login_dsn, attempt, some)[0])
                for some in (words, nobody)
            }
            assert len(messages) == 1, messages


def test_an_estimate_tells_less_of_a_value_that_nobody_has(login_dsn: str, words: dict[str, str]) -> None:
    attempt = next(each for each in ATTEMPTS if each.id == "plan-estimate")
    found, _ = result_of(login_dsn, attempt, {**words, "word": "unheard of"})
    assert re.search(r"rows=1 ", found), found


def test_every_unique_key_of_a_table_with_tenants_begins_with_the_tenant(db: psycopg.Connection[Any]) -> None:
    """Or is the random id. The name of a tenant is the only other one."""
    query = """
        select i.indexrelid::regclass::text
        from pg_index as i join pg_class as c on c.oid = i.indrelid
        where (i.indisunique or i.indisexclusion) and not c.relispartition
          and c.relnamespace::regnamespace::text in ('myproperty', 'audit', 'originfd', 'warehouse_staging')
          and exists (select from pg_attribute where attrelid = c.oid and attname = 'tenant_id')
          and (
              select array_agg(a.attname::text order by k.place)
              from unnest(i.indkey) with ordinality as k (number, place)
              join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.number
          )[1:1] <> '{tenant_id}'
          and pg_get_indexdef(i.indexrelid) !~ 'btree \\(id\\)$'
    """
    assert [row[0] for row in db.execute(query)] == ["myproperty.tenants_name_key"]
