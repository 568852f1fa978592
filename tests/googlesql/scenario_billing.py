"""Rows of the scenario that money depends on: shares of solar energy, tenancies, rate plans and bills."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from .engine import Row
from .scenario_row import FIRST_DAY, LAST_DAY, LONG_AGO, MADE, make_row


def make_shares() -> dict[str, list[Row]]:
    """Sydney shares by the hybrid method, then by load, with a flat that is vacant on the first day."""
    sydney: dict[str, Any] = {"tenant_id": "t1", "property_id": "p-syd"}
    stays = (("u-a", LONG_AGO), ("u-b", LAST_DAY))
    bands = (
        ("solar", 0, 1440, "0.145"),
        ("grid", 0, 900, "0.2465"),
        ("grid", 900, 1260, "0.489"),
        ("grid", 1260, 1440, "0.186"),
    )
    return {
        "allocation_methods": [
            make_row(
                "allocation_methods",
                id="am1",
                method="hybrid",
                valid_from=LONG_AGO,
                valid_to=LAST_DAY,
                **sydney,
            ),
            make_row("allocation_methods", id="am2", method="dynamic", valid_from=LAST_DAY, **sydney),
            make_row(
                "allocation_methods",
                id="am3",
                tenant_id="t2",
                property_id="p-ber",
                method="static",
                valid_from=LONG_AGO,
            ),
        ],
        "allocation_keys": [
            make_row(
                "allocation_keys",
                id=f"ak-{unit}",
                unit_id=unit,
                share=Decimal(share),
                valid_from=LONG_AGO,
                **sydney,
            )
            for unit, share in (("u-a", "0.33333333"), ("u-b", "0.46666667"), (None, "0.2"))
        ],
        "tenancies": [
            make_row(
                "tenancies", id=f"stay-{unit}", tenant_id="t1", unit_id=unit, user_id="p1", occupied_from=day
            )
            for unit, day in stays
        ],
        "rate_plan_assignments": [
            make_row(
                "rate_plan_assignments",
                id=f"rp-{unit}",
                tenant_id="t1",
                unit_id=unit,
                rate_plan_id="plan",
                assigned_from=LONG_AGO,
            )
            for unit in ("u-a", "u-b")
        ],
        "rate_plan_bands": [
            make_row(
                "rate_plan_bands",
                id=f"{charge}-{first}-{kind}",
                tenant_id="t1",
                rate_plan_id="plan",
                charge=charge,
                band=charge,
                day_kind=kind,
                minutes_from=first,
                minutes_to=end,
                unit_amount=Decimal(price),
                tax_rate=Decimal("0.1"),
                valid_from=LONG_AGO,
            )
            for charge, first, end, price in bands
            for kind in ("weekday", "weekend")
        ],
        "allocation_ledger": [
            make_row(
                "allocation_ledger",
                id="al1",
                allocation_period_id="ap1",
                unit_id="u-a",
                tenancy_id="stay-u-a",
                period_from=FIRST_DAY,
                period_to=LAST_DAY + timedelta(days=1),
                solar_kwh=Decimal("1.5"),
                grid_kwh=Decimal("2.5"),
                loss_kwh=Decimal(0),
                allocation_method="hybrid",
                **sydney,
            )
        ],
        **make_lettings(),
        **make_bills(),
    }


def make_lettings() -> dict[str, list[Row]]:
    """Who lives in the unit and what a kWh costs: both change at midnight of Berlin, and a band at 21:00."""
    bands = (
        ("b-old", "grid", "flat", "weekend", 0, 1440, "0.123457", FIRST_DAY, LAST_DAY),
        ("b-day", "grid", "day", "weekend", 0, 1260, "0.311111", LAST_DAY, None),
        ("b-night", "grid", "night", "weekend", 1260, 1440, "0.222223", LAST_DAY, None),
        ("b-solar", "solar", "roof", "weekend", 0, 1440, "0.1", FIRST_DAY, None),
        ("b-noon", "feed_in", "noon", "weekend", 0, 1020, "0.054321", FIRST_DAY, None),
        ("b-dusk", "feed_in", "dusk", "weekend", 1020, 1440, "0.098765", FIRST_DAY, None),
    )
    return {
        "users": [
            make_row("users", id="r1", tenant_id="t2", role="resident", status="active", mfa_enabled=False)
        ],
        "tenancies": [
            make_row(
                "tenancies",
                id=name,
                tenant_id="t2",
                unit_id="u-ber",
                user_id="r1",
                occupied_from=first,
                occupied_to=end,
            )
            for name, first, end in (("y1", FIRST_DAY, LAST_DAY), ("y2", LAST_DAY, None))
        ],
        "providers": [
            make_row("providers", id="v1", tenant_id="t2", name="Spree Power", kind="retailer", region="DE")
        ],
        "rate_plans": [
            make_row("rate_plans", id=plan, tenant_id="t2", provider_id="v1", name=name, currency=currency)
            for plan, name, currency in (("w1", "Tagstrom", "EUR"), ("w2", "Sun", "USD"))
        ],
        "feed_in_assignments": [
            make_row(
                "feed_in_assignments",
                id="z1",
                tenant_id="t2",
                property_id="p-la",
                rate_plan_id="w2",
                assigned_from=FIRST_DAY,
            )
        ],
        "rate_plan_assignments": [
            make_row(
                "rate_plan_assignments",
                id="x1",
                tenant_id="t2",
                unit_id="u-ber",
                rate_plan_id="w1",
                assigned_from=FIRST_DAY,
            )
        ],
        "rate_plan_bands": [
            make_row(
                "rate_plan_bands",
                id=name,
                tenant_id="t2",
                rate_plan_id="w2" if charge == "feed_in" else "w1",
                charge=charge,
                band=band,
                day_kind=kind,
                minutes_from=first,
                minutes_to=end,
                unit_amount=Decimal(price),
                tax_rate=Decimal("0.19"),
                valid_from=since,
                valid_to=until,
            )
            for name, charge, band, kind, first, end, price, since, until in bands
        ],
    }


def make_bills() -> dict[str, list[Row]]:
    """An invoice with a line of each kind of rounding, paid twice, once in vain; and one that is late.

    Of the late one a part was paid, and the ledger has booked a cent less than it is over.
    """
    due = MADE + timedelta(days=14)
    lines = (
        (1, "grid", "1.000000005", "0.311111", "0.37", "b-day"),
        (2, "solar", "2.5", "0.1", "0.30", "b-solar"),
        (3, "credit", "1", "-0.005", "-0.01", None),
    )
    return {
        "allocation_ledger": [
            make_row(
                "allocation_ledger",
                id="l1",
                tenant_id="t2",
                property_id="p-ber",
                unit_id="u-ber",
                tenancy_id="y1",
                period_from=FIRST_DAY,
                period_to=LAST_DAY,
                solar_kwh=Decimal("2.5"),
                grid_kwh=Decimal("1.000000005"),
                loss_kwh=Decimal(0),
                allocation_method="static",
            )
        ],
        "invoices": [
            make_row(
                "invoices",
                id="i1",
                tenant_id="t2",
                number="B-1",
                tenant_user_id="r1",
                tenancy_id="y1",
                period_from=FIRST_DAY,
                period_to=LAST_DAY,
                status="paid",
                total_amount=Decimal("0.66"),
                currency="EUR",
                issued_at=MADE,
                due_at=due,
            ),
            make_row(
                "invoices",
                id="i2",
                tenant_id="t2",
                number="B-2",
                tenant_user_id="r1",
                period_from=date(2026, 2, 1),
                period_to=date(2026, 3, 1),
                status="overdue",
                total_amount=Decimal("12.34"),
                currency="EUR",
                issued_at=MADE - timedelta(days=50),
                due_at=MADE - timedelta(days=36),
            ),
        ],
        "invoice_lines": [
            make_row(
                "invoice_lines",
                id=f"n{number}",
                tenant_id="t2",
                invoice_id="i1",
                line_number=number,
                category=category,
                quantity=Decimal(quantity),
                unit_amount=Decimal(price),
                tax_rate=Decimal("0.19"),
                total_amount=Decimal(total),
                allocation_id=None if category == "credit" else "l1",
                rate_plan_band_id=band,
            )
            for number, category, quantity, price, total, band in lines
        ]
        + [
            make_row(
                "invoice_lines",
                id="n4",
                tenant_id="t2",
                invoice_id="i2",
                line_number=1,
                category="service",
                quantity=Decimal(1),
                unit_amount=Decimal("10.37"),
                tax_rate=Decimal("0.19"),
                total_amount=Decimal("12.34"),
            )
        ],
        "payments": [
            make_row(
                "payments",
                id=name,
                tenant_id="t2",
                invoice_id="i1",
                amount=Decimal(amount),
                currency="EUR",
                method="direct_debit",
                status=status,
                received_at=due + timedelta(hours=hours),
            )
            for name, amount, status, hours in (
                ("q1", "0.66", "reversed", -30),
                ("q2", "0.66", "received", 47),
            )
        ]
        + [
            make_row(
                "payments",
                id="q3",
                tenant_id="t2",
                invoice_id="i2",
                amount=Decimal(5),
                currency="EUR",
                method="card",
                status="received",
                received_at=MADE - timedelta(days=6),
            )
        ],
        "ledger_entries": [
            make_row(
                "ledger_entries",
                id=f"le{number}",
                tenant_id="t2",
                entry_date=(MADE - timedelta(days=days)).date(),
                debit_account=debit,
                credit_account=credit,
                amount=Decimal(amount),
                currency="EUR",
                reference_type="payment" if reference.startswith("q") else "invoice",
                reference_id=reference,
            )
            for number, (reference, days, debit, credit, amount) in enumerate(
                (
                    ("i1", 0, "receivables", "grid_income", "0.56"),
                    ("i1", 0, "receivables", "tax_payable", "0.10"),
                    ("q1", 0, "bank", "receivables", "0.66"),
                    ("q1", 0, "receivables", "bank", "0.66"),
                    ("i2", 50, "receivables", "service_income", "12.33"),
                    ("q3", 6, "bank", "receivables", "5"),
                )
            )
        ],
    }
