"""Sealed values, master keys and the key store, without a database."""

import base64
import json
import re
import stat
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from myproperty.sealing import ErasedError, SealingError, cipher
from myproperty.sealing.cipher import Place
from myproperty.sealing.master import master_keys, parse
from myproperty.sealing.store import KeyName, KeyStore, Tombstone, WrappedKey
from myproperty.settings import Settings

TENANT, ROW, KEY_ID = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
PLACE = Place(TENANT, "users", "full_name", ROW)
KEY = cipher.new_key()
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
KEY_32 = base64.b64encode(bytes(range(32))).decode()


def test_the_cipher_matches_a_published_vector() -> None:
    """Test case 16 of McGrew and Viega, The Galois/Counter Mode of Operation, submitted to NIST in 2005."""
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    nonce = bytes.fromhex("cafebabefacedbaddecaf888")
    plain = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    associated = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    ciphertext_and_tag = bytes.fromhex(
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        "76fc6ece0f4e1768cddf8853bb2d551b"
    )
    assert cipher.encrypt(key, plain, associated, nonce) == nonce + ciphertext_and_tag
    assert cipher.decrypt(key, nonce + ciphertext_and_tag, associated) == plain


@given(TEXTS)
def test_a_sealed_text_can_be_read(text: str) -> None:
    sealed = cipher.seal(text, KEY_ID, KEY, PLACE)
    assert cipher.key_id_of(sealed) == KEY_ID
    assert cipher.unseal(sealed, KEY, PLACE) == text
    assert len(sealed) == 45 + len(text.encode())


@pytest.mark.parametrize("text", ["", "Zoë Ångström 山田 🌞", "a\x00b", "\u202e"])
def test_a_sealed_value_has_the_documented_layout(text: str) -> None:
    """The library's other interface reads the value from its layout alone."""
    sealed = cipher.seal(text, KEY_ID, KEY, PLACE)
    header, nonce, body, tag = sealed[:17], sealed[17:29], sealed[29:-16], sealed[-16:]
    assert header == b"\x01" + KEY_ID.bytes
    reader = Cipher(algorithms.AES256(KEY), modes.GCM(nonce, tag)).decryptor()
    place = json.dumps([str(TENANT), "users", "full_name", str(ROW)])
    reader.authenticate_additional_data(header + place.encode())
    assert (reader.update(body) + reader.finalize()).decode() == text


def test_the_same_text_never_gives_the_same_value() -> None:
    sealed = {cipher.seal("Ann", KEY_ID, KEY, PLACE) for _ in range(100)}
    assert len(sealed) == len({value[17:29] for value in sealed}) == 100


def test_every_flipped_bit_is_refused() -> None:
    sealed = cipher.seal("Ann Example", KEY_ID, KEY, PLACE)
    for position in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(SealingError, match=r"not what was sealed there|not a sealed value"):
            cipher.key_id_of(bytes(changed))
            cipher.unseal(bytes(changed), KEY, PLACE)


@pytest.mark.parametrize(
    "elsewhere",
    [
        Place(uuid.uuid4(), "users", "full_name", ROW),
        Place(TENANT, "users", "full_name", uuid.uuid4()),
        Place(TENANT, "notification_preferences", "destination", ROW),
    ],
    ids=["tenant", "row", "column"],
)
def test_a_value_moved_elsewhere_is_refused(elsewhere: Place) -> None:
    sealed = cipher.seal("Ann Example", KEY_ID, KEY, PLACE)
    with pytest.raises(SealingError, match="moved from another row, column or tenant") as caught:
        cipher.unseal(sealed, KEY, elsewhere)
    assert str(elsewhere.row) in str(caught.value) and "Ann" not in str(caught.value)


@pytest.mark.parametrize("cut", [b"", b"\x01", b"Ann Example", bytes(45), b"\x01" + bytes(43)])
def test_other_bytes_than_a_sealed_value_are_refused(cut: bytes) -> None:
    with pytest.raises(SealingError, match="not a sealed value of format 1"):
        cipher.key_id_of(cut)


def test_a_misspelt_column_is_refused_before_anything_is_sealed() -> None:
    with pytest.raises(SealingError, match=r"users\.fullname is not a sealed column.*users\.full_name"):
        Place(TENANT, "users", "fullname", ROW)


def test_half_a_character_is_refused() -> None:
    with pytest.raises(SealingError, match="half of a character"):
        cipher.seal("\ud800", KEY_ID, KEY, PLACE)


# -- master keys


def test_the_first_master_key_wraps() -> None:
    keys = parse(f"new:{KEY_32}, old:{base64.b64encode(bytes(32)).decode()}", "here")
    assert keys.first == "new" and keys.keys == {"new": bytes(range(32)), "old": bytes(32)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "entry 1 is not id:key"),
        (KEY_32, "entry 1 is not id:key"),
        (f"a:{KEY_32},b", "entry 2 is not id:key"),
        (f"a:{KEY_32[:-2]}", "the key a is not base64"),
        (f"a:{KEY_32[:40]}", "the key a has 30 bytes, not 32"),
        (f"a:{KEY_32},a:{KEY_32}", "the key a is there twice"),
    ],
)
def test_a_wrong_list_of_master_keys_says_what_is_wrong_and_shows_no_key(text: str, message: str) -> None:
    with pytest.raises(SealingError, match=message) as caught:
        parse(text, "MYPROPERTY_MASTER_KEYS")
    assert "MYPROPERTY_MASTER_KEYS" in str(caught.value) and KEY_32[:20] not in str(caught.value)


def test_an_embedded_engine_makes_one_master_key_readable_only_by_its_owner(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", oltp_dsn=None, master_keys=None)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: master_keys(settings), range(8)))
    file = tmp_path / "home" / "keys" / "master.key"
    assert all(keys == made[0] for keys in made)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["master.key"]
    assert len(made[0].keys[made[0].first]) == 32


def test_an_external_database_requires_master_keys(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, oltp_dsn="postgresql://elsewhere/db", master_keys=None)
    with pytest.raises(SealingError, match="MYPROPERTY_MASTER_KEYS is not set"):
        master_keys(settings)
    assert list(tmp_path.iterdir()) == []


def test_settings_and_keys_are_not_printed() -> None:
    settings = Settings(master_keys=SecretStr(f"a:{KEY_32}"))
    assert KEY_32 not in repr(settings) and KEY_32 not in repr(master_keys(settings))
    assert repr(bytes(range(32))) not in repr(master_keys(settings))


# -- the store


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> KeyStore:
    return KeyStore(str(tmp_path / "keys") if request.param == "folder" else f"memory://{tmp_path}")


def test_a_key_file_reads_as_written(store: KeyStore) -> None:
    of_tenant, of_person = KeyName(KEY_ID, TENANT, None), KeyName(uuid.uuid4(), TENANT, ROW)
    files = [WrappedKey(of_tenant, "master:a", b"1"), WrappedKey(of_person, str(KEY_ID), b"2")]
    for file in files:
        store.write(file)
    store.write(WrappedKey(KeyName(KEY_ID, uuid.uuid4(), None), "master:a", b"3"))
    assert store.find(of_tenant) == files[0] and store.find(KeyName(ROW, TENANT, None)) is None
    assert {file.name for file in store.files(TENANT)} == {of_tenant, of_person}
    assert [file.name for file in store.files(TENANT, ROW)] == [of_person]
    assert len(list(store.files())) == 3


def test_a_tombstone_replaces_the_key(store: KeyStore) -> None:
    name = KeyName(KEY_ID, TENANT, ROW)
    store.write(WrappedKey(name, "master:a", b"1"))
    assert store.tombstone(TENANT, ROW) is None
    stone = Tombstone(name, datetime(2026, 3, 1, 9, 30, tzinfo=UTC), "asked for by the person")
    store.write(stone)
    assert list(store.files()) == [stone]
    assert store.tombstone(TENANT, ROW) == stone
    assert store.tombstone(TENANT, uuid.uuid4()) is None and store.tombstone(TENANT, None) is None
    with pytest.raises(ErasedError, match=r"2026-03-01 09:30 UTC \(asked for by the person"):
        raise stone.error()


def test_a_killed_writer_leaves_no_copy_of_a_destroyed_key(tmp_path: Path) -> None:
    store, name = KeyStore(str(tmp_path)), KeyName(KEY_ID, TENANT, ROW)
    store.write(WrappedKey(name, "master:a", b"wrapped"))
    folder = tmp_path / str(TENANT) / str(ROW)
    left = folder / f".{KEY_ID}.json.1f"
    left.write_bytes((folder / f"{KEY_ID}.json").read_bytes())
    store.write(Tombstone(name, datetime.now(UTC), "test"))
    assert [path.name for path in folder.iterdir()] == [f"{KEY_ID}.json"]
    assert stat.S_IMODE((folder / f"{KEY_ID}.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"id": 1}', b"\xff"])
def test_a_damaged_key_file_is_named(tmp_path: Path, content: bytes) -> None:
    store, name = KeyStore(str(tmp_path)), KeyName(KEY_ID, TENANT, None)
    store.write(WrappedKey(name, "master:a", b"1"))
    file = tmp_path / str(TENANT) / "tenant" / f"{KEY_ID}.json"
    file.write_bytes(content)
    with pytest.raises(SealingError, match=re.escape(str(file)) + " is damaged"):
        store.find(name)


def test_a_store_that_cannot_be_written_says_which_setting_to_check(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file, not a folder")
    with pytest.raises(SealingError, match="MYPROPERTY_KEY_STORE_URL"):
        KeyStore(str(tmp_path / "keys")).write(WrappedKey(KeyName(KEY_ID, TENANT, None), "master:a", b"1"))
