"""A company with a row for every table: the rows that tests of the OLTP schema write."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from data.landing.entities import ENTITIES

DAY = date(2026, 1, 1)
FIRST_HALF, SECOND_HALF = "[2026-01-01,2026-07-01)", "[2026-07-01,2027-01-01)"
# Format 1, then as many bytes as the shortest sealed text has.
SEALED = b"\x01" + bytes(44)
Row = dict[str, Any]


@dataclass(frozen=True)
class Company:
    """One tenant, the ids of its rows, and rows to put in."""

    name: str
    tenant: uuid.UUID = field(default_factory=uuid.uuid4)
    property: uuid.UUID = field(default_factory=uuid.uuid4)
    unit: uuid.UUID = field(default_factory=uuid.uuid4)
    meter: uuid.UUID = field(default_factory=uuid.uuid4)
    asset: uuid.UUID = field(default_factory=uuid.uuid4)
    job: uuid.UUID = field(default_factory=uuid.uuid4)
    user: uuid.UUID = field(default_factory=uuid.uuid4)
    tenancy: uuid.UUID = field(default_factory=uuid.uuid4)
    provider: uuid.UUID = field(default_factory=uuid.uuid4)
    rate_plan: uuid.UUID = field(default_factory=uuid.uuid4)
    band: uuid.UUID = field(default_factory=uuid.uuid4)
    period: uuid.UUID = field(default_factory=uuid.uuid4)
    allocation: uuid.UUID = field(default_factory=uuid.uuid4)
    task: uuid.UUID = field(default_factory=uuid.uuid4)
    invoice: uuid.UUID = field(default_factory=uuid.uuid4)
    payment: uuid.UUID = field(default_factory=uuid.uuid4)
    projects: tuple[uuid.UUID, uuid.UUID] = field(default_factory=lambda: (uuid.uuid4(), uuid.uuid4()))
    ticket: uuid.UUID = field(default_factory=uuid.uuid4)

    def rows(self) -> dict[str, Row]:
        """Table to its first row, parents first; tables that triggers alone write to are not there."""
        return {
            **self._estate(),
            **self._readings(),
            **self._people(),
            **self._tariffs(),
            **self._allocation(),
            **self._billing(),
            **self._service(),
            **self._staging(),
        }

    def rows_in_order(self) -> list[tuple[str, Row]]:
        """Return rows that can be committed in this order: the first of each table, and the rows it needs."""
        rows = self.rows()
        other_account = {**rows["myproperty.ledger_accounts"], "code": "receivables", "kind": "asset"}
        other_project = {**rows["originfd.projects"], "id": self.projects[1]}
        tenant, *others = rows.items()
        return [
            tenant,
            ("myproperty.ledger_accounts", other_account),
            ("originfd.projects", other_project),
            *others,
        ]

    def second_rows(self) -> dict[str, Row]:
        """Return for each table a second row, also for tables that triggers or the pipeline fill."""
        different: dict[str, Row] = {
            "myproperty.tenants": {"name": f"{self.name} again"},
            "myproperty.units": {"label": "2"},
            "myproperty.meters": {"serial_number": "S2"},
            "myproperty.meter_registers": {"register": "B1", "channel": "export"},
            "myproperty.meter_assignments": {"assigned_during": "[2026-07-01,)"},
            "myproperty.ingestion_jobs": {"content_hash": "b" * 64},
            "myproperty.ingestion_job_dates": {"reading_date": date(2026, 1, 2)},
            "myproperty.meter_readings": {"channel": "export"},
            "myproperty.meter_reading_versions": {"version": 2},
            "myproperty.vee_thresholds": {"valid_during": SECOND_HALF},
            "myproperty.register_reads": {"kind": "final"},
            "myproperty.reading_issues": {"rule": "VEE-GAP"},
            "myproperty.validated_dates": {"reading_date": date(2026, 1, 2)},
            "myproperty.reading_totals": {"reading_date": date(2026, 1, 2)},
            "myproperty.users": {"email": "ben@acacia.example"},
            "myproperty.data_keys": {"user_id": self.user},
            "myproperty.notification_preferences": {"channel": "sms"},
            "myproperty.tenancies": {"occupied_during": SECOND_HALF},
            "myproperty.solar_assets": {"serial_number": "A2"},
            "myproperty.solar_reference_yields": {"reading_ts": datetime(2026, 1, 1, 13, tzinfo=UTC)},
            "myproperty.solar_appraisals": {"valid_during": SECOND_HALF},
            "myproperty.providers": {"name": "Brightwater"},
            "myproperty.rate_plans": {"name": "Night"},
            "myproperty.rate_plan_bands": {"valid_during": SECOND_HALF},
            "myproperty.rate_plan_assignments": {"assigned_during": SECOND_HALF},
            "myproperty.feed_in_assignments": {"assigned_during": SECOND_HALF},
            "myproperty.emission_factor_regions": {"valid_during": SECOND_HALF},
            "myproperty.allocation_methods": {"valid_during": SECOND_HALF},
            "myproperty.allocation_keys": {"valid_during": SECOND_HALF},
            "myproperty.allocation_periods": {"billing_period": "[2026-02-01,2026-03-01)"},
            "myproperty.allocation_ledger": {"unit_id": None, "tenancy_id": None, "solar_kwh": 0},
            "myproperty.adjustment_tasks": {
                "status": "done",
                "decided_by": self.user,
                "decided_at": "2026-02-02 00:00+00",
                "reason": "meter exchanged",
            },
            "myproperty.invoices": {"number": "2", "billing_period": "[2026-02-01,2026-03-01)"},
            "myproperty.invoice_lines": {"line_number": 2},
            "myproperty.payments": {"reference": "bank-2"},
            "myproperty.ledger_accounts": {"code": "sales", "kind": "income"},
            "myproperty.project_links": {"originfd_project_id": self.projects[1]},
            "myproperty.compliance_rule_states": {"rule_code": "meter-seal"},
            "myproperty.agent_messages": {"sequence": 2},
            "warehouse_staging.quality_days": {"reading_date": date(2026, 1, 2)},
        }
        first = {**self.rows(), **self._kept(), **SYSTEM_ROWS}
        rows = {table: {**row, **different.get(table, {})} for table, row in first.items()}
        for row in rows.values():
            if "id" in row:
                row["id"] = uuid.uuid4()
        return rows

    def reading(self, **changes: Any) -> Row:
        """A reading of noon in UTC on `DAY`, with the changes asked for."""
        return {
            "tenant_id": self.tenant, "meter_id": self.meter, "channel": "import",
            "reading_ts": datetime(2026, 1, 1, 12, tzinfo=UTC), "reading_date": DAY, "interval_seconds": 1800,
            "value_native": "1.5", "unit": "kWh", "value_kwh": "1.5", "quality": "actual",
            "is_estimated": False, "source": "nem12", "source_version": datetime(2026, 1, 2, tzinfo=UTC),
            "ingestion_job_id": self.job, **changes,
        }  # fmt: skip

    def _estate(self) -> dict[str, Row]:
        tenant = {"tenant_id": self.tenant}
        return {
            "myproperty.tenants": {"id": self.tenant, "name": self.name, "region": "AU"},
            "myproperty.properties": {
                **tenant, "id": self.property, "name": "House", "timezone": "Australia/Sydney",
            },
            "myproperty.units": {
                **tenant, "id": self.unit, "property_id": self.property, "label": "1",
            },
            "myproperty.meters": {
                **tenant, "id": self.meter, "property_id": self.property, "type": "grid",
                "serial_number": "S1", "timezone": "Australia/Sydney",
            },
            "myproperty.meter_registers": {
                **tenant, "meter_id": self.meter, "identifier": "NMI1", "register": "E1", "channel": "import",
            },
            "myproperty.meter_assignments": {
                **tenant, "meter_id": self.meter, "unit_id": self.unit, "assigned_during": FIRST_HALF,
            },
            "myproperty.solar_assets": {
                **tenant, "id": self.asset, "property_id": self.property, "kind": "array",
                "serial_number": "A1",
                "capacity_kw": 10, "in_service_during": "[2026-01-01,)",
            },
            "myproperty.solar_reference_yields": {
                **tenant, "solar_asset_id": self.asset, "reading_ts": datetime(2026, 1, 1, 12, tzinfo=UTC),
                "reading_date": DAY, "interval_seconds": 1800, "irradiation_kwh_per_m2": "0.4",
                "expected_kwh": "3.2", "method": "clear sky", "method_version": "1",
            },
            "myproperty.solar_appraisals": {
                **tenant, "property_id": self.property, "first_year_kwh": 12000, "price_per_kwh": "0.13",
                "currency": "AUD", "degradation_rate": "0.005", "price_growth_rate": "0.03",
                "cost_growth_rate": "0.025", "discount_rate": "0.06", "lifetime_years": 25,
                "valid_during": FIRST_HALF, "monthly_shares": ["0.5", *["0.05"] * 10, "0"],
            },
        }  # fmt: skip

    def _readings(self) -> dict[str, Row]:
        tenant = {"tenant_id": self.tenant}
        reading = {**self.reading(), "id": uuid.uuid4()}
        at = datetime(2026, 1, 2, tzinfo=UTC)
        return {
            "myproperty.ingestion_jobs": {
                **tenant, "id": self.job, "source_uri": "a.csv", "content_hash": "a" * 64, "status": "loaded",
            },
            "myproperty.ingestion_job_dates": {
                **tenant, "ingestion_job_id": self.job, "reading_date": DAY, "readings": 1,
            },
            "myproperty.meter_readings": reading,
            "myproperty.meter_reading_versions": {
                **reading, "version": 1, "created_at": at, "updated_at": at, "replaced_by_job_id": self.job,
            },
            "myproperty.vee_thresholds": {
                **tenant, "rule": "VEE-SPIKE", "parameters": '{"ratio": 2}', "valid_during": FIRST_HALF,
            },
            "myproperty.register_reads": {
                **tenant, "meter_id": self.meter, "channel": "import", "read_at": at, "serial_number": "S1",
                "value": 100, "digits": 5, "unit": "kWh", "source_version": at, "ingestion_job_id": self.job,
            },
            "myproperty.reading_issues": {
                **tenant, "property_id": self.property, "meter_id": self.meter, "channel": "import",
                "reading_date": DAY, "rule": "VEE-SPIKE", "severity": "issue",
            },
            "myproperty.validated_dates": {**tenant, "reading_date": DAY, "validated_at": at},
            "myproperty.reading_totals": {
                **tenant, "meter_id": self.meter, "reading_date": DAY, "channel": "import", "total": 1.5,
                "intervals": 24, "interval_seconds": 3600,
            },
        }  # fmt: skip

    def _people(self) -> dict[str, Row]:
        tenant = {"tenant_id": self.tenant}
        return {
            "myproperty.users": {
                **tenant, "id": self.user, "email": "ann@acacia.example", "full_name": SEALED,
                "role": "resident",
            },
            "myproperty.data_keys": {**tenant, "id": uuid.uuid4()},
            "myproperty.notification_preferences": {
                **tenant, "user_id": self.user, "topic": "invoice", "channel": "email",
            },
            "myproperty.tenancies": {
                **tenant, "id": self.tenancy, "unit_id": self.unit, "user_id": self.user,
                "occupied_during": FIRST_HALF,
            },
        }  # fmt: skip

    def _tariffs(self) -> dict[str, Row]:
        tenant = {"tenant_id": self.tenant}
        return {
            "myproperty.providers": {
                **tenant, "id": self.provider, "name": "Clearwater", "kind": "retailer", "region": "AU",
            },
            "myproperty.rate_plans": {
                **tenant, "id": self.rate_plan, "provider_id": self.provider, "name": "Day",
                "currency": "AUD",
            },
            "myproperty.rate_plan_bands": {
                **tenant, "id": self.band, "rate_plan_id": self.rate_plan, "charge": "solar", "band": "flat",
                "day_kind": "weekday", "unit_amount": "0.2", "tax_rate": "0.1", "valid_during": FIRST_HALF,
            },
            "myproperty.rate_plan_assignments": {
                **tenant, "unit_id": self.unit, "rate_plan_id": self.rate_plan, "assigned_during": FIRST_HALF,
            },
            "myproperty.feed_in_assignments": {
                **tenant, "property_id": self.property, "rate_plan_id": self.rate_plan,
                "assigned_during": FIRST_HALF,
            },
            "myproperty.emission_factor_regions": {
                **tenant, "property_id": self.property, "region": "AU-NSW", "valid_during": FIRST_HALF,
            },
        }  # fmt: skip

    def _allocation(self) -> dict[str, Row]:
        """10 kWh of solar; the unit uses 6 of it and 3 kWh from the grid; no losses."""
        tenant = {"tenant_id": self.tenant}
        period = {"billing_period": "[2026-01-01,2026-02-01)", "allocation_method": "static"}
        return {
            "myproperty.allocation_methods": {
                **tenant, "property_id": self.property, "method": "static", "valid_during": FIRST_HALF,
            },
            "myproperty.allocation_keys": {
                **tenant, "property_id": self.property, "unit_id": self.unit, "share": 1,
                "valid_during": FIRST_HALF,
            },
            "myproperty.allocation_periods": {
                **tenant, **period, "id": self.period, "property_id": self.property, "generation_kwh": 10,
                "import_kwh": 3, "export_kwh": 4, "consumption_kwh": 9, "surplus_kwh": 4,
            },
            "myproperty.allocation_ledger": {
                **tenant, **period, "id": self.allocation, "property_id": self.property,
                "allocation_period_id": self.period, "unit_id": self.unit, "tenancy_id": self.tenancy,
                "solar_kwh": 6, "grid_kwh": 3,
            },
            "myproperty.allocation_adjustments": {
                **tenant, "allocation_id": self.allocation, "solar_kwh_before": 5, "solar_kwh_after": 6,
                "grid_kwh_before": 4, "grid_kwh_after": 3, "loss_kwh_before": 0, "loss_kwh_after": 0,
                "adjusted_by": self.user, "reason": "meter exchanged",
            },
            "myproperty.adjustment_tasks": {
                **tenant, "id": self.task, "allocation_period_id": self.period,
            },
            "myproperty.adjustment_task_readings": {
                **tenant, "adjustment_task_id": self.task, "ingestion_job_id": self.job,
                "meter_id": self.meter, "channel": "import", "reading_date": DAY, "readings": 1,
                "energy_before_kwh": 1, "energy_after_kwh": "1.5",
            },
        }  # fmt: skip

    def _billing(self) -> dict[str, Row]:
        """A draft of one line, and a payment in advance that the ledger has booked."""
        tenant = {"tenant_id": self.tenant}
        return {
            "myproperty.invoices": {
                **tenant, "id": self.invoice, "number": "1", "tenant_user_id": self.user,
                "tenancy_id": self.tenancy, "billing_period": "[2026-01-01,2026-02-01)",
                "total_amount": "1.32", "currency": "AUD",
            },
            "myproperty.invoice_lines": {
                **tenant, "invoice_id": self.invoice, "line_number": 1, "description": "Solar",
                "category": "solar", "quantity": 6, "unit_amount": "0.2", "tax_rate": "0.1",
                "total_amount": "1.32", "allocation_id": self.allocation,
                "rate_plan_band_id": self.band,
            },
            "myproperty.payments": {
                **tenant, "id": self.payment, "invoice_id": self.invoice, "amount": 1, "currency": "AUD",
                "method": "bank_transfer", "reference": "bank-1", "received_at": "2026-02-02 00:00+00",
            },
            "myproperty.ledger_accounts": {**tenant, "code": "bank", "name": "Account", "kind": "asset"},
            "myproperty.ledger_entries": {
                **tenant, "id": uuid.uuid4(), "entry_date": "2026-02-02", "debit_account": "bank",
                "credit_account": "receivables", "amount": 1, "currency": "AUD", "reference_type": "payment",
                "reference_id": self.payment, "description": "Payment",
            },
        }  # fmt: skip

    def _service(self) -> dict[str, Row]:
        tenant = {"tenant_id": self.tenant}
        of_property = {**tenant, "property_id": self.property}
        of_ticket = {**tenant, "ticket_id": self.ticket}
        return {
            "originfd.projects": {**tenant, "id": self.projects[0], "name": "Roof", "status": "live"},
            "myproperty.project_links": {
                **of_property, "originfd_project_id": self.projects[0], "project_type": "solar",
            },
            "myproperty.compliance_rule_states": {
                **of_property, "rule_code": "inverter-inspection", "state": "due",
                "evaluated_at": "2026-02-01 00:00+00",
            },
            "myproperty.service_tickets": {
                **of_property, "id": self.ticket, "unit_id": self.unit, "opened_by": self.user,
                "summary": "No hot water", "category": "plumbing",
            },
            "myproperty.ticket_quotes": {
                **of_ticket, "provider_id": self.provider, "amount": 100, "currency": "AUD",
            },
            "myproperty.ticket_schedules": {
                **of_ticket, "scheduled_during": "[2026-02-03 09:00+00,2026-02-03 10:00+00)",
            },
            "myproperty.ticket_activities": {
                **of_ticket, "kind": "note", "user_id": self.user, "body": "Rang.",
            },
            "myproperty.agent_messages": {
                **tenant, "session_id": self.ticket, "sequence": 1, "agent_id": "helpdesk",
                "user_id": self.user, "role": "user", "content": SEALED,
            },
            "myproperty.agent_audit": {
                **tenant, "agent_id": "helpdesk", "tool_name": "search", "input_hash": "c" * 64,
                "outcome": "succeeded", "latency_ms": 5, "trace_id": "d" * 32,
            },
        }  # fmt: skip

    def _staging(self) -> dict[str, Row]:
        tenant = {"tenant_id": self.tenant}
        landed = {"id": uuid.uuid4(), **tenant}
        return {
            "warehouse_staging.invalid_files": {
                **tenant, "source_uri": "b.csv", "rule": "F001", "message": "empty", "remedy": "ask again",
            },
            "warehouse_staging.quarantined_readings": {
                **tenant, "ingestion_job_id": self.job, "source_uri": "a.csv", "rule": "R001",
                "severity": "reject", "reason": "negative",
            },
            **{f"warehouse_staging.{entity}": landed for entity in LANDED},
            "warehouse_staging.meter_readings": {**landed, "reading_date": DAY},
            "warehouse_staging.solar_reference_yields": {**landed, "reading_date": DAY},
            "warehouse_staging.reading_issues": {**landed, "reading_date": DAY},
            "warehouse_staging.quality_days": {**tenant, "tenant_name": "a", "reading_date": DAY},
        }  # fmt: skip

    def _kept(self) -> dict[str, Row]:
        """Rows such as triggers write."""
        at = datetime(2026, 2, 1, tzinfo=UTC)
        history = {"created_at": at, "updated_at": at, "version": 1, "recorded_during": "[2026-02-01,)"}
        billing = self._billing()
        return {
            "audit.logged_actions": {
                "tenant_id": self.tenant, "schema_name": "myproperty", "table_name": "users",
                "row_key": "{}", "action": "delete", "role_name": "r", "login_name": "l",
                "application_name": "a",
            },
            "audit.invoices_history": {
                **billing["myproperty.invoices"], **history, "status": "draft", "metadata": "{}",
            },
            "audit.ledger_entries_history": {**billing["myproperty.ledger_entries"], **history},
        }  # fmt: skip


# What revision 0019 takes away on purpose: texts that people wrote, in landing and in the trail.
TAKEN_AWAY = {
    "audit.logged_actions": {"old_values", "new_values"},
    "warehouse_staging.tenants": {"metadata"},
    "warehouse_staging.properties": {"address", "utility_account_number", "metadata"},
}
# Records of the pipeline itself, without a tenant.
SYSTEM_ROWS: dict[str, Row] = {
    "warehouse_staging.archived_dates": {"reading_date": DAY, "readings": 1, "url": "u", "checksum": 1},
    "warehouse_staging.published_dates": {"reading_date": DAY, "run_id": "r"},
    "warehouse_staging.gate_results": {
        "gate": "A", "table_name": "t", "run_id": "r", "passed": True, "expectations": 1,
    },
    "warehouse_staging.landed_sources": {
        "entity": "units", "tenant_id": uuid.UUID(int=1), "row_count": 1, "sums": "{}", "checksum": 1,
    },
    "warehouse_staging.withdrawn_dates": {"reading_date": DAY, "reason": "tenancies changed"},
    "warehouse_staging.left_out_tenants": {"tenant_id": uuid.UUID(int=1), "reading_date": DAY, "run_id": "r"},
    "warehouse_staging.pipeline_runs": {
        "run_id": "r", "job": "pipeline", "status": "succeeded", "requested_at": "2026-02-01",
        "changed_at": "2026-02-01",
    },
    "warehouse_staging.quality_runs": {
        "run_id": "r", "job": "pipeline", "launcher": "person", "status": "succeeded",
        "requested_at": "2026-02-01", "retries": 0, "steps": 1,
    },
}  # fmt: skip
LANDED = tuple(name for name, entity in ENTITIES.items() if not entity.is_dated)
