"""Drift: columns of the OLTP that differ from the entities are named before anything is landed."""

from collections.abc import Iterator
from typing import LiteralString

import psycopg
import pytest

from data.ingest.errors import IngestError
from data.landing import drift
from data.landing.entities import ENTITIES
from data.landing.land import land
from tests.conftest import DatabaseMaker
from tests.ingest.conftest import Company

pytestmark = pytest.mark.engine


@pytest.fixture
def oltp_copy(migrated_database: DatabaseMaker) -> Iterator[str]:
    """A migrated database for one test, which may change its tables."""
    with migrated_database("drift") as dsn:
        yield dsn


def test_the_sources_match_the_entities(company: Company) -> None:
    assert drift.check_sources(ENTITIES, company.dsn) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("rename column amount to sum", "myproperty.payments.amount is missing"),
        ("alter column method type varchar(20)", r"payments.method is character varying\(20\), not text"),
    ],
)
def test_a_drifted_column_is_named_before_anything_is_landed(
    oltp_copy: str, change: LiteralString, named: str
) -> None:
    with psycopg.connect(oltp_copy) as connection:
        connection.execute("alter table myproperty.payments " + change)
    with pytest.raises(IngestError, match=named):
        drift.check_sources(ENTITIES, oltp_copy)


def test_a_new_column_is_a_warning_and_landing_continues(oltp_copy: str) -> None:
    with psycopg.connect(oltp_copy) as connection:
        connection.execute("alter table myproperty.payments add column fee numeric(14, 2)")
    (warning,) = drift.check_sources(ENTITIES, oltp_copy)
    assert warning.startswith("myproperty.payments.fee is new")
    assert land("payments", oltp_copy) == 0
