"""Sealed fields in the database: keys, rotation, erasure, and what a dump from before an erasure tells."""

import base64
import json
import re
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier
from typing import Any

import psycopg
import pytest
from psycopg import errors
from pydantic import SecretStr
from typer.testing import CliRunner

from commands import main as cli
from myproperty.engines.postgres import wheel_binaries
from myproperty.sealing import (
    ErasedError,
    Keyring,
    Sealer,
    SealingError,
    cipher,
    erase_tenant,
    erase_user,
    keyring,
    replay,
    rotate_keys,
    rotate_master,
)
from myproperty.sealing.store import KeyFile, KeyStore, WrappedKey
from myproperty.settings import Settings

pytestmark = pytest.mark.engine

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
class Company:
    """A tenant in a database, and what its application does."""

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


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_of(tmp_path_factory.mktemp("home"))


@pytest.fixture
def company(oltp_dsn: str, settings: Settings) -> Company:
    return Company(oltp_dsn, settings)


def fails_after(writes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store's disk fill up after so many more files."""
    original, left = KeyStore.write, [writes]

    def write(self: KeyStore, file: KeyFile) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise SealingError("disk full")
        original(self, file)

    monkeypatch.setattr(KeyStore, "write", write)


# -- values


@pytest.mark.parametrize("text", ["", "Ann", "Zoë 山田 🌞\n\x00"])
def test_a_value_goes_through_its_column(company: Company, text: str) -> None:
    with company.sealer() as sealer:
        ann = company.named(sealer, "ann@acacia.example", text)
        assert company.name_of(sealer, ann) == text
    with company.sealer() as another:
        assert company.name_of(another, ann) == text
    assert company.key_rows(ann) == company.key_rows(None) == ["active"]


def test_each_sealed_column_of_the_schema_is_known(oltp_dsn: str) -> None:
    query = """
        select table_name, column_name from information_schema.columns
        where table_schema = 'myproperty' and domain_name = 'sealed'
    """
    with psycopg.connect(oltp_dsn) as connection:
        assert set(connection.execute(query).fetchall()) == cipher.SEALED_COLUMNS


def test_a_value_copied_to_another_person_is_refused(company: Company) -> None:
    with company.sealer() as sealer:
        ann = company.named(sealer, "ann@acacia.example", "Ann")
        ben = company.named(sealer, "ben@acacia.example", "Ben")
        copied = company.one("select full_name from myproperty.users where id = %s", ben)
        company.one("update myproperty.users set full_name = %s where id = %s returning id", copied, ann)
        with pytest.raises(SealingError, match=f"row {ann}.*moved from another row"):
            company.name_of(sealer, ann)
        assert company.name_of(sealer, ben) == "Ben"


def test_another_tenant_cannot_open_it(company: Company, oltp_dsn: str, settings: Settings) -> None:
    other = Company(oltp_dsn, settings)
    with company.sealer() as sealer:
        sealed = sealer.seal("x", tenant=company.id, row=company.id, **CONTENT)
        with pytest.raises(SealingError, match=f"tenant {other.id} has no key"):
            sealer.unseal(sealed, tenant=other.id, row=company.id, **CONTENT)


def test_a_person_of_another_tenant_or_of_nobody_gets_no_key(
    company: Company, oltp_dsn: str, settings: Settings
) -> None:
    other = Company(oltp_dsn, settings)
    foreign = other.person("ann@acacia.example")
    with company.sealer() as sealer:
        for user in (foreign, uuid.uuid4()):
            with pytest.raises(SealingError, match=f"person {user} .* is not in the database"):
                sealer.seal("x", tenant=company.id, user=user, row=user, **NAME)
        with pytest.raises(SealingError, match="is not in the database"):
            sealer.seal("x", tenant=uuid.uuid4(), row=company.id, **CONTENT)
    assert company.key_rows(foreign) == []


def test_the_first_value_makes_one_key_however_many_come_at_once(company: Company) -> None:
    ann, workers = company.person("ann@acacia.example"), 6
    barrier = Barrier(workers)

    def seal(number: int) -> bytes:
        with company.sealer() as sealer:
            barrier.wait()
            return sealer.seal(str(number), tenant=company.id, user=ann, row=ann, **NAME)

    with ThreadPoolExecutor(workers) as pool:
        sealed = list(pool.map(seal, range(workers)))
    assert company.key_rows(ann) == company.key_rows(None) == ["active"]
    assert len(company.files()) == 2
    with company.sealer() as sealer:
        texts = [sealer.unseal(value, tenant=company.id, row=ann, **NAME) for value in sealed]
    assert texts == [str(number) for number in range(workers)]


def test_one_sealer_serves_many_threads(company: Company) -> None:
    people = [company.person(f"p{number}@acacia.example") for number in range(4)]
    with company.sealer() as sealer, ThreadPoolExecutor(4) as pool:

        def through(user: uuid.UUID) -> list[str]:
            sealed = [
                sealer.seal(f"{user} {n}", tenant=company.id, user=user, row=user, **NAME) for n in range(20)
            ]
            return [sealer.unseal(value, tenant=company.id, row=user, **NAME) for value in sealed]

        texts = list(pool.map(through, people))
    assert texts == [[f"{user} {n}" for n in range(20)] for user in people]


# -- master keys and the store


def test_without_the_right_master_key_nothing_opens(company: Company, tmp_path: Path) -> None:
    with company.sealer() as sealer:
        ann = company.named(sealer, "ann@acacia.example", "Ann")
    for given, message in (
        ({"b": MASTER}, "wrapped by the master key a, which is not among those given"),
        ({"a": bytes(32)}, "does not open with the master key a"),
    ):
        other = settings_of(company.settings.home, **given)
        with Sealer(company.dsn, other) as sealer, pytest.raises(SealingError, match=message):
            company.name_of(sealer, ann)
    lost = settings_of(tmp_path)
    with Sealer(company.dsn, lost) as sealer, pytest.raises(SealingError, match=r"not in .*/keys.*restore"):
        company.name_of(sealer, ann)


def test_key_files_that_were_swapped_are_refused(company: Company) -> None:
    with company.sealer() as sealer:
        ann = company.named(sealer, "ann@acacia.example", "Ann")
        ben = company.named(sealer, "ben@acacia.example", "Ben")
    folder = Path(company.settings.key_store) / str(company.id)
    file_of_ann, file_of_ben = (next((folder / str(user)).glob("*.json")) for user in (ann, ben))
    right = file_of_ann.read_text()
    file_of_ann.write_text(file_of_ben.read_text())
    with company.sealer() as sealer, pytest.raises(SealingError, match="files were moved"):
        company.name_of(sealer, ann)
    wrapped = json.loads(file_of_ben.read_text())["wrapped"]
    file_of_ann.write_text(json.dumps({**json.loads(right), "wrapped": wrapped}))
    with company.sealer() as sealer, pytest.raises(SealingError, match="does not open with the key"):
        company.name_of(sealer, ann)


def test_a_key_destroyed_elsewhere_is_soon_used_no_more(company: Company) -> None:
    now = [0.0]
    with company.sealer(clock=lambda: now[0]) as sealer, company.keys() as elsewhere:
        ann = company.named(sealer, "ann@acacia.example", "Ann")
        sealed = company.one("select full_name from myproperty.users where id = %s", ann)
        erase_user(elsewhere, company.id, ann, BECAUSE)
        now[0] = keyring.TRUST_S
        with pytest.raises(ErasedError, match=BECAUSE):
            sealer.unseal(sealed, tenant=company.id, row=ann, **NAME)
        with pytest.raises(ErasedError, match=BECAUSE):
            sealer.seal("Ann again", tenant=company.id, user=ann, row=ann, **NAME)
    assert company.key_rows(ann) == ["destroyed"]


# -- rotation


def test_new_data_keys_seal_and_the_old_ones_still_open(company: Company) -> None:
    with company.sealer() as sealer, company.keys() as keys:
        ann = company.named(sealer, "ann@acacia.example", "Ann")
        old = company.one("select full_name from myproperty.users where id = %s", ann)
        assert rotate_keys(keys, company.id) == 2
        assert company.key_rows(ann) == company.key_rows(None) == ["retired", "active"]
    with company.sealer() as sealer:
        new = sealer.seal("Ann", tenant=company.id, user=ann, row=ann, **NAME)
        assert cipher.key_id_of(new) != cipher.key_id_of(old)
        for sealed in (old, new):
            assert sealer.unseal(sealed, tenant=company.id, row=ann, **NAME) == "Ann"
        assert rotate_keys(sealer.keys, company.id) == 2
        assert sealer.unseal(old, tenant=company.id, row=ann, **NAME) == "Ann"
    assert company.key_rows(ann) == ["retired", "retired", "active"]


def test_a_rotation_cut_short_loses_nothing(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    with company.sealer() as sealer:
        ann = company.named(sealer, "ann@acacia.example", "Ann")
        with monkeypatch.context() as cut, pytest.raises(SealingError, match="disk full"):
            fails_after(1, cut)
            rotate_keys(sealer.keys, company.id)
    assert company.key_rows(ann) == company.key_rows(None) == ["active"]
    with company.sealer() as sealer:
        assert company.name_of(sealer, ann) == "Ann"
        assert rotate_keys(sealer.keys, company.id) == 2
        assert company.name_of(sealer, ann) == "Ann"


def test_a_new_master_key_takes_over(
    company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (Company(company.dsn, settings_of(tmp_path, a=MASTER)) for _ in range(2))
    with one.sealer() as sealer:
        ann, ben = (each.named(sealer, "p@acacia.example", "Pat") for each in (one, two))
        rotate_keys(sealer.keys, one.id)
    changes = "select count(*) from audit.logged_actions where table_name = 'data_keys'"
    with psycopg.connect(company.dsn) as connection:
        before = connection.execute(changes).fetchone()
    both = settings_of(tmp_path, b=bytes(32), a=MASTER)
    with Keyring(company.dsn, both) as keys:
        with monkeypatch.context() as cut, pytest.raises(SealingError, match="disk full"):
            fails_after(1, cut)
            rotate_master(keys)
        with Sealer(company.dsn, both) as sealer:
            assert one.name_of(sealer, ann) == two.name_of(sealer, ben) == "Pat"
        # Two keys of one tenant, one of the other, one of the three done: the retired key counts too.
        assert [rotate_master(keys), rotate_master(keys)] == [2, 0]
    with psycopg.connect(company.dsn) as connection:
        assert connection.execute(changes).fetchone() == before
    with Sealer(company.dsn, settings_of(tmp_path, b=bytes(32))) as sealer:
        assert one.name_of(sealer, ann) == two.name_of(sealer, ben) == "Pat"


# -- erasure


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

    before: Company
    after: Company
    ann: uuid.UUID
    ben: uuid.UUID
    words: uuid.UUID
    dumped: str
    restored_settings: Settings


def put_more(company: Company, sealer: Sealer, user: uuid.UUID) -> uuid.UUID:
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
    before = Company(oltp_dsn, settings_of(folder / "home"))
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
        after = object.__new__(Company)  # the tenant is there already
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
    # What the documents admit: addresses of logins are in clear.
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


def test_who_never_had_a_key_is_erased_and_told_to_a_restored_database(company: Company) -> None:
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


def test_an_erasure_cut_short_is_completed(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
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
    company: Company, monkeypatch: pytest.MonkeyPatch
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


def test_the_words_of_a_resident_go_from_tickets_and_never_were_in_the_trail(company: Company) -> None:
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
    search = "select array_agg(ticket_id) from myproperty.search_service_tickets('zoster')"
    assert set(company.one(search)) == set(tickets[1:])
    with psycopg.connect(company.dsn) as connection:
        query = """
            select table_name, new_values, old_values from audit.logged_actions
            where tenant_id = %s order by id
        """
        logged = connection.execute(query, (company.id,)).fetchall()
    of_tickets = [row for row in logged if row[0] in ("service_tickets", "ticket_activities")]
    assert len(of_tickets) == 3 * 3 + 1
    assert "zimt" not in str(logged).lower() and "zoster" not in str(logged).lower()
    assert {"status": "in_progress", "description": "(personal)"}.items() <= of_tickets[2][1].items()


def test_an_erased_tenant_takes_everyone_along(company: Company) -> None:
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
def test_an_erasure_needs_a_reason_and_somebody(company: Company, because: str) -> None:
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
    company: Company, column: str, value: object
) -> None:
    ann = company.person("ann@acacia.example")
    with company.keys() as keys:
        erase_user(keys, company.id, ann, BECAUSE)
    with pytest.raises(errors.CheckViolation, match="erased_user_keeps_no_name_or_address"):
        company.one(f"update myproperty.users set {column} = %s where id = %s returning id", value, ann)


def test_a_lock_held_by_someone_else_is_a_clear_error(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring, "LOCK_TIMEOUT", "50ms")
    waits = pytest.raises(SealingError, match="another session has been changing these keys")
    with company.keys() as holder, company.sealer() as sealer, holder.changing(company.id), waits:
        sealer.seal("x", tenant=company.id, row=company.id, **CONTENT)


# -- the command


@pytest.fixture
def run(company: Company, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    settings = company.settings.model_copy(update={"oltp_dsn": company.dsn})
    monkeypatch.setattr(cli, "get_settings", lambda: settings)
    return lambda *arguments, **more: CliRunner().invoke(cli.app, ["keys", *arguments], **more)


def test_the_command_lists_rotates_and_erases(company: Company, run: Callable[..., Any]) -> None:
    with company.sealer() as sealer:
        ann = company.named(sealer, "ann@acacia.example", "Ann")
    listed = json.loads(run("list", "--tenant", company.name, "--json").stdout)
    assert [(row["person"], row["status"]) for row in listed] == [(None, "active"), (str(ann), "active")]
    assert [row["in_store"] for row in listed] == ["wrapped by master:a", f"wrapped by {listed[0]['key']}"]

    assert "2 new keys" in run("rotate", "--tenant", company.name).stdout
    assert "0 keys are newly wrapped by the master key a" in run("rotate", "--master").stdout
    asked = ("erase", "--tenant", company.name, "--user", "ann@acacia.example", "--because", BECAUSE)
    refused = run(*asked, input="n\n")
    assert refused.exit_code != 0 and company.key_rows(ann) == ["retired", "active"]
    assert "1 people erased, 2 keys destroyed" in run(*asked, "--yes").stdout
    assert company.key_rows(ann) == ["destroyed", "destroyed"]
    listed = json.loads(run("list", "--tenant", str(company.id), "--json").stdout)
    assert [row["in_store"] for row in listed if row["person"]] == ["tombstone", "tombstone"]
    assert run("replay").exit_code == 0
    assert "1 people erased" not in run("erase", "--tenant", company.name, "--because", "end", "--yes").stdout
    assert company.key_rows(None) == ["destroyed", "destroyed"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rotate"], "give --tenant"),
        (["rotate", "--tenant", "Nobody"], "there is no tenant 'Nobody'"),
        (["erase", "--tenant", "{}", "--user", "x@y.example", "--because", "b", "--yes"], "has no person"),
        (["erase", "--tenant", "{}", "--because", " ", "--yes"], "needs a reason"),
    ],
)
def test_the_command_says_what_is_wrong(
    company: Company, run: Callable[..., Any], arguments: list[str], message: str
) -> None:
    done = run(*(argument.format(company.name) for argument in arguments))
    assert done.exit_code != 0
    assert message in re.sub(r"\s*│?\n│?\s*", " ", done.output)
