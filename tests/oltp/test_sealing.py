"""Sealed fields in the database: values, keys and rotation, and the command that manages keys."""

import json
import re
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from commands import keys as key_commands
from commands.main import app
from myproperty.sealing import (
    ErasedError,
    Keyring,
    Sealer,
    SealingError,
    cipher,
    erase_user,
    keyring,
    rotate_keys,
    rotate_master,
)
from myproperty.settings import Settings
from tests.oltp.sealed_company import BECAUSE, CONTENT, MASTER, NAME, SealedCompany, fails_after, settings_of

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("text", ["", "Ann", "Zoë 山田 🌞\n\x00"])
def test_a_value_goes_through_its_column(company: SealedCompany, text: str) -> None:
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


def test_a_value_copied_to_another_person_is_refused(company: SealedCompany) -> None:
    with company.sealer() as sealer:
        ann = company.named(sealer, "ann@acacia.example", "Ann")
        ben = company.named(sealer, "ben@acacia.example", "Ben")
        copied = company.one("select full_name from myproperty.users where id = %s", ben)
        company.one("update myproperty.users set full_name = %s where id = %s returning id", copied, ann)
        with pytest.raises(SealingError, match=f"row {ann}.*moved from another row"):
            company.name_of(sealer, ann)
        assert company.name_of(sealer, ben) == "Ben"


def test_another_tenant_cannot_open_it(company: SealedCompany, oltp_dsn: str, settings: Settings) -> None:
    other = SealedCompany(oltp_dsn, settings)
    with company.sealer() as sealer:
        sealed = sealer.seal("x", tenant=company.id, row=company.id, **CONTENT)
        with pytest.raises(SealingError, match=f"tenant {other.id} has no key"):
            sealer.unseal(sealed, tenant=other.id, row=company.id, **CONTENT)


def test_a_person_of_another_tenant_or_of_no_tenant_gets_no_key(
    company: SealedCompany, oltp_dsn: str, settings: Settings
) -> None:
    other = SealedCompany(oltp_dsn, settings)
    foreign = other.person("ann@acacia.example")
    with company.sealer() as sealer:
        for user in (foreign, uuid.uuid4()):
            with pytest.raises(SealingError, match=f"person {user} .* is not in the database"):
                sealer.seal("x", tenant=company.id, user=user, row=user, **NAME)
        with pytest.raises(SealingError, match="is not in the database"):
            sealer.seal("x", tenant=uuid.uuid4(), row=company.id, **CONTENT)
    assert company.key_rows(foreign) == []


def test_the_first_value_makes_one_key_however_many_come_at_once(company: SealedCompany) -> None:
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


def test_one_sealer_serves_many_threads(company: SealedCompany) -> None:
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


def test_without_the_right_master_key_nothing_opens(company: SealedCompany, tmp_path: Path) -> None:
    with company.sealer() as sealer:
        ann = company.named(sealer, "ann@acacia.example", "Ann")
    for given, message in (
        ({"b": MASTER}, "wrapped by the master key a, which is not in MYPROPERTY_MASTER_KEYS"),
        ({"a": bytes(32)}, "does not open with the master key a"),
    ):
        other = settings_of(company.settings.home, **given)
        with Sealer(company.dsn, other) as sealer, pytest.raises(SealingError, match=message):
            company.name_of(sealer, ann)
    lost = settings_of(tmp_path)
    with Sealer(company.dsn, lost) as sealer, pytest.raises(SealingError, match=r"not in .*/keys.*restore"):
        company.name_of(sealer, ann)


def test_key_files_that_were_swapped_are_refused(company: SealedCompany) -> None:
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


def test_a_key_destroyed_elsewhere_is_soon_used_no_more(company: SealedCompany) -> None:
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


def test_new_data_keys_seal_and_the_old_ones_still_open(company: SealedCompany) -> None:
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


def test_a_rotation_cut_short_loses_nothing(company: SealedCompany, monkeypatch: pytest.MonkeyPatch) -> None:
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
    company: SealedCompany, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (SealedCompany(company.dsn, settings_of(tmp_path, a=MASTER)) for _ in range(2))
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


def test_a_lock_held_by_someone_else_is_a_clear_error(
    company: SealedCompany, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring, "LOCK_TIMEOUT", "50ms")
    waits = pytest.raises(SealingError, match="another session has been changing these keys")
    with company.keys() as holder, company.sealer() as sealer, holder.changing(company.id), waits:
        sealer.seal("x", tenant=company.id, row=company.id, **CONTENT)


# -- the command


@pytest.fixture
def run(company: SealedCompany, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    settings = company.settings.model_copy(update={"oltp_dsn": company.dsn})
    monkeypatch.setattr(key_commands, "get_settings", lambda: settings)
    return lambda *arguments, **more: CliRunner().invoke(app, ["keys", *arguments], **more)


def test_the_command_lists_rotates_and_erases(company: SealedCompany, run: Callable[..., Any]) -> None:
    with company.sealer() as sealer:
        ann = company.named(sealer, "ann@acacia.example", "Ann")
    listed = json.loads(run("list", "--tenant", company.name, "--json").stdout)
    assert [(row["person"], row["status"]) for row in listed] == [(None, "active"), (str(ann), "active")]
    assert [row["in_store"] for row in listed] == ["wrapped by master:a", f"wrapped by {listed[0]['key']}"]

    assert "2 new keys" in run("rotate", "--tenant", company.name).stdout
    assert "0 keys are now wrapped by the master key a" in run("rotate", "--master").stdout
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
    company: SealedCompany, run: Callable[..., Any], arguments: list[str], message: str
) -> None:
    done = run(*(argument.format(company.name) for argument in arguments))
    assert done.exit_code != 0
    assert message in re.sub(r"\s*│?\n│?\s*", " ", done.output)
