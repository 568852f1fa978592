"""The search for tickets: by words, in the order of their worth, and never another tenant's."""

import uuid
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

pytestmark = pytest.mark.engine

Search = Callable[..., list[str]]
TICKETS = {
    "Inverter is silent": "No generation since Sunday.",
    "No generation": "The inverter shows a red lamp, and the battery is empty.",
    "Battery leaks": "It drips.",
    "Tap drips": "In the kitchen, since the inverters were exchanged.",
}


@pytest.fixture
def search(db: psycopg.Connection, companies: Any, insert: Any, sign_in: Any) -> Search:
    """Searches as the application of the first company; both companies have the same tickets."""
    for company in companies:
        ticket = company.rows()["myproperty.service_tickets"]
        for summary, description in TICKETS.items():
            row = {**ticket, "id": uuid.uuid4(), "summary": summary, "description": description}
            insert(db, "myproperty.service_tickets", row)
    sign_in(db, "myproperty_app", companies[0])

    def find(query: str, *at_most: int | None) -> list[str]:
        call = "select summary from myproperty.search_service_tickets(%s, %s)"
        without_limit = "select summary from myproperty.search_service_tickets(%s)"
        return [row[0] for row in db.execute(call if at_most else without_limit, (query, *at_most))]

    return find


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("battery", {"Battery leaks", "No generation"}),
        ("BATTERIES", {"Battery leaks", "No generation"}),
        ("dripping", {"Battery leaks", "Tap drips"}),
        ("inverter battery", {"No generation"}),
        ("leaks or silent", {"Battery leaks", "Inverter is silent"}),
        ('"red lamp"', {"No generation"}),
        ('"lamp red"', set()),
        ("inverter -battery", {"Inverter is silent", "Tap drips"}),
        ("drips -kitchen", {"Battery leaks"}),
        ("heating", set()),
        ("the", set()),
        ("", set()),
    ],
)
def test_finds(search: Search, query: str, found: set[str]) -> None:
    hits = search(query)
    assert set(hits) == found
    assert len(hits) == len(found)


def test_a_word_of_the_summary_outranks_one_of_the_description(search: Search) -> None:
    assert search("inverter")[0] == "Inverter is silent"
    assert search("battery") == ["Battery leaks", "No generation"]
    assert search("generation") == ["No generation", "Inverter is silent"]


def test_the_best_come_first_up_to_the_limit(search: Search) -> None:
    everything = search("inverter")
    assert len(everything) == 3
    assert search("inverter", 2) == everything[:2]
    assert search("inverter", 0) == []
    assert search("inverter", None) == everything


def test_a_negative_limit_is_refused(search: Search) -> None:
    with pytest.raises(psycopg.errors.InvalidRowCountInLimitClause):
        search("inverter", -1)


def test_what_is_changed_is_found_by_its_new_words(search: Search, db: psycopg.Connection) -> None:
    db.execute(
        "update myproperty.service_tickets set summary = 'Valve is stuck' where summary = 'Battery leaks'"
    )
    assert search("valve") == ["Valve is stuck"]
    assert search("leaks") == []


def test_only_the_tickets_of_the_tenant(search: Search, db: psycopg.Connection, companies: Any) -> None:
    own = {row[0] for row in db.execute("select id from myproperty.service_tickets")}
    found = db.execute("select ticket_id from myproperty.search_service_tickets('inverter')").fetchall()
    assert {row[0] for row in found} < own
    db.execute("select set_config('app.tenant_id', %s, true)", (str(companies[1].tenant),))
    others = db.execute("select ticket_id from myproperty.search_service_tickets('inverter')").fetchall()
    assert len(others) == len(found) == 3
    assert not own & {row[0] for row in others}


def test_without_a_tenant_nothing_is_found(search: Search, db: psycopg.Connection) -> None:
    db.execute("select set_config('app.tenant_id', '', true)")
    assert search("inverter") == []
    db.execute("reset app.tenant_id")
    assert search("inverter") == []


@pytest.mark.parametrize("role", ["myproperty_auditor", "myproperty_loader", "myproperty_etl"])
def test_only_those_who_read_tickets_may_search(
    db: psycopg.Connection, companies: Any, sign_in: Any, role: str
) -> None:
    sign_in(db, role, companies[0])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.execute("select * from myproperty.search_service_tickets('inverter')")


@pytest.mark.parametrize(
    "query",
    [
        "'; drop table myproperty.service_tickets; --",
        "heating' or '1' = '1",
        '"never closed',
        "!!! & | <-> ( ) :* \\ ' \"",
        "- - -- -",
        "%_%",
        "\u202e\U0001f50c\n\t",
        "x" * 5000,
        "or or or",
    ],
)
def test_a_hostile_query_is_words_and_nothing_else(
    search: Search, db: psycopg.Connection, query: str
) -> None:
    assert search(query) == []
    assert len(search("inverter")) == 3
    counted = db.execute("select count(*) from myproperty.service_tickets").fetchall()
    assert counted[0][0] == len(TICKETS) + 1
