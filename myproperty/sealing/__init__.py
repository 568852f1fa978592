"""Envelope encryption of personal fields: sealed values, their keys, and erasure by destroying keys.

An application only needs `Sealer`. Operators use `rotation` and `erasure` on a `Keyring`; docs/privacy.md is
their guide.
"""

import time
import uuid
from collections.abc import Callable

from myproperty.sealing import cipher
from myproperty.sealing.erasure import Erased, erase_tenant, erase_user, replay
from myproperty.sealing.errors import ErasedError, SealingError
from myproperty.sealing.keyring import Keyring
from myproperty.sealing.mentions import pattern_of
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
    "pattern_of",
    "replay",
    "rotate_keys",
    "rotate_master",
]


class Sealer:
    """Seal text for one column of one row; it can be read only there.

    Keys are made at the first use, in a separate transaction: commit the row of a person before sealing their
    first value. After another process destroys a key, this one may use it for `keyring.TRUST_S` seconds more;
    values sealed in that time cannot be read again.
    """

    def __init__(self, dsn: str, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.keys = Keyring(dsn, settings, clock=clock)

    def __enter__(self) -> "Sealer":
        return self

    def __exit__(self, *_: object) -> None:
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
        """Seal `text` for `table.column` of the row with the id `row`.

        The key is that of `user`, or of the tenant if `user` is None. Raises `ErasedError` if the person or
        tenant was erased, `SealingError` if the text cannot be sealed.
        """
        place = cipher.Place(tenant, table, column, row)
        key = self.keys.active(tenant, user)
        return cipher.seal(text, key.name.id, key.secret, place)

    def unseal(self, sealed: bytes, *, tenant: uuid.UUID, table: str, column: str, row: uuid.UUID) -> str:
        """Return the text that was sealed for this place.

        Raises `ErasedError` if its key was destroyed, `SealingError` if the value was changed or moved, or
        cannot be opened.
        """
        place = cipher.Place(tenant, table, column, row)
        sealed = bytes(sealed)
        key = self.keys.find(tenant, cipher.key_id_of(sealed))
        return cipher.unseal(sealed, key.secret, place)
