"""Sealed values as bytes: AES-256-GCM (NIST SP 800-38D), bound to their table, column and row.

    format (1 byte, = 1) | id of the data key (16) | nonce (12) | ciphertext and tag (text + 16)

Pure functions; keys come from `myproperty.sealing.keyring`.
"""

import json
import os
import uuid
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from myproperty.sealing.errors import SealingError

FORMAT = 1
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
HEADER_BYTES = 1 + 16

# Table and column are authenticated with the value: with a misspelt name it could never be read again.
SEALED_COLUMNS = frozenset(
    {
        ("users", "full_name"),
        ("notification_preferences", "destination"),
        ("agent_messages", "content"),
        ("agent_audit", "payload"),
    }
)


@dataclass(frozen=True)
class Place:
    """The place of a value: a column of a table of schema `myproperty`, and the id of the row.

    Raises `SealingError` for a column that is not declared as sealed.
    """

    tenant: uuid.UUID
    table: str
    column: str
    row: uuid.UUID

    def __post_init__(self) -> None:
        if (self.table, self.column) not in SEALED_COLUMNS:
            known = ", ".join(sorted(f"{table}.{column}" for table, column in SEALED_COLUMNS))
            raise SealingError(f"{self.table}.{self.column} is not a sealed column: use one of {known}")

    def __str__(self) -> str:
        return f"{self.table}.{self.column} of row {self.row}, tenant {self.tenant}"


def new_key() -> bytes:
    """Make a random key of 32 bytes."""
    return AESGCM.generate_key(bit_length=KEY_BYTES * 8)


def encrypt(key: bytes, plain: bytes, associated: bytes, nonce: bytes | None = None) -> bytes:
    """Return nonce, ciphertext and tag; the nonce is random unless given."""
    nonce = os.urandom(NONCE_BYTES) if nonce is None else nonce
    return nonce + AESGCM(key).encrypt(nonce, plain, associated)


def decrypt(key: bytes, encrypted: bytes, associated: bytes) -> bytes:
    """Reverse `encrypt`. Raises `InvalidTag` if key, bytes or associated data differ."""
    if len(encrypted) < NONCE_BYTES + TAG_BYTES:
        raise InvalidTag
    return AESGCM(key).decrypt(encrypted[:NONCE_BYTES], encrypted[NONCE_BYTES:], associated)


def seal(text: str, key_id: uuid.UUID, key: bytes, place: Place) -> bytes:
    """Seal `text` for `place`; the value can be read only there."""
    try:
        plain = text.encode()
    except UnicodeEncodeError as error:
        raise SealingError(
            f"{place}: the text holds half of a character ({error.reason}): decode it before sealing"
        ) from error
    header = bytes([FORMAT]) + key_id.bytes
    return header + encrypt(key, plain, _associated(header, place))


def key_id_of(sealed: bytes) -> uuid.UUID:
    """Read the id of the data key from a sealed value. Raises `SealingError` for any other bytes."""
    if len(sealed) < HEADER_BYTES + NONCE_BYTES + TAG_BYTES or sealed[0] != FORMAT:
        raise SealingError(
            f"this is not a sealed value of format {FORMAT} ({len(sealed)} bytes): another program "
            f"stored it, or it was cut"
        )
    return uuid.UUID(bytes=sealed[1:HEADER_BYTES])


def unseal(sealed: bytes, key: bytes, place: Place) -> str:
    """Return the text of a sealed value. Raises `SealingError` if it was not sealed for this place."""
    header, encrypted = sealed[:HEADER_BYTES], sealed[HEADER_BYTES:]
    try:
        return decrypt(key, encrypted, _associated(header, place)).decode()
    except InvalidTag:
        raise SealingError(
            f"{place}: the value is not what was sealed there. It was changed, or moved from another row, "
            f"column or tenant: restore it from a backup, and find its writer in audit.logged_actions"
        ) from None


def _associated(header: bytes, place: Place) -> bytes:
    parts = [str(place.tenant), place.table, place.column, str(place.row)]
    return header + json.dumps(parts).encode()
