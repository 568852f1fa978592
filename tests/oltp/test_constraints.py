"""What the tables themselves refuse, by the name of the rule, and what an update does to a version."""

from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest
from psycopg import errors

pytestmark = pytest.mark.engine


@pytest.fixture
def put(db: psycopg.Connection, companies: Any, insert: Any) -> Any:
    """Insert the second row of a table for Acacia, with some columns changed."""

    def _put(table: str, **changes: Any) -> None:
        insert(db, table, {**companies[0].second_rows()[table], **changes})

    return _put


@pytest.mark.parametrize(
    ("table", "changes", "rule"),
    [
        ("tenants", {"region": "Australia"}, "region_is_iso_3166_alpha_2"),
        ("tenants", {"status": "gone"}, "tenant_status_is_known"),
        ("properties", {"timezone": "Mars/Olympus"}, "timezone_is_an_iana_name"),
        ("properties", {"timezone": "Australia/Sydneyy"}, "timezone_is_an_iana_name"),
        ("properties", {"timezone": "Foo/Bar+3"}, "timezone_is_an_iana_name"),
        ("properties", {"timezone": "AEST"}, "timezone_is_an_iana_name"),
        ("properties", {"solar_capacity_kw": -1}, "solar_capacity_is_not_negative"),
        ("units", {"sq_ft": 0}, "sq_ft_is_positive"),
        ("meters", {"type": "wind"}, "meter_type_is_known"),
        ("meter_registers", {"channel": "net"}, "channel_is_known"),
        ("meter_registers", {"interval_seconds": 0}, "interval_is_within_a_day"),
        ("meter_assignments", {"assigned_during": "(,2026-01-01)"}, "assignment_has_a_first_day"),
        ("ingestion_jobs", {"content_hash": "A" * 64}, "content_hash_is_sha256_in_hex"),
        ("ingestion_jobs", {"accepted": -1}, "counts_are_not_negative"),
        ("ingestion_job_dates", {"readings": -1}, "readings_are_not_negative"),
        ("meter_readings", {"channel": "net"}, "channel_is_known"),
        ("meter_readings", {"quality": "good"}, "quality_is_known"),
        ("meter_readings", {"quality": "null"}, "null_quality_means_no_value"),
        ("meter_readings", {"value_native": None, "value_kwh": None}, "null_quality_means_no_value"),
        ("meter_readings", {"value_kwh": None}, "value_kwh_is_for_energy_alone"),
        ("meter_readings", {"unit": "m3"}, "value_kwh_is_for_energy_alone"),
        ("meter_readings", {"value_native": -1, "value_kwh": -1}, "one_way_energy_is_not_negative"),
        ("meter_readings", {"interval_seconds": 90001}, "interval_is_within_a_day"),
        ("meter_readings", {"reading_ts": datetime(2026, 1, 3, tzinfo=UTC)}, "reading_date_is_local"),
    ],
)
def test_a_check_names_its_rule(put: Any, table: str, changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(errors.CheckViolation, match=rule):
        put(f"myproperty.{table}", **changes)


@pytest.mark.parametrize(
    ("table", "changes"),
    [
        ("properties", {"timezone": "America/Argentina/Buenos_Aires"}),
        ("properties", {"timezone": "America/Port-au-Prince"}),
        ("meters", {"timezone": "Etc/GMT-10"}),
        ("meters", {"timezone": "UTC"}),
        ("meter_assignments", {"assigned_during": "[2026-07-01,2027-01-01)"}),
        ("meter_readings", {"quality": "null", "value_native": None, "value_kwh": None}),
        ("meter_readings", {"channel": "other", "unit": "m3", "value_kwh": None}),
        ("meter_readings", {"channel": "voltage", "unit": "V", "value_native": -1, "value_kwh": None}),
        ("meter_readings", {"unit": "Wh", "value_native": 1500, "value_kwh": "1.5"}),
        ("meter_readings", {"reading_ts": datetime(2025, 12, 31, 13, tzinfo=UTC)}),
        ("ingestion_jobs", {"content_hash": "a" * 64, "status": "refused"}),
    ],
)
def test_what_is_right_passes(put: Any, table: str, changes: dict[str, Any]) -> None:
    put(f"myproperty.{table}", **changes)


def test_a_meter_serves_one_unit_at_a_time(put: Any) -> None:
    with pytest.raises(errors.ExclusionViolation, match="meter_serves_one_unit_at_a_time"):
        put("myproperty.meter_assignments", assigned_during="[2026-06-30,2026-07-02)")


def test_content_is_loaded_once(put: Any) -> None:
    with pytest.raises(errors.UniqueViolation, match="ingestion_jobs_load_content_once"):
        put("myproperty.ingestion_jobs", content_hash="a" * 64)


@pytest.mark.parametrize(
    ("register", "channel"), [("E1", "export"), ("E9", "import")], ids=["register twice", "channel twice"]
)
def test_a_register_means_one_channel_of_one_meter(put: Any, register: str, channel: str) -> None:
    with pytest.raises(errors.UniqueViolation):
        put("myproperty.meter_registers", register=register, channel=channel)


def test_a_parent_cannot_go_while_it_has_children(db: psycopg.Connection, companies: Any) -> None:
    for table, row in (("meters", companies[0].meter), ("properties", companies[0].property)):
        with pytest.raises((errors.RestrictViolation, errors.ForeignKeyViolation)), db.transaction():
            db.execute(f"delete from myproperty.{table} where id = %s".encode(), (row,))


def test_an_update_moves_version_and_time(db: psycopg.Connection, companies: Any) -> None:
    query = (
        "update myproperty.properties set name = 'New' where id = %s returning version, updated_at = now()"
    )
    assert db.execute(query, (companies[0].property,)).fetchone() == (2, True)


def test_an_update_with_the_version_of_an_older_read_is_refused(
    db: psycopg.Connection, companies: Any
) -> None:
    update = "update myproperty.properties set name = 'New', version = %s where id = %s"
    db.execute(update, (1, companies[0].property))
    with pytest.raises(
        psycopg.errors.DatabaseError,
        match=r"stale version of myproperty\.properties: the row is at version 2",
    ) as caught:
        db.execute(update, (1, companies[0].property))
    assert caught.value.sqlstate == "MP001"


def test_an_update_of_a_reading_moves_its_version_through_the_partition(
    db: psycopg.Connection, companies: Any
) -> None:
    query = """
        update myproperty.meter_readings set value_native = 2, value_kwh = 2
        where reading_date = %s and tenant_id = %s returning version
    """
    assert db.execute(query, (date(2026, 1, 1), companies[0].tenant)).fetchall() == [(2,)]


@pytest.mark.parametrize("change", ["update {} set unit = 'Wh'", "delete from {}"])
def test_a_replaced_reading_is_never_changed(db: psycopg.Connection, companies: Any, change: str) -> None:
    with pytest.raises(psycopg.errors.DatabaseError, match="is history"):
        db.execute(change.format("myproperty.meter_reading_versions").encode())


def test_ids_are_uuid_version_7(db: psycopg.Connection, put: Any) -> None:
    db.execute(
        "insert into myproperty.tenants (name, region) values ('Casuarina', 'DE') returning id, tenant_id"
    )
    query = "select uuid_extract_version(id), id = tenant_id from myproperty.tenants where name = 'Casuarina'"
    assert db.execute(query).fetchone() == (7, True)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"status": "closed", "resolved_at": "now"}, "quarantine_status_is_known"),
        ({"status": "replayed"}, "closed_quarantine_says_when"),
        ({"status": "resolved", "resolved_at": "now"}, "resolved_quarantine_says_who_and_why"),
    ],
)
def test_quarantine_is_closed_with_a_reason(put: Any, changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(errors.CheckViolation, match=rule):
        put("warehouse_staging.quarantined_readings", **changes)
