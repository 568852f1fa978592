"""Settings that only the embedded engines read, from `MYPROPERTY_*`."""

import os
from functools import lru_cache
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from myproperty.settings import PREFIX, SettingsError, describe_invalid


class EngineSettings(BaseSettings):
    """How the embedded engines of this machine run. An invalid value raises `pydantic.ValidationError`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, hide_input_in_errors=True)

    postgres_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Port of the embedded PostgreSQL. Unset: any free port, kept for the next start.",
    )
    emulator_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Port of the BigQuery emulator. Unset: any free port, kept for the next start.",
    )
    emulator_venv: Path | None = Field(
        default=None,
        description="Folder of the emulator's Python environment, which several homes may share. "
        "Unset: `.local/emulator-venv` in the checkout.",
    )
    emulator_python: Path | None = Field(
        default=None,
        description="Python 3.13 that makes the emulator's environment. Unset: the command looks for one.",
    )
    superset_venv: Path | None = Field(
        default=None,
        description="Folder of the Python environment of Superset, which several homes may share. "
        "Unset: `.local/superset-venv` in the checkout.",
    )
    superset_port: int = Field(
        default=8088, ge=1, le=65535, description="Port of the [dashboards](dashboards.md) on 127.0.0.1."
    )
    backup_folder: Path | None = Field(
        default=None,
        description="Folder of the [backups](backups.md) of the embedded PostgreSQL, on another disk than "
        "the home and apart from the key store. `myproperty up` archives WAL there. Unset: no backups.",
    )
    backup_url: str | None = Field(
        default=None,
        description="fsspec URL of a bucket or another folder for copies of the backup folder, apart from "
        "the key store. `myproperty backup` copies base backups there, the sensor `copied_wal` WAL each "
        "minute. Unset: no copies.",
    )
    backup_wal_seconds: int = Field(
        default=60,
        ge=1,
        description="Number of seconds after which written WAL is archived, full or not: the most that a "
        "lost disk loses. Each archived file takes 16 MB.",
    )
    backups_kept: int = Field(
        default=7,
        ge=1,
        description="Number of base backups of a home that `myproperty backup` keeps, with the WAL since the "
        "oldest.",
    )


def read_engine_settings() -> EngineSettings:
    """Return the settings of this process's environment; only a change of it makes them be read again.

    Jobs look their database up before each connection, and reading the settings takes as long as connecting.
    Raises SettingsError if one is invalid.
    """
    return _read(tuple(sorted(pair for pair in os.environ.items() if pair[0].startswith(PREFIX))))


@lru_cache(maxsize=8)
def _read(_environment: tuple[tuple[str, str], ...]) -> EngineSettings:
    try:
        return EngineSettings()
    except ValidationError as error:
        raise SettingsError(describe_invalid(error)) from None
