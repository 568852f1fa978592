"""Envelope encryption of personal fields: sealed values, their keys, and erasure by destroying keys.

`Sealer` is all that an application needs. What an operator does is in `rotation` and `erasure`, on a
`Keyring`. For people who run it: docs/privacy.md.
"""

import time
import uuid
from collections.abc import Callable
from types import TracebackType

from myproperty.sealing import cipher
from myproperty.sealing.erasure import Erased, erase_tenant, erase_user, replay
from myproperty.sealing.errors import ErasedError, SealingError
from myproperty.sealing.keyring import Keyring
from myproperty.sealing.rotation import rotate_keys, rotate_master
from myproperty.settings import Settings

__all__ = [
    "Erased",
    "ErasedError",
    "Keyring",
    "Sealer",
    "SealingError",
    "erase_tenant",
    "erase_user",
    "replay",
    "rotate_keys",
    "rotate_master",
]


class Sealer:
    """Seals text for a column of a row, and reads it back there and nowhere else.

    Keys are made at first use, in a transaction of their own: a person has to be in the database, and
    committed, before the first value of theirs is sealed. A key destroyed by another process is used for at
    most `keyring.TRUST_S` seconds more; what was sealed in that time cannot be read again.
    """

    def __init__(self, dsn: str, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.keys = Keyring(dsn, settings, clock=clock)

    def __enter__(self) -> "Sealer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and forget the keys."""
        self.keys.close()

    def seal(
        self,
        text: str,
        *,
        tenant: uuid.UUID,
        user: uuid.UUID | None = None,
        table: str,
        column: str,
        row: uuid.UUID,
    ) -> bytes:
        """The sealed value of `text`, to be stored in `table.column` of the row with the id `row`.

        Under the key of `user` if it is personal to them, else under that of the tenant. Raises
        `ErasedError` for who was erased, `SealingError` for what cannot be sealed.
        """
        place = cipher.Place(tenant, table, column, row)
        key = self.keys.active(tenant, user)
        return cipher.seal(text, key.name.id, key.secret, place)

    def unseal(self, sealed: bytes, *, tenant: uuid.UUID, table: str, column: str, row: uuid.UUID) -> str:
        """The text that was sealed for this place.

        Raises `ErasedError` if its key was destroyed, `SealingError` if it was changed, moved or cannot be
        opened.
        """
        place = cipher.Place(tenant, table, column, row)
        sealed = bytes(sealed)
        key = self.keys.find(tenant, cipher.key_id_of(sealed))
        return cipher.unseal(sealed, key.secret, place)
