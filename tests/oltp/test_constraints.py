"""Rows that the tables refuse, with the name of the broken constraint, and versions after an update."""

import uuid
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql

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
        ("users", {"email": "ann"}, "email_looks_like_one"),
        ("users", {"role": "admin"}, "user_role_is_known"),
        ("users", {"status": "gone"}, "user_status_is_known"),
        ("data_keys", {"status": "destroyed"}, "destroyed_key_says_when_and_why"),
        (
            "data_keys",
            {"destroyed_at": "now", "destroyed_because": "asked"},
            "destroyed_key_says_when_and_why",
        ),
        ("notification_preferences", {"topic": "weather"}, "topic_is_known"),
        ("tenancies", {"occupied_during": "(,2026-01-01)"}, "tenancy_has_a_first_day"),
        ("tenancies", {"occupied_during": "empty"}, "tenancy_has_a_first_day"),
        ("solar_assets", {"capacity_kw": 0}, "capacity_is_positive"),
        ("solar_assets", {"tilt_degrees": 91}, "tilt_is_an_angle"),
        ("solar_assets", {"azimuth_degrees": 361}, "azimuth_is_an_angle"),
        ("solar_assets", {"capital_cost": 1}, "cost_has_a_currency"),
        ("solar_assets", {"yearly_cost": -1, "currency": "AUD"}, "yearly_cost_is_not_negative"),
        ("solar_assets", {"in_service_during": "empty"}, "asset_has_a_first_day"),
        ("solar_reference_yields", {"expected_kwh": -1}, "expected_is_not_negative"),
        ("solar_reference_yields", {"irradiation_kwh_per_m2": -1}, "irradiation_is_not_negative"),
        ("solar_reference_yields", {"interval_seconds": 0}, "interval_is_positive"),
        ("solar_appraisals", {"first_year_kwh": 0}, "energy_is_positive"),
        ("solar_appraisals", {"degradation_rate": 1}, "degradation_is_a_share"),
        ("solar_appraisals", {"discount_rate": -1}, "discount_is_a_rate"),
        ("solar_appraisals", {"lifetime_years": 51}, "lifetime_is_known"),
        ("solar_appraisals", {"capital_cost": 0}, "capital_cost_is_positive"),
        ("solar_appraisals", {"export_share": "1.1", "export_price_per_kwh": 0}, "export_is_a_share"),
        ("solar_appraisals", {"export_share": "0.4"}, "export_has_a_price"),
        ("solar_appraisals", {"export_price_per_kwh": "-0.1"}, "export_price_is_not_negative"),
        ("solar_appraisals", {"tax_rate": "1.1"}, "tax_rate_is_a_share"),
        (
            "solar_appraisals",
            {"replacement_cost": 0, "replacement_year": 12},
            "replacement_cost_is_positive",
        ),
        ("solar_appraisals", {"replacement_cost": 900}, "replacement_has_a_year_within_the_lifetime"),
        ("solar_appraisals", {"replacement_year": 12}, "replacement_has_a_year_within_the_lifetime"),
        (
            "solar_appraisals",
            {"replacement_cost": 900, "replacement_year": 26},
            "replacement_has_a_year_within_the_lifetime",
        ),
        *(
            ("solar_appraisals", {"monthly_shares": shares}, "monthly_shares_are_twelve_that_sum_to_one")
            for shares in (
                [],
                ["0.1"] * 10,
                ["0.1"] * 12,
                ["1", *["0"] * 10],
                ["2", "-1", *["0"] * 10],
                ["1", None, *["0"] * 10],
                "[0:11]={1,0,0,0,0,0,0,0,0,0,0,0}",
                "{{0.5,0.5},{0,0},{0,0},{0,0},{0,0},{0,0}}",
            )
        ),
        ("providers", {"region": "Australia"}, "region_is_iso_3166_alpha_2"),
        ("rate_plans", {"currency": "aud"}, "currency_is_iso_4217"),
        ("rate_plan_bands", {"charge": "export"}, "charge_is_known"),
        ("rate_plan_bands", {"minutes_of_day": "[0,1441)"}, "minutes_are_within_a_day"),
        ("rate_plan_bands", {"minutes_of_day": "empty"}, "minutes_are_within_a_day"),
        ("rate_plan_bands", {"unit_amount": "-0.1"}, "unit_amount_is_not_negative"),
        ("rate_plan_bands", {"tax_rate": 2}, "tax_rate_is_a_share"),
        ("emission_factor_regions", {"region": "New South Wales"}, "region_has_a_code"),
        ("allocation_methods", {"method": "fair"}, "method_is_known"),
        ("allocation_keys", {"share": "1.1"}, "share_is_a_share"),
        ("allocation_periods", {"surplus_kwh": -1}, "energy_is_not_negative"),
        ("allocation_periods", {"billing_period": "[2026-01-01,)"}, "billing_period_is_bounded"),
        ("allocation_ledger", {"grid_kwh": -1}, "energy_is_not_negative"),
        ("allocation_ledger", {"confidence": 2}, "confidence_is_a_share"),
        ("allocation_adjustments", {"reason": " "}, "adjustment_has_a_reason"),
        ("invoices", {"total_amount": -1}, "total_is_not_negative"),
        ("invoices", {"status": "issued"}, "issued_invoice_says_when"),
        (
            "invoices",
            {"issued_at": "2026-02-02 00:00+00", "due_at": "2026-02-01 00:00+00"},
            "invoice_is_due_after_it_is_issued",
        ),
        ("invoice_lines", {"quantity": -6, "total_amount": "-1.32"}, "quantity_is_not_negative"),
        ("invoice_lines", {"unit_amount": "-0.2", "total_amount": "-1.32"}, "only_a_credit_is_negative"),
        ("invoice_lines", {"category": "credit"}, "only_a_credit_is_negative"),
        ("invoice_lines", {"total_amount": "1.33"}, "line_total_is_quantity_by_amount_with_tax"),
        ("invoice_lines", {"allocation_id": None}, "energy_comes_from_an_allocation"),
        ("payments", {"amount": 0}, "payment_is_positive"),
        ("ledger_accounts", {"code": "Sales"}, "account_has_a_code"),
        ("ledger_entries", {"amount": -1}, "amount_is_positive"),
        ("ledger_entries", {"debit_account": "receivables"}, "entry_moves_between_two_accounts"),
        ("service_tickets", {"status": "resolved"}, "resolved_ticket_says_when"),
        ("service_tickets", {"resolved_at": "2100-01-01 00:00+00"}, "resolved_ticket_says_when"),
        (
            "service_tickets",
            {"status": "closed", "resolved_at": "2000-01-01 00:00+00"},
            "ticket_is_resolved_after_it_is_opened",
        ),
        ("ticket_quotes", {"amount": -1}, "quote_is_not_negative"),
        ("ticket_schedules", {"scheduled_during": "[2026-02-03 09:00+00,)"}, "visit_has_a_start_and_an_end"),
        ("ticket_activities", {"agent_id": "helpdesk"}, "activity_is_of_a_person_or_an_agent"),
        ("ticket_activities", {"user_id": None}, "activity_is_of_a_person_or_an_agent"),
        ("ticket_activities", {"kind": "ai_action"}, "ai_action_is_of_an_agent"),
        ("agent_audit", {"input_hash": "hello"}, "input_hash_is_sha256_in_hex"),
        ("agent_audit", {"latency_ms": -1}, "latency_is_not_negative"),
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
        ("users", {"email": "a.b+c@sub.acacia.example"}),
        (
            "data_keys",
            {"status": "destroyed", "destroyed_at": "now", "destroyed_because": "asked to be forgotten"},
        ),
        ("tenancies", {"occupied_during": "[2026-07-01,)"}),
        ("solar_assets", {"capital_cost": 0, "currency": "AUD", "azimuth_degrees": 0}),
        ("invoice_lines", {"quantity": 1, "unit_amount": "0.125", "tax_rate": 0, "total_amount": "0.13"}),
        (
            "invoice_lines",
            {
                "category": "credit",
                "quantity": 1,
                "unit_amount": "-0.125",
                "tax_rate": 0,
                "total_amount": "-0.13",
            },
        ),
        (
            "solar_appraisals",
            {
                "export_share": "0.4",
                "export_price_per_kwh": "0.05",
                "tax_rate": "0.25",
                "replacement_cost": 900,
                "replacement_year": 25,
                "monthly_shares": [*["0.08333333"] * 8, *["0.08333334"] * 4],
            },
        ),
        # The same minutes and dates as the solar band: a plan prices what is used and what is exported.
        ("rate_plan_bands", {"charge": "feed_in", "valid_during": "[2026-01-01,2026-07-01)"}),
        ("service_tickets", {"status": "closed", "resolved_at": "2100-01-01 00:00+00"}),
        ("ticket_activities", {"kind": "ai_action", "user_id": None, "agent_id": "helpdesk"}),
    ],
)
def test_what_is_right_passes(put: Any, table: str, changes: dict[str, Any]) -> None:
    put(f"myproperty.{table}", **changes)


@pytest.mark.parametrize(
    ("table", "changes", "rule"),
    [
        (
            "meter_assignments",
            {"assigned_during": "[2026-06-30,2026-07-02)"},
            "meter_serves_one_unit_at_a_time",
        ),
        ("tenancies", {"occupied_during": "[2026-06-30,)"}, "unit_has_one_tenancy_at_a_time"),
        ("rate_plan_assignments", {"assigned_during": "[2025-01-01,)"}, "unit_has_one_rate_plan_at_a_time"),
        (
            "feed_in_assignments",
            {"assigned_during": "[2026-06-30,)"},
            "property_has_one_feed_in_plan_at_a_time",
        ),
        ("rate_plan_bands", {"valid_during": "[2026-06-30,2026-07-01)"}, "one_band_is_in_force"),
        (
            "rate_plan_bands",
            {"valid_during": "[2026-01-01,)", "minutes_of_day": "[1439,1440)"},
            "one_band_is_in_force",
        ),
        ("emission_factor_regions", {"valid_during": "[2026-06-30,)"}, "property_is_in_one_region_at_a_time"),
        ("allocation_methods", {"valid_during": "[2026-06-30,)"}, "property_has_one_method_at_a_time"),
        ("allocation_keys", {"valid_during": "[2026-06-30,)"}, "participant_has_one_share_at_a_time"),
        (
            "allocation_periods",
            {"billing_period": "[2026-01-31,2026-02-02)"},
            "property_has_one_period_at_a_time",
        ),
    ],
)
def test_what_holds_at_a_time_does_not_overlap(
    put: Any, table: str, changes: dict[str, Any], rule: str
) -> None:
    with pytest.raises(errors.ExclusionViolation, match=rule):
        put(f"myproperty.{table}", **changes)


@pytest.mark.parametrize(
    ("table", "changes", "rule"),
    [
        ("ingestion_jobs", {"content_hash": "a" * 64}, "ingestion_jobs_load_content_once"),
        ("meters", {"serial_number": "S1"}, "meters_tenant_id_serial_number_key"),
        ("users", {"email": "ann@acacia.example"}, "email_is_unique_in_a_tenant"),
        ("users", {"email": "ANN@Acacia.EXAMPLE"}, "email_is_unique_in_a_tenant"),
        ("data_keys", {"user_id": None}, "data_keys_one_active"),
        (
            "notification_preferences",
            {"channel": "email"},
            "notification_preferences_tenant_id",
        ),
        ("solar_assets", {"serial_number": "A1"}, "solar_assets_tenant_id_serial_number_key"),
        ("invoices", {"number": "1"}, "invoice_number_is_unique_in_a_tenant"),
        ("invoices", {"billing_period": "[2026-01-01,2026-02-01)"}, "invoices_bill_a_tenancy_once"),
        ("invoice_lines", {"line_number": 1}, "invoice_lines_tenant_id_invoice_id_line_number_key"),
        ("payments", {"reference": "bank-1"}, "payment_is_taken_once"),
        ("ledger_accounts", {"code": "bank"}, "ledger_accounts_tenant_id_code_key"),
        ("agent_messages", {"sequence": 1}, "agent_messages_tenant_id_session_id_sequence_key"),
    ],
)
def test_what_is_unique_in_a_tenant(put: Any, table: str, changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(errors.UniqueViolation, match=rule):
        put(f"myproperty.{table}", **changes)


def test_another_tenant_may_have_the_same(db: psycopg.Connection, companies: Any) -> None:
    for query in (
        "select count(distinct tenant_id) from myproperty.users where email = 'Ann@acacia.example'",
        "select count(distinct tenant_id) from myproperty.meters where serial_number = 'S1'",
        "select count(distinct tenant_id) from myproperty.invoices where number = '1'",
    ):
        assert db.execute(query).fetchone() == (2,)


def test_a_ticket_has_one_accepted_quote(put: Any) -> None:
    put("myproperty.ticket_quotes", status="accepted")
    put("myproperty.ticket_quotes", status="declined", id=uuid.uuid4())
    with pytest.raises(errors.UniqueViolation, match="ticket_quotes_one_accepted"):
        put("myproperty.ticket_quotes", status="accepted", id=uuid.uuid4())


@pytest.mark.parametrize("text", [b"", b"Ann", b"Ann Example, who lives at 1 Acacia Road in Sydney"])
@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("users", "full_name"),
        ("notification_preferences", "destination"),
        ("agent_messages", "content"),
        ("agent_audit", "payload"),
    ],
)
def test_a_sealed_column_refuses_plain_text(put: Any, table: str, column: str, text: bytes) -> None:
    with pytest.raises(errors.CheckViolation, match="is_sealed"):
        put(f"myproperty.{table}", **{column: text})


@pytest.mark.parametrize(
    ("register", "channel"), [("E1", "export"), ("E9", "import")], ids=["register twice", "channel twice"]
)
def test_a_register_means_one_channel_of_one_meter(put: Any, register: str, channel: str) -> None:
    with pytest.raises(errors.UniqueViolation):
        put("myproperty.meter_registers", register=register, channel=channel)


FOREIGN_KEYS = """
    select f.conname, f.conrelid::regclass::text as child, f.confrelid::regclass::text as parent, array(
        select (h.attname::text, t.attname::text)
        from unnest(f.conkey, f.confkey) as k (here, there)
        join pg_attribute h on h.attrelid = f.conrelid and h.attnum = k.here
        join pg_attribute t on t.attrelid = f.confrelid and t.attnum = k.there
        where h.attname <> 'tenant_id' and h.atttypid = 'uuid'::regtype
    ) as columns
    from pg_constraint f
    where f.contype = 'f' and f.conparentid = 0
    order by 2, 1
"""


def test_a_parent_cannot_go_while_it_has_children(db: psycopg.Connection, companies: Any) -> None:
    parents = {row[2] for row in db.execute(FOREIGN_KEYS)} - {"myproperty.ledger_entries"}  # append-only
    assert len(parents) >= 15
    for parent in parents:
        delete = sql.SQL("delete from {} where tenant_id = %s").format(sql.Identifier(*parent.split(".")))
        with pytest.raises(errors.RestrictViolation, match="foreign key"), db.transaction():
            db.execute(delete, (companies[0].tenant,))


def test_another_tenants_row_cannot_be_named_by_any_foreign_key(
    db: psycopg.Connection, companies: Any, insert: Any
) -> None:
    acacia, banksia = companies
    tried, accepted = 0, []
    for name, child, parent, columns in db.execute(FOREIGN_KEYS).fetchall():
        if not columns:
            continue  # to the tenant, or by a code that each tenant has its own of
        query = sql.SQL("select {} from {} where tenant_id = %s").format(
            sql.SQL(", ").join(sql.Identifier(there) for _, there in columns),
            sql.Identifier(*parent.split(".")),
        )
        theirs = db.execute(query, (banksia.tenant,)).fetchone()
        assert theirs is not None, parent
        foreign = {here: value for (here, _), value in zip(columns, theirs, strict=True)}
        tried += 1
        try:
            with db.transaction(force_rollback=True):
                insert(db, child, {**acacia.second_rows()[child], **foreign})
            accepted.append(f"{child}: {name}")
        except errors.ForeignKeyViolation:
            continue
    assert accepted == []
    assert tried >= 40


def test_no_message_is_of_a_tenant_that_is_not_there(
    db: psycopg.Connection, companies: Any, insert: Any
) -> None:
    """The policies let a session write for any tenant that it has set, even for one that does not exist."""
    nobody = uuid.uuid4()
    row = companies[0].second_rows()["myproperty.agent_messages"]
    db.execute("set local role myproperty_app")
    db.execute("select set_config('app.tenant_id', %s, true)", (str(nobody),))
    with pytest.raises(errors.ForeignKeyViolation, match="message_is_of_a_tenant"):
        insert(db, "myproperty.agent_messages", {**row, "tenant_id": nobody, "user_id": None})


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
