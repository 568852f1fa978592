"""The bill of docs/costs.md, worked out by hand for single lines; what it rests on is said beside it."""

import pytest

from docs.costs import PRICES, SIZES, list_lines

SMALL, MIDDLE, LARGE = SIZES
BILLS = {size: {line.name: line.dollars for line in list_lines(size)} for size in SIZES}


@pytest.mark.parametrize(
    ("size", "line", "dollars"),
    [
        # Two zones, 730 hours: 0.0826 for two processors and 0.056 for 8 GiB, twice.
        (SMALL, "Cloud SQL, two zones", 1460 * (0.0826 + 0.056)),
        # The least disk of 100 GiB in two zones, and its backup.
        (SMALL, "its disk and backups", 100 * 0.17 * 2 + 100 * 0.08),
        # 569 tables of 10 MiB, 90 times a month: 0.49 TiB, of which the first is free.
        (SMALL, "BigQuery, builds and questions", 0.0),
        # 96 million readings: 65.25 TiB of builds and 15.28 TiB of questions.
        (LARGE, "BigQuery, builds and questions", (65.25 + 15.28 - 1) * 6.25),
        # 62.5 GiB a day, of which 90 days are active and 275 are not.
        (LARGE, "BigQuery, storage", 62.495 * (90 * 0.02 + 275 * 0.01)),
    ],
)
def test_a_line_is_what_a_person_works_out(size: object, line: str, dollars: float) -> None:
    assert BILLS[size][line] == pytest.approx(dollars, rel=1e-3)  # type: ignore[index]


def test_a_larger_platform_costs_more_in_every_line_and_less_for_each_meter() -> None:
    for line in BILLS[SMALL]:
        assert BILLS[SMALL][line] <= BILLS[MIDDLE][line] <= BILLS[LARGE][line]
    each = [sum(BILLS[size].values()) / size.meters for size in SIZES]
    assert each == sorted(each, reverse=True)


def test_every_price_says_where_it_is_from() -> None:
    assert [name for name, price in PRICES.items() if price.dollars <= 0 or not price.source] == []
