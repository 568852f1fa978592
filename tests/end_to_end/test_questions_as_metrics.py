"""The analysts' questions asked through metrics give the figures of their SQL, where a metric has them."""

from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from data.raw.warehouse import open_warehouse
from data.warehouse.metrics import Metrics, Question
from data.warehouse.project import semantic_manifest
from tests.analyst_questions import questions
from tests.end_to_end.support import Platform

pytestmark = pytest.mark.engine

FROM, TO = date(2025, 10, 21), date(2025, 11, 3)


@dataclass(frozen=True)
class Asked:
    """A question of the page as metrics: `by` maps dimensions to the page's columns, `figures` metrics.

    A figure is the column, the factor and the places by which the page rounds. Rows of the page with the same
    dimensions are added up.
    """

    metrics: Question
    by: dict[str, str]
    figures: dict[str, tuple[str, int, int | None]]


def solar(*metrics: str, by: str = "property_day__property_name") -> Question:
    return Question(metrics, [by], first=FROM, last=TO)


RETURNS = [
    "npv_amount",
    "owner_revenue_amount",
    "feed_in_amount",
    "realised_revenue_amount",
    "expected_revenue_amount",
    "residents_saving_amount",
]
ASKED = {
    1: Asked(
        solar("solar_generation_kwh", "solar_exported_kwh", "self_consumption", "solar_completeness"),
        {"property_day__property_name": "property_name"},
        {
            "solar_generation_kwh": ("generation_kwh", 1, None),
            "solar_exported_kwh": ("exported_kwh", 1, None),
            "self_consumption": ("self_consumption_pct", 100, 1),
            "solar_completeness": ("completeness_pct", 100, 2),
        },
    ),
    2: Asked(
        solar("clear_sky_ratio"),
        {"property_day__property_name": "property_name"},
        {"clear_sky_ratio": ("clear_sky_ratio", 1, 3)},
    ),
    3: Asked(
        solar("carbon_avoided_location_kg", "carbon_avoided_market_kg", by="carbon_day__property_name"),
        {"carbon_day__property_name": "property_name"},
        {
            "carbon_avoided_location_kg": ("avoided_location_kg", 1, 1),
            "carbon_avoided_market_kg": ("avoided_market_kg", 1, 1),
        },
    ),
    4: Asked(
        Question(
            RETURNS,
            ["appraisal__property_name", "appraisal__currency"],
            ["{{ Dimension('appraisal__in_force') }} = 'yes'"],
        ),
        {"appraisal__property_name": "property_name", "appraisal__currency": "currency"},
        {name: (name, 1, None) for name in RETURNS},
    ),
    6: Asked(
        Question(
            ["due_intervals", "data_completeness"],
            ["channel_day__property_name", "channel_day__channel"],
            first=FROM,
            last=TO,
        ),
        {"channel_day__property_name": "property_name", "channel_day__channel": "channel"},
        {
            "due_intervals": ("expected_intervals", 1, None),
            "data_completeness": ("completeness_pct", 100, 3),
        },
    ),
    8: Asked(
        Question(["bills"], ["bill__tenant_name", "bill__finding"]),
        {"bill__tenant_name": "tenant_name", "bill__finding": "finding"},
        {"bills": ("bills", 1, None)},
    ),
    9: Asked(
        Question(
            ["outstanding_amount"],
            ["resident_date__property_name", "resident_date__currency"],
            first=date(2025, 11, 30),
            last=date(2025, 11, 30),
        ),
        {"resident_date__property_name": "property_name", "resident_date__currency": "currency"},
        {"outstanding_amount": ("outstanding_amount", 1, None)},
    ),
    10: Asked(
        Question(["tickets_opened"], ["ticket__priority"]),
        {"ticket__priority": "priority"},
        {"tickets_opened": ("opened", 1, None)},
    ),
}
# The page asks for what no metric has: a mean a day of each unit, shares by category of a line.
NOT_ASKED = {5, 7}
# Their views are built by another job: `tests/googlesql` asks their metrics.
OF_QUALITY = {11, 12}


def add_up(
    rows: list[dict[str, Any]], keys: list[str], figures: list[str]
) -> dict[Any, list[Decimal | None]]:
    """Return the sum of each figure by the keys; a figure that is unknown everywhere stays unknown."""
    found: dict[Any, list[Decimal | None]] = defaultdict(lambda: [None] * len(figures))
    for row in rows:
        sums = found[tuple(row[key] for key in keys)]
        for place, name in enumerate(figures):
            if row[name] is not None:
                sums[place] = (sums[place] or Decimal(0)) + Decimal(str(row[name]))
    return dict(found)


@pytest.mark.parametrize("number", ASKED)
def test_a_question_has_the_same_answer_as_metrics(platform: Platform, number: int) -> None:
    asked = ASKED[number]
    metrics = Metrics(semantic_manifest(platform.settings), "postgres")
    with closing(open_warehouse(platform.settings)) as warehouse:
        page = warehouse.ask(questions()[number], 1000).to_pylist()
        found = warehouse.ask(metrics.write_sql(asked.metrics), 1000).to_pylist()
    columns = [column for column, _, _ in asked.figures.values()]
    wanted = add_up(page, list(asked.by.values()), columns)
    given = add_up(found, list(asked.by), list(asked.figures))
    rounded = {
        key: [
            value if value is None else round(value * factor, 6 if places is None else places)
            for value, (_, factor, places) in zip(values, asked.figures.values(), strict=True)
        ]
        for key, values in given.items()
        # The page leaves out who owes nothing.
        if key in wanted or any(values)
    }
    assert wanted, "nothing to compare"
    assert rounded == {
        key: [value if value is None else round(value, 6) for value in values]
        for key, values in wanted.items()
    }


def test_each_question_is_asked_or_named() -> None:
    assert set(questions()) == {*ASKED, *NOT_ASKED, *OF_QUALITY}
