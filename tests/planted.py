"""A reading of an impossible length in a small company: gate A of the real job fails on its date."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import psycopg

from data.ingest.readings.load import ingest_file
from expectations.verdicts import Verdict, save_verdicts
from myproperty.dates import Window

FILE = Path(__file__).parent / "fixtures" / "nem12_two_channels.csv"
DATES = Window(date(2024, 2, 1), date(2024, 2, 3))


def plant_wrong_reading(dsn: str) -> str:
    """Ingest a file and change the length of its intervals behind the loader's back; return the tenant."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "insert into myproperty.tenants (name, region) values ('planted', 'AU') returning id::text"
        ).fetchone()
        assert row is not None
        connection.execute(
            "insert into myproperty.properties (tenant_id, name, timezone)"
            " values (%s, 'house', 'Australia/Sydney')",
            row,
        )
    result = ingest_file(FILE, tenant="planted", dsn=dsn, create_meters="house")
    assert result.status == "loaded"
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "update myproperty.meter_readings set interval_seconds = 1234 where reading_date = %s",
            (DATES.start,),
        )
    return str(row[0])


def keep_verdicts(dsn: str, verdicts: Sequence[Verdict]) -> None:
    """Store verdicts as the gates do."""
    with psycopg.connect(dsn) as connection:
        save_verdicts(connection, verdicts)
