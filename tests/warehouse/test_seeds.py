"""Test the reference seeds as files: the origin of each row, and whole days of prices."""

import csv
from collections import defaultdict
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "data" / "warehouse" / "seeds"
# Whoever runs an installation writes who reads.
SEEDS = sorted(path for path in FOLDER.glob("*.csv") if path.stem != "tenant_readers")


def seed(name: str) -> list[dict[str, str]]:
    [path] = [path for path in SEEDS if path.stem == name]
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize("name", [path.stem for path in SEEDS])
def test_every_row_has_its_origin(name: str) -> None:
    rows = seed(name)
    assert rows
    for row in rows:
        assert all(row[column].strip() for column in ("source", "edition", "published", "licence")), row


def test_demo_prices_cover_each_day_once() -> None:
    """A plan has one price per charge and minute of the day, without a gap from its first day."""
    bands: dict[tuple[str, str, str, str], list[tuple[int, int]]] = defaultdict(list)
    validity: dict[tuple[str, str, str], set[tuple[str, str]]] = defaultdict(set)
    for row in seed("demo_tariff_bands"):
        key = row["plan_name"], row["charge"], row["day_kind"]
        bands[*key, row["valid_from"]].append((int(row["minutes_from"]), int(row["minutes_to"])))
        validity[key].add((row["valid_from"], row["valid_to"]))
    for day, parts in bands.items():
        starts, ends = zip(*sorted(parts), strict=True)
        assert (*starts, 1440) == (0, *ends), day
    for plan, spans in validity.items():
        starts_from, ends_at = zip(*sorted(spans), strict=True)
        assert (*starts_from[1:], "") == ends_at, plan
    assert {charge for _, charge, _ in validity} == {"grid", "solar", "daily", "feed_in"}
    assert {kind for _, _, kind in validity} == {"weekday", "weekend"}
