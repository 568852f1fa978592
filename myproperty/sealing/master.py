"""The master keys, which wrap the keys of the tenants. They come from the settings and are stored nowhere.

Exception: without the setting, an embedded engine makes a master key in its home.
"""

import base64
import binascii
import os
import re
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from myproperty.sealing.cipher import KEY_BYTES, new_key
from myproperty.sealing.errors import SealingError
from myproperty.settings import Settings


@dataclass(frozen=True)
class MasterKeys:
    """Keys of 32 bytes by id; the first wraps, all unwrap."""

    keys: Mapping[str, bytes] = field(repr=False)

    @property
    def first(self) -> str:
        """The id of the wrapping key."""
        return next(iter(self.keys))


def master_keys(settings: Settings) -> MasterKeys:
    """Read MYPROPERTY_MASTER_KEYS or, on an embedded engine, <home>/keys/master.key.

    The first use makes that file, readable only by its owner. Raises `SealingError`.
    """
    if settings.master_keys is not None:
        return parse(settings.master_keys.get_secret_value(), "MYPROPERTY_MASTER_KEYS")
    if settings.oltp_dsn is not None:
        raise SealingError(
            "MYPROPERTY_MASTER_KEYS is not set, and only the embedded engine makes a key for itself: set "
            "it to id:key, where the key is 32 random bytes in base64 (`openssl rand -base64 32`)"
        )
    file = settings.home / "keys" / "master.key"
    if not file.exists():
        _make(file)
    return parse(file.read_text(), str(file))


def parse(text: str, source: str) -> MasterKeys:
    """Parse `id:base64` pairs, separated by commas or white space. Raises `SealingError`; it shows no key."""
    keys: dict[str, bytes] = {}
    for number, pair in enumerate(re.split(r"[,\s]+", text.strip(", \t\r\n")), start=1):
        name, colon, encoded = pair.partition(":")
        if not colon or not re.fullmatch(r"[A-Za-z0-9._-]+", name):
            raise SealingError(
                f"{source}: entry {number} is not id:key: an id consists of letters, digits, `.`, `_` and `-`"
            )
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raise SealingError(f"{source}: the key {name} is not base64") from None
        if len(key) != KEY_BYTES:
            raise SealingError(f"{source}: the key {name} has {len(key)} bytes, not {KEY_BYTES}")
        if name in keys:
            raise SealingError(f"{source}: the key {name} is there twice: give each key its own id")
        keys[name] = key
    return MasterKeys(keys)


def _make(file: Path) -> None:
    """Make the complete file in one step; if another process was faster, its file stays."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A random id distinguishes a new key from a lost one.
    text = f"local-{secrets.token_hex(4)}:{base64.b64encode(new_key()).decode()}\n"
    new = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    try:
        os.link(new, file)
    except FileExistsError:
        return
    finally:
        new.unlink()
