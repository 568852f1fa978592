"""Erasure of people and tenants: tables, trail, dumps, key store, and databases restored from before."""

import base64
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors

from myproperty.engines.postgres import wheel_binaries
from myproperty.sealing import (
    ErasedError,
    Keyring,
    Sealer,
    SealingError,
    erase_tenant,
    erase_user,
    replay,
    rotate_keys,
)
from myproperty.sealing.store import KeyStore, WrappedKey
from myproperty.settings import Settings
from tests.oltp.sealed_company import (
    ANN,
    BECAUSE,
    CONTENT,
    DESTINATION,
    MASTER,
    NAME,
    PHONE,
    SEALED,
    WORDS,
    SealedCompany,
    fails_after,
    settings_of,
)

pytestmark = pytest.mark.engine


def dump(dsn: str, file: Path) -> str:
    command: list[str | Path] = [wheel_binaries() / "pg_dump", "--dbname", dsn, "--file", file]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return file.read_text()


def load(dsn: str, file: Path) -> None:
    options = ("--no-psqlrc", "-q", "-v", "ON_ERROR_STOP=1")
    command: list[str | Path] = [wheel_binaries() / "psql", *options, "-f", file, dsn]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


@dataclass
class Restored:
    """Ann, with name, number and words to an agent, and Ben; Ann erased; a dump from before, restored."""

    before: SealedCompany
    after: SealedCompany
    ann: uuid.UUID
    ben: uuid.UUID
    words: uuid.UUID
    dumped: str
    restored_settings: Settings


def put_more(company: SealedCompany, sealer: Sealer, user: uuid.UUID) -> uuid.UUID:
    """A number and words to an agent; the id of both rows."""
    row = uuid.uuid4()
    number = sealer.seal(PHONE, tenant=company.id, user=user, row=row, **DESTINATION)
    words = sealer.seal(WORDS, tenant=company.id, user=user, row=row, **CONTENT)
    with company.application() as connection:
        connection.execute(
            "insert into myproperty.notification_preferences "
            "(id, tenant_id, user_id, topic, channel, destination) values (%s, %s, %s, 'invoice', 'sms', %s)",
            (row, company.id, user, number),
        )
        connection.execute(
            "insert into myproperty.agent_messages "
            "(id, tenant_id, session_id, sequence, agent_id, user_id, role, content) "
            "values (%s, %s, %s, 1, 'helpdesk', %s, 'user', %s)",
            (row, company.id, row, user, words),
        )
    return row


@pytest.fixture(scope="module")
def restored(
    oltp_dsn: str,
    fresh_database: Callable[[str], Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Restored]:
    folder = tmp_path_factory.mktemp("restored")
    before = SealedCompany(oltp_dsn, settings_of(folder / "home"))
    with before.sealer() as sealer:
        ann = before.named(sealer, "ann@acacia.example", ANN)
        ben = before.named(sealer, "ben@acacia.example", "Ben Example")
        words = put_more(before, sealer, ann)
    shutil.copytree(folder / "home" / "keys", folder / "backup" / "keys")
    dumped = dump(oltp_dsn, folder / "before.sql")
    with before.keys() as keys:
        assert erase_user(keys, before.id, ann, BECAUSE).people == 1
    with fresh_database("restored") as dsn:
        load(dsn, folder / "before.sql")
        after = object.__new__(SealedCompany)  # the tenant is there already
        after.dsn, after.settings, after.name, after.id = dsn, before.settings, before.name, before.id
        yield Restored(before, after, ann, ben, words, dumped, settings_of(folder / "backup"))


def test_an_erased_person_has_no_name_and_no_address(restored: Restored) -> None:
    company, ann = restored.before, restored.ann
    row = "select row(status, email, full_name) from myproperty.users where id = %s"
    assert company.one(row, ann) == ("erased", f"erased-{ann}@invalid", None)
    row = "select row(enabled, destination) from myproperty.notification_preferences where user_id = %s"
    assert company.one(row, ann) == ("f", None)
    with company.sealer() as sealer:
        assert company.name_of(sealer, restored.ben) == "Ben Example"


def test_neither_table_nor_trail_tells_what_was_erased(restored: Restored) -> None:
    company = restored.before
    message = company.one("select content from myproperty.agent_messages where id = %s", restored.words)
    trail = """
        select decode(substr(new_values ->> 'full_name', 3), 'hex') from audit.logged_actions
        where row_id = %s and new_values ->> 'full_name' <> ''
    """
    with psycopg.connect(company.dsn) as connection:
        logged = connection.execute(trail, (str(restored.ann),)).fetchall()
        everything = str(connection.execute("select * from audit.logged_actions").fetchall())
    assert len(logged) == 1
    with company.sealer() as sealer:
        for sealed, row, place in ((message, restored.words, CONTENT), (logged[0][0], restored.ann, NAME)):
            with pytest.raises(ErasedError, match=rf"person {restored.ann} .* was erased on 20.*{BECAUSE}"):
                sealer.unseal(sealed, tenant=company.id, row=row, **place)
    for text in (ANN, PHONE, WORDS, "ann@acacia.example"):
        assert text not in everything and text.encode().hex() not in everything


def test_a_dump_from_before_the_erasure_tells_nothing(restored: Restored) -> None:
    for text in (ANN, PHONE, WORDS):
        assert text not in restored.dumped and text.encode().hex() not in restored.dumped
    # As documented, addresses of logins are stored in clear text.
    assert "ann@acacia.example" in restored.dumped


def test_no_key_is_in_the_dump_and_no_master_key_in_the_store(restored: Restored) -> None:
    backup = KeyStore(restored.restored_settings.key_store)
    files = list(backup.files())
    with Keyring(restored.before.dsn, restored.restored_settings) as keys:
        secrets = [
            keys.unwrap(file)
            for file in files
            if isinstance(file, WrappedKey) and file.wrapped_by.startswith("master:")
        ]
    wrapped = [file.wrapped for file in files if isinstance(file, WrappedKey)]
    assert len(secrets) == 1 and len(wrapped) == 3
    stored = b"".join(path.read_bytes() for path in Path(backup.url).rglob("*") if path.is_file())
    for key in [MASTER, *secrets]:
        assert key not in stored and base64.b64encode(key) not in stored and key.hex().encode() not in stored
    for key in [MASTER, *secrets, *wrapped]:
        assert key.hex() not in restored.dumped
        assert base64.b64encode(key).decode() not in restored.dumped


def test_in_a_restored_dump_the_erased_stay_erased(restored: Restored) -> None:
    company, ann = restored.after, restored.ann
    assert company.one("select email from myproperty.users where id = %s", ann) == "ann@acacia.example"
    with company.sealer() as sealer:
        with pytest.raises(ErasedError, match=BECAUSE):
            company.name_of(sealer, ann)
        with pytest.raises(ErasedError, match=BECAUSE):
            sealer.seal("Ann", tenant=company.id, user=ann, row=ann, **NAME)
        assert company.name_of(sealer, restored.ben) == "Ben Example"
    with company.keys() as keys:
        assert [replay(keys).people, replay(keys).people] == [1, 0]
    assert company.one("select email from myproperty.users where id = %s", ann) == f"erased-{ann}@invalid"
    assert company.key_rows(ann) == ["destroyed"]


def test_a_key_store_restored_from_a_backup_is_emptied_again(restored: Restored) -> None:
    """The database knows: nothing is read before `replay`, and nothing is left to read after it."""
    company = restored.before
    with Sealer(company.dsn, restored.restored_settings) as sealer:
        message = company.one("select content from myproperty.agent_messages where id = %s", restored.words)
        with pytest.raises(ErasedError, match=BECAUSE):
            sealer.unseal(message, tenant=company.id, row=restored.words, **CONTENT)
        replay(sealer.keys)
        files = [file for file in sealer.keys.store.files(company.id) if file.name.user == restored.ann]
        assert [isinstance(file, WrappedKey) for file in files] == [False]
        assert company.name_of(sealer, restored.ben) == "Ben Example"


def test_a_person_without_a_key_is_erased_in_a_restored_database_too(company: SealedCompany) -> None:
    ann = company.person("ann@acacia.example")
    with company.keys() as keys:
        erase_user(keys, company.id, ann, BECAUSE)
        with company.application() as connection:  # as a backup from before has it
            connection.execute(
                "update myproperty.users set status = 'active', email = 'ann@acacia.example' where id = %s",
                (ann,),
            )
        with psycopg.connect(company.dsn) as connection:
            connection.execute("delete from myproperty.data_keys where user_id = %s", (ann,))
        with company.sealer() as sealer, pytest.raises(ErasedError, match=BECAUSE):
            sealer.seal("Ann", tenant=company.id, user=ann, row=ann, **NAME)
        replay(keys)
    assert company.one("select email from myproperty.users where id = %s", ann) == f"erased-{ann}@invalid"
    assert company.key_rows(ann) == ["destroyed"]


def test_an_erasure_cut_short_is_completed(company: SealedCompany, monkeypatch: pytest.MonkeyPatch) -> None:
    with company.sealer() as sealer:
        ann = company.named(sealer, "ann@acacia.example", "Ann")
        rotate_keys(sealer.keys, company.id)
        sealed = sealer.seal("Ann", tenant=company.id, user=ann, row=ann, **NAME)
        with monkeypatch.context() as cut, pytest.raises(SealingError, match="disk full"):
            fails_after(1, cut)
            erase_user(sealer.keys, company.id, ann, BECAUSE)
    wrapped = [f for f in company.files() if isinstance(f, WrappedKey) and f.name.user == ann]
    assert len(wrapped) == 1  # of two, and it is not used
    with company.sealer() as sealer:
        with pytest.raises(ErasedError):
            sealer.unseal(sealed, tenant=company.id, row=ann, **NAME)
        assert erase_user(sealer.keys, company.id, ann, "another reason").key_files == 1
        assert erase_user(sealer.keys, company.id, ann, "a third").key_files == 0
    assert not [f for f in company.files() if isinstance(f, WrappedKey) and f.name.user == ann]
    reasons = company.one("select array_agg(distinct destroyed_because) from myproperty.data_keys")
    assert [reason for reason in reasons if reason] == [BECAUSE]


def test_a_key_file_without_a_row_goes_with_its_person(
    company: SealedCompany, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rotation cut short leaves files that no row names."""
    with company.sealer() as sealer:
        ann = company.named(sealer, "ann@acacia.example", "Ann")
        company.named(sealer, "ben@acacia.example", "Ben")
        with monkeypatch.context() as cut, pytest.raises(SealingError, match="disk full"):
            fails_after(2, cut)
            rotate_keys(sealer.keys, company.id)
        assert len([file for file in company.files() if file.name.user == ann]) == 2
        erase_user(sealer.keys, company.id, ann, BECAUSE)
    left = [file for file in company.files() if isinstance(file, WrappedKey)]
    assert left and all(file.name.user != ann for file in left)


def test_the_words_of_a_resident_go_from_tickets_and_never_were_in_the_trail(company: SealedCompany) -> None:
    ann, ben, eve = (company.person(f"{name}@acacia.example") for name in ("ann", "ben", "eve"))
    company.one("update myproperty.users set role = 'manager' where id = %s returning id", eve)
    house = company.one(
        "insert into myproperty.properties (tenant_id, name, timezone) values (%s, 'House', 'UTC') "
        "returning id",
        company.id,
    )

    def opened(by: uuid.UUID) -> uuid.UUID:
        ticket: uuid.UUID = company.one(
            "insert into myproperty.service_tickets "
            "(tenant_id, property_id, opened_by, summary, description, category, attachments) "
            "values (%s, %s, %s, 'Zoster again', 'Dr Zimt forbids cold', 'other', '[\"zoster.jpg\"]') "
            "returning id",
            company.id, house, by,
        )  # fmt: skip
        note = (
            "insert into myproperty.ticket_activities (tenant_id, ticket_id, kind, user_id, body, details) "
            "values (%s, %s, 'note', %s, 'Zoster, says Zimt', '{\"to\": \"zimt\"}') returning id"
        )
        company.one(note, company.id, ticket, eve)
        change = "update myproperty.service_tickets set description = 'Zimt!', status = %s where id = %s"
        company.one(change + " returning id", "in_progress", ticket)
        return ticket

    tickets = [opened(by) for by in (ann, ben, eve)]
    with company.keys() as keys:
        erase_user(keys, company.id, ann, BECAUSE)
        erase_user(keys, company.id, eve, BECAUSE)
        assert replay(keys).people == 0
    texts = (
        "select row(summary, description, attachments, search) from myproperty.service_tickets where id = %s"
    )
    found = [str(company.one(texts, ticket)) for ticket in tickets]
    assert ["Zoster" in text or "zimt" in text for text in found] == [False, True, True]
    assert "(erased)" in found[0]
    timeline = "select row(body, details) from myproperty.ticket_activities where ticket_id = %s"
    assert [company.one(timeline, ticket)[0] for ticket in tickets] == [
        None, "Zoster, says Zimt", "Zoster, says Zimt",
    ]  # fmt: skip
    search = "select array_agg(ticket_id) from myproperty.search_service_tickets('zoster')"
    assert set(company.one(search)) == set(tickets[1:])
    with psycopg.connect(company.dsn) as connection:
        query = """
            select table_name, new_values, old_values from audit.logged_actions
            where tenant_id = %s order by id
        """
        logged = connection.execute(query, (company.id,)).fetchall()
    of_tickets = [row for row in logged if row[0] in ("service_tickets", "ticket_activities")]
    # Ann's ticket and its timeline were erased.
    assert len(of_tickets) == 3 * 3 + 2
    assert "zimt" not in str(logged).lower() and "zoster" not in str(logged).lower()
    assert {"status": "in_progress", "description": "(personal)"}.items() <= of_tickets[2][1].items()


def test_an_erased_tenant_takes_everyone_along(company: SealedCompany) -> None:
    with company.sealer() as sealer:
        ann = company.named(sealer, "ann@acacia.example", "Ann")
        company.person("ben@acacia.example")
        row = put_more(company, sealer, ann)
        message = company.one("select content from myproperty.agent_messages where id = %s", row)
        of_tenant = sealer.seal("x", tenant=company.id, row=row, **CONTENT)
        done = erase_tenant(sealer.keys, company.id, "the contract ended")
        assert (done.people, done.key_files) == (2, 2)
        for sealed in (message, of_tenant):
            with pytest.raises(ErasedError, match="the contract ended"):
                sealer.unseal(sealed, tenant=company.id, row=row, **CONTENT)
        for user in (None, ann):
            with pytest.raises(ErasedError, match="the contract ended"):
                sealer.seal("x", tenant=company.id, user=user, row=row, **CONTENT)
        later = company.person("cyn@acacia.example")
        with pytest.raises(ErasedError, match="the contract ended"):
            sealer.seal("x", tenant=company.id, user=later, row=later, **NAME)
        assert erase_tenant(sealer.keys, company.id, "again").key_files == 0
    emails = company.one("select array_agg(email::text) from myproperty.users where status = 'erased'")
    assert len(emails) == 3 and all(email.endswith("@invalid") for email in emails)


@pytest.mark.parametrize("because", ["", " \n"])
def test_an_erasure_needs_a_reason_and_somebody(company: SealedCompany, because: str) -> None:
    ann = company.person("ann@acacia.example")
    with company.keys() as keys:
        with pytest.raises(SealingError, match="needs a reason"):
            erase_user(keys, company.id, ann, because)
        with pytest.raises(SealingError, match="is not in the database"):
            erase_user(keys, company.id, uuid.uuid4(), BECAUSE)
        with pytest.raises(SealingError, match="is not in the database"):
            erase_tenant(keys, uuid.uuid4(), BECAUSE)
    assert company.one("select status from myproperty.users where id = %s", ann) == "active"


@pytest.mark.parametrize(("column", "value"), [("email", "ann@acacia.example"), ("full_name", SEALED)])
def test_the_database_keeps_no_name_or_address_of_the_erased(
    company: SealedCompany, column: str, value: object
) -> None:
    ann = company.person("ann@acacia.example")
    with company.keys() as keys:
        erase_user(keys, company.id, ann, BECAUSE)
    with pytest.raises(errors.CheckViolation, match="erased_user_keeps_no_name_or_address"):
        company.one(f"update myproperty.users set {column} = %s where id = %s returning id", value, ann)
