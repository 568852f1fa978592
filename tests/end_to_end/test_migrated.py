"""One command brings the databases and the warehouse of a former release to this one."""

from collections.abc import Iterator

import psycopg
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from commands.main import app
from myproperty import engines
from myproperty.settings import get_settings
from tests.end_to_end.support import Platform

pytestmark = [pytest.mark.engine, pytest.mark.slow]

ENERGY = """
select tenant_id, reading_date, sum(energy_kwh) as kwh from bi.energy_daily_v1 group by 1, 2 order by 1, 2
"""


@pytest.fixture
def command(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    """Runs commands with the settings of the platform: its home, its databases and the login of each job."""
    settings = platform.settings
    monkeypatch.setenv("MYPROPERTY_HOME", str(settings.home))
    for name in type(settings).model_fields:
        if name.endswith("_dsn") and (dsn := getattr(settings, name)) is not None:
            secret = dsn.get_secret_value() if isinstance(dsn, SecretStr) else dsn
            monkeypatch.setenv(f"MYPROPERTY_{name.upper()}", secret)
    get_settings.cache_clear()
    yield CliRunner()
    get_settings.cache_clear()


def test_migrate_brings_the_warehouse_too(platform: Platform, command: CliRunner) -> None:
    before = platform.query(ENERGY)
    # A mart without a column, and without the view that reads it, as a former release had it.
    with psycopg.connect(engines.dsn(platform.settings, "warehouse")) as connection:
        connection.execute("alter table marts.mart_energy_daily drop column feed_in_amount cascade")

    done = command.invoke(app, ["migrate", "--warehouse"])

    assert done.exit_code == 0, done.output
    assert "The OLTP schema is at revision" in done.output and "published" in done.output
    assert platform.query(ENERGY).equals(before)
    assert len(platform.query("select feed_in_amount from bi.energy_daily_v1")) > 0
