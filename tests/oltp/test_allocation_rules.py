"""Checks of sums at commit: energy of a period, shares of a property, bands of a day.

All as the application, which sees one tenant. Rules of a single row are in test_constraints.
"""

import uuid
from typing import Any

import pytest
from psycopg import errors

pytestmark = pytest.mark.engine

FEBRUARY = "[2026-02-01,2026-03-01)"
Rows = dict[str, dict[str, Any]]


@pytest.fixture
def february(app: Any, companies: Any) -> Rows:
    """A period with its allocations, not put in yet; a second unit is let, a third is vacant.

    10 kWh of solar, 8 used; 8 kWh imported, 4 exported: of the 14 there are, 13 are metered and 1 is lost.
    """
    acacia = companies[0]
    units = {label: uuid.uuid4() for label in ("let", "vacant")}
    for label, unit in units.items():
        row = {**acacia.second_rows()["myproperty.units"], "id": unit, "label": label}
        app.insert("myproperty.units", row)
    tenancy = {**acacia.second_rows()["myproperty.tenancies"], "unit_id": units["let"]}
    app.insert("myproperty.tenancies", {**tenancy, "occupied_during": "[2026-02-01,)"})
    period = {**acacia.second_rows()["myproperty.allocation_periods"], "billing_period": FEBRUARY}
    both = {
        "tenant_id": acacia.tenant, "property_id": acacia.property, "allocation_period_id": period["id"],
        "billing_period": FEBRUARY, "allocation_method": "static",
    }  # fmt: skip
    return {
        "period": {
            **period, "generation_kwh": 10, "import_kwh": 8, "export_kwh": 4, "consumption_kwh": 13,
            "surplus_kwh": 2,
        },
        "first": {
            **both, "id": uuid.uuid4(), "unit_id": acacia.unit, "tenancy_id": acacia.tenancy,
            "solar_kwh": 5, "grid_kwh": 2,
        },
        "let": {
            **both, "id": uuid.uuid4(), "unit_id": units["let"], "tenancy_id": tenancy["id"],
            "solar_kwh": 3, "grid_kwh": 1,
        },
        "vacant": {**both, "id": uuid.uuid4(), "unit_id": units["vacant"], "solar_kwh": 0, "grid_kwh": "0.5"},
        "common": {**both, "id": uuid.uuid4(), "solar_kwh": 0, "grid_kwh": "1.5", "loss_kwh": 1},
    }  # fmt: skip


def put(app: Any, rows: Rows) -> None:
    for name, row in rows.items():
        app.insert(f"myproperty.allocation_{'periods' if name == 'period' else 'ledger'}", row)


def test_an_allocation_that_conserves_energy_passes(app: Any, february: Rows) -> None:
    put(app, february)
    app.check()
    query = "select loss_kwh from myproperty.allocation_periods where id = %s"
    assert app.execute(query, (february["period"]["id"],)).fetchone() == (8 + 10 - 4 - 13,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"let": {"solar_kwh": 4, "grid_kwh": 0}},
            r"9\.\d* kWh allocated \+ 2\.\d* surplus, 10\.",
        ),
        ({"period": {"surplus_kwh": 3}}, r"8\.\d* kWh allocated \+ 3\.\d* surplus"),
        ({"let": {"grid_kwh": "1.000000001"}}, r"13\.000000001 kWh solar and grid, 13\.000000000 consumed"),
        ({"common": {"loss_kwh": 0}}, r"carries 0\.\d* kWh of losses, and the period has 1\.0"),
        ({"common": {"loss_kwh": 2}}, r"carries 2\.\d* kWh of losses, and the period has 1\.0"),
        ({"period": {"import_kwh": 9}}, r"carries 1\.\d* kWh of losses, and the period has 2\.0"),
        ({"let": {"billing_period": "[2026-02-15,2026-03-02)"}}, "lies outside the period"),
        ({"period": {"billing_period": "[2026-02-02,2026-03-01)"}}, "lies outside the period"),
    ],
)
def test_an_allocation_that_does_not_conserve_energy_is_refused(
    app: Any,
    february: Rows,
    changes: Rows,
    message: str,
) -> None:
    put(app, {name: {**row, **changes.get(name, {})} for name, row in february.items()})
    with app.refused("MP007", message):
        app.check()


@pytest.mark.parametrize("missing", ["let", "common", "all"])
def test_a_period_is_allocated_whole(app: Any, february: Rows, missing: str) -> None:
    put(app, {n: row for n, row in february.items() if n == "period" or missing not in (n, "all")})
    with app.refused("MP007", "does not conserve"):
        app.check()


def test_an_allocation_is_of_the_property_of_its_period(app: Any, companies: Any, february: Rows) -> None:
    second_property = companies[0].second_rows()["myproperty.properties"]
    app.insert("myproperty.properties", second_property)
    put(app, {**february, "common": {**february["common"], "property_id": second_property["id"]}})
    with app.refused("MP007", "or its property"):
        app.check()


def test_units_and_tenancies_of_another_property_are_refused(
    app: Any, companies: Any, february: Rows
) -> None:
    acacia = companies[0]
    second_property = acacia.second_rows()["myproperty.properties"]
    app.insert("myproperty.properties", second_property)
    elsewhere = {"property_id": second_property["id"]}
    put(app, {"period": february["period"]})
    with app.refused("23503", "unit_is_of_the_property"):
        app.insert("myproperty.allocation_ledger", {**february["first"], **elsewhere})
    with app.refused("23503", "unit_is_of_the_property"):
        row = acacia.second_rows()["myproperty.allocation_keys"]
        app.insert("myproperty.allocation_keys", {**row, **elsewhere})
    with app.refused("23503", "unit_is_of_the_property"):
        row = acacia.second_rows()["myproperty.service_tickets"]
        app.insert("myproperty.service_tickets", {**row, **elsewhere})
    with app.refused("23503", "tenancy_is_of_the_unit"):
        row = {**february["first"], "tenancy_id": february["let"]["tenancy_id"]}
        app.insert("myproperty.allocation_ledger", row)
    with app.refused("23514", "tenancy_is_of_a_unit"):
        row = {**february["common"], "tenancy_id": february["let"]["tenancy_id"]}
        app.insert("myproperty.allocation_ledger", row)


@pytest.mark.parametrize(
    ("name", "changes", "rule"),
    [
        ("period", {"consumption_kwh": "14.000000001"}, "loss_is_not_negative"),
        ("let", {"loss_kwh": 1}, "loss_is_never_smeared_over_units"),
        ("vacant", {"solar_kwh": 1}, "vacant_unit_gets_no_solar"),
    ],
)
def test_a_row_that_cannot_be_right_is_refused_at_once(
    app: Any, february: Rows, name: str, changes: dict[str, Any], rule: str
) -> None:
    with app.refused("23514", rule):
        put(app, {"period": february["period"], name: {**february[name], **changes}})


def test_a_participant_is_allocated_once_at_a_time(app: Any, february: Rows) -> None:
    put(app, february)
    with app.refused("23505", "unit_is_allocated_once_a_period"):
        put(app, {"let": {**february["let"], "id": uuid.uuid4()}})
    last_day = {"id": uuid.uuid4(), "billing_period": "[2026-02-28,2026-03-01)"}
    for name in ("let", "common"):
        with app.refused("23P01", "participant_is_allocated_once_at_a_time"):
            put(app, {name: {**february[name], **last_day}})


def test_the_check_is_of_the_rows_tenant_whatever_the_session_has_set_by_then(
    app: Any, companies: Any, february: Rows
) -> None:
    put(app, february)
    app.sign_in("myproperty_app", companies[1])
    app.check()
    app.sign_in("myproperty_app", companies[0])
    change = """
        update myproperty.allocation_ledger set solar_kwh = 4, adjusted_by = %s, notes = 'less' where id = %s
    """
    app.execute(change, (companies[0].user, february["first"]["id"]))
    app.sign_in("myproperty_app", companies[1])
    with app.refused("MP007", "does not conserve solar"):
        app.check()


def test_not_even_the_owner_deletes_a_part(app: Any, companies: Any, february: Rows) -> None:
    put(app, february)
    app.check()
    app.sign_in("myproperty_owner", companies[0])
    ids = [row["id"] for row in february.values()]
    delete = "delete from myproperty.allocation_ledger where id = any (%s)"
    with app.refused("MP007", "does not conserve"):
        app.execute(delete, (ids[:2],))
        app.check()
    app.execute(delete, (ids,))
    app.execute("delete from myproperty.allocation_periods where id = any (%s)", (ids,))
    app.check()


@pytest.mark.parametrize(
    ("has_actor", "notes"),
    [(False, "meter exchanged"), (True, None), (True, "  "), (True, "measured")],
    ids=["nobody", "no reason", "blank", "the previous reason"],
)
def test_an_adjustment_says_who_and_why(
    app: Any, companies: Any, february: Rows, has_actor: bool, notes: str | None
) -> None:
    put(app, {**february, "first": {**february["first"], "notes": "measured"}})
    change = """
        update myproperty.allocation_ledger set solar_kwh = 4, grid_kwh = 3, adjusted_by = %s, notes = %s
        where id = %s
    """
    actor = companies[0].user if has_actor else None
    with app.refused("MP008", f"is adjusted without {'a reason' if has_actor else 'an actor'}"):
        app.execute(change, (actor, notes, february["first"]["id"]))


def test_nobody_adjusts_in_the_name_of_another(app: Any, companies: Any, february: Rows) -> None:
    """Nor in that of who adjusted before, by leaving the actor as it is."""
    put(app, {**february, "first": {**february["first"], "adjusted_by": companies[0].user}})
    app.execute("select set_config('app.user_id', %s, true)", (str(uuid.uuid4()),))
    with app.refused("MP008", "in the name of another person"):
        app.execute(
            "update myproperty.allocation_ledger set solar_kwh = 4, notes = 'meter' where id = %s",
            (february["first"]["id"],),
        )


def test_an_adjustment_is_kept_with_what_was_before_and_after(
    app: Any, companies: Any, february: Rows
) -> None:
    put(app, february)
    change = """
        update myproperty.allocation_ledger
        set solar_kwh = solar_kwh + %(more)s, grid_kwh = grid_kwh - %(more)s,
            adjusted_by = %(user)s, notes = %(why)s
        where id = %(id)s
    """
    who = {"user": companies[0].user, "why": "meter exchanged"}
    app.execute(change, {"more": 1, "id": february["first"]["id"], **who})
    with app.refused("MP007", "does not conserve solar"):
        app.check()
    app.execute(change, {"more": -1, "id": february["let"]["id"], **who})
    app.check()
    app.execute("update myproperty.allocation_ledger set confidence = 1, solar_kwh = solar_kwh")
    query = """
        select a.allocation_id, a.solar_kwh_before, a.solar_kwh_after, a.grid_kwh_before, a.grid_kwh_after,
               a.adjusted_by, a.reason, a.adjusted_at = l.adjusted_at, a.adjusted_at > now()
        from myproperty.allocation_adjustments a
        join myproperty.allocation_ledger l on l.id = a.allocation_id
        where l.allocation_period_id = %s
        order by a.adjusted_at
    """
    told = (companies[0].user, "meter exchanged", True, True)
    assert app.execute(query, (february["period"]["id"],)).fetchall() == [
        (february["first"]["id"], 5, 6, 2, 1, *told),
        (february["let"]["id"], 3, 2, 1, 2, *told),
    ]


def test_shares_sum_to_1_on_every_day(app: Any, companies: Any) -> None:
    acacia = companies[0]
    unit = {**acacia.second_rows()["myproperty.allocation_keys"], "id": uuid.uuid4()}
    common = {**unit, "id": uuid.uuid4(), "unit_id": None}
    app.insert("myproperty.allocation_keys", {**unit, "share": "0.6"})
    with app.refused("MP009", r"sum to 0\.6\d* on 2026-07-01, not to 1"):
        app.check()
    app.insert("myproperty.allocation_keys", {**common, "share": "0.4"})
    app.check()
    update = "update myproperty.allocation_keys set share = %s where id = %s"
    with app.refused("MP009", r"sum to 1\.1\d* on 2026-07-01"):
        app.execute(update, ("0.7", unit["id"]))
        app.check()
    app.execute(update, ("0.7", unit["id"]))
    app.execute(update, ("0.3", common["id"]))
    app.check()
    with app.refused("MP009", r"sum to 0\.7\d* on 2026-07-01"):
        app.execute("delete from myproperty.allocation_keys where id = %s", (common["id"],))
        app.check()
    with app.refused("MP009", r"sum to 0\.7\d* on 2026-10-01"):
        shorten = (
            "update myproperty.allocation_keys set valid_during = '[2026-07-01,2026-10-01)' where id = %s"
        )
        app.execute(shorten, (common["id"],))
        app.check()


def test_two_that_change_the_shares_of_a_property_wait_for_each_other(
    app: Any, other_app: Any, companies: Any
) -> None:
    """Each whole set would pass alone, and both together sum to 2."""
    unit = companies[0].second_rows()["myproperty.allocation_keys"]
    app.insert("myproperty.allocation_keys", unit)
    app.check()
    other_app.insert("myproperty.allocation_keys", {**unit, "unit_id": None})
    with pytest.raises(errors.LockNotAvailable):
        other_app.check()


def test_bands_cover_every_minute_of_every_day(app: Any, companies: Any) -> None:
    flat = {**companies[0].second_rows()["myproperty.rate_plan_bands"], "charge": "grid"}
    peak = {**flat, "id": uuid.uuid4(), "band": "peak", "minutes_of_day": "[900,1260)"}
    app.insert("myproperty.rate_plan_bands", {**flat, "minutes_of_day": "[0,900)"})
    with app.refused("MP010", "the grid bands of a weekday cover 900 of 1440 minutes on 2026-07-01"):
        app.check()
    app.insert("myproperty.rate_plan_bands", peak)
    with app.refused("MP010", "cover 1260 of 1440 minutes"):
        app.check()
    app.insert("myproperty.rate_plan_bands", {**flat, "id": uuid.uuid4(), "minutes_of_day": "[1260,1440)"})
    app.check()
    with app.refused("MP010", "cover 1080 of 1440 minutes on 2026-07-01"):
        app.execute("delete from myproperty.rate_plan_bands where id = %s", (peak["id"],))
        app.check()
    with app.refused("MP010", "cover 1080 of 1440 minutes on 2026-09-01"):
        shorten = (
            "update myproperty.rate_plan_bands set valid_during = '[2026-07-01,2026-09-01)' where id = %s"
        )
        app.execute(shorten, (peak["id"],))
        app.check()
    app.execute("delete from myproperty.rate_plan_bands where charge = 'grid'")
    app.check()
