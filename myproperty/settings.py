"""Settings of the platform, read from the environment (`MYPROPERTY_*`).

Only values live here: what an engine is doing is asked of `myproperty.engines.local`.
"""

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

CHECKOUT = Path(__file__).resolve().parent.parent
WarehouseKind = Literal["postgres", "bigquery", "emulator"]


class Settings(BaseSettings):
    """One environment of the platform.

    A value outside its type, an unknown warehouse among them, raises `pydantic.ValidationError`.
    """

    model_config = SettingsConfigDict(env_prefix="MYPROPERTY_")

    home: Path = CHECKOUT / ".local"
    warehouse: WarehouseKind = "postgres"
    oltp_dsn: str | None = Field(default=None, description="libpq URI; None means the embedded engine")
    warehouse_dsn: str | None = Field(default=None, description="libpq URI; None means the embedded engine")
    inbox_url: str | None = Field(default=None, description="fsspec URL; None means <home>/inbox")
    archive_url: str | None = Field(default=None, description="fsspec URL; None means <home>/archive")
    key_store_url: str | None = Field(default=None, description="fsspec URL; None means <home>/keys")
    master_keys: SecretStr | None = Field(
        default=None, description="id:base64 pairs, the first wraps; None means <home>/keys/master.key"
    )
    readings_retention_days: int | None = Field(
        default=None, gt=0, description="Days a reading date stays in PostgreSQL; None means for good"
    )
    readings_archive_url: str | None = Field(
        default=None, description="fsspec URL; None means <home>/readings-archive"
    )
    bigquery_project: str = "local"
    bigquery_location: str = "australia-southeast1"
    bigquery_endpoint: str | None = Field(default=None, description="None means Google's own")
    dataset_prefix: str = ""

    @property
    def inbox(self) -> str:
        """Where meter files arrive, one folder a tenant."""
        return self.inbox_url or str(self.home / "inbox")

    @property
    def archive(self) -> str:
        """Where ingested files go, in the same folders."""
        return self.archive_url or str(self.home / "archive")

    @property
    def readings_archive(self) -> str:
        """Where the readings of old dates go, a file a date."""
        return self.readings_archive_url or str((self.home / "readings-archive").absolute())

    @property
    def key_store(self) -> str:
        """Where the wrapped keys of personal fields are, one folder a tenant."""
        return self.key_store_url or str(self.home / "keys")


@lru_cache
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
