"""A year of service tickets of the demo, with quotes, visits and timelines."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Literal
from uuid import UUID

from psycopg.types.range import TimestamptzRange

from data.demo.assets import get_currency
from data.demo.company import DemoProperty, DemoTenant, make_id
from data.demo.people import find_resident, list_staff
from data.demo.rows import Row, Rows
from data.demo.tariffs import make_provider_id

Kind = Literal["status_change", "note", "ai_action"]

SERVICE_DESK = "service-desk"
# Time from opening to resolution.
SLA = {
    "urgent": timedelta(hours=24),
    "high": timedelta(days=3),
    "normal": timedelta(days=7),
    "low": timedelta(days=21),
}


@dataclass(frozen=True)
class Step:
    """An entry of the timeline, in local wall-clock time, by a staff role, the resident or an agent.

    The text of a status_change is the new status.
    """

    at: str
    kind: Kind
    who: str
    text: str


@dataclass(frozen=True)
class Quote:
    """The price of a provider, in the currency of the property."""

    at: str
    provider: str
    amount: str
    status: str


@dataclass(frozen=True)
class Visit:
    """A visit, in local wall-clock time; `provider` None means our own technician."""

    at: str
    hours: int
    status: str
    provider: str | None = None


@dataclass(frozen=True)
class Ticket:
    """A ticket; the timeline gives its status and its time of resolution."""

    key: str
    place: str
    unit: str | None
    opened_by: str
    opened: str
    priority: str
    category: str
    summary: str
    description: str
    steps: tuple[Step, ...] = ()
    quotes: tuple[Quote, ...] = ()
    visits: tuple[Visit, ...] = ()

    @property
    def status(self) -> str:
        return ([step.text for step in self.steps if step.kind == "status_change"] or ["open"])[-1]

    @property
    def resolved(self) -> str | None:
        """The local time of the last change to resolved, or None if the ticket is open again."""
        if self.status not in ("resolved", "closed"):
            return None
        return [step.at for step in self.steps if step.text == "resolved"][-1]


def _status(at: str, status: str, who: str = "manager") -> Step:
    return Step(at, "status_change", who, status)


def _note(at: str, text: str, who: str = "manager") -> Step:
    return Step(at, "note", who, text)


def _agent(at: str, text: str) -> Step:
    return Step(at, "ai_action", SERVICE_DESK, text)


TICKETS = (
    Ticket(
        "hot-water", "sydney", "101", "resident", "2024-11-18 06:52", "urgent", "plumbing",
        "No hot water since this morning",
        "The shower ran cold at half past six. The little light on the heater is off. We have a baby here.",
        (
            _agent("2024-11-18 06:53", "Set the priority to urgent: no hot water, small child in the unit."),
            _status("2024-11-18 07:40", "scheduled"),
            _note(
                "2024-11-18 11:05",
                "Thermal cut-out had tripped. Reset it and replaced the thermostat.", "technician",
            ),
            _status("2024-11-18 11:20", "resolved", "technician"),
            _status("2024-11-20 09:00", "closed"),
        ),
        visits=(Visit("2024-11-18 10:00", 2, "done", "plumber"),),
    ),
    Ticket(
        "inverter-hum", "sydney", None, "resident-101", "2024-12-09 13:15", "low", "solar",
        "Inverter in the stairwell hums loudly around noon",
        "It has been doing that on sunny days for about a week. Not urgent, but you hear it in the bedroom.",
        (
            _note(
                "2024-12-10 09:30",
                "Will look at the mounting when I am there for the yearly inspection.", "technician",
            ),
            _status("2024-12-16 08:00", "in_progress", "technician"),
            _note(
                "2024-12-16 10:10",
                "A loose bracket passed the vibration on to the wall. Rubber feet fitted.", "technician",
            ),
            _status("2024-12-16 10:15", "resolved", "technician"),
            _status("2025-01-06 09:00", "closed"),
        ),
        visits=(Visit("2024-12-16 08:00", 3, "done"),),
    ),
    Ticket(
        "bill-question", "sydney", "101", "resident", "2025-02-06 19:25", "normal", "billing",
        "Why is my solar share smaller than my neighbour's?",
        "We both use about the same. Is the share by the size of the unit or by what we use?",
        (
            _agent(
                "2025-02-06 19:26",
                "Answered from the allocation keys: shares are fixed by size until the end of February.",
            ),
            _note(
                "2025-02-07 08:45",
                "Added that the method changes in March, so that unused shares go to neighbours.",
            ),
            _status("2025-02-07 08:50", "resolved"),
            _status("2025-02-14 09:00", "closed"),
        ),
    ),
    Ticket(
        "inverter-fault", "sydney", None, "manager", "2025-02-12 08:20", "high", "solar",
        "The roof has made nothing since yesterday",
        "Clear sky, and the portal shows zero all day. The inverter's light is red.",
        (
            _agent("2025-02-12 08:21", "Compared with the days before: no generation since 11 February."),
            _status("2025-02-12 09:05", "scheduled"),
            _note(
                "2025-02-13 15:40",
                "Isolator had failed in the heat. Replaced it, the inverter starts again.", "technician",
            ),
            _status("2025-02-13 15:50", "resolved", "technician"),
            _status("2025-02-17 09:00", "closed"),
        ),
        visits=(Visit("2025-02-13 14:30", 2, "done", "solar"),),
    ),
    Ticket(
        "vacancy-check", "sydney", "103", "manager", "2025-03-17 09:10", "normal", "electrical",
        "Safety check of 103 between two tenancies",
        "The unit is empty until April. Please test the safety switches and read the sub-meter.",
        (
            _status("2025-03-18 10:00", "scheduled"),
            _note(
                "2025-03-21 14:30",
                "Safety switches trip in time. Meter read. Oven light bulb replaced.", "technician",
            ),
            _status("2025-03-21 14:35", "resolved", "technician"),
            _status("2025-03-28 09:00", "closed"),
        ),
        visits=(Visit("2025-03-21 13:00", 2, "done", "electrician"),),
    ),
    Ticket(
        "meter-display", "sydney", "102", "resident", "2025-05-19 17:45", "normal", "metering",
        "Display of my meter is blank",
        "I like to compare it with the bill. Since the weekend there is nothing to see on it.",
        (
            _agent(
                "2025-05-19 17:47",
                "Checked that readings still arrive: the meter measures, only its display is dark.",
            ),
            _status("2025-05-21 10:00", "quoted"),
            _note(
                "2025-05-22 16:20",
                "Two quotes. The dearer one can also register the new meter, so we take that.",
            ),
            _status("2025-05-23 09:00", "scheduled"),
            _note(
                "2025-06-16 09:40",
                "Meter exchanged; the new one counts from midnight. Old one kept for a year.", "technician",
            ),
            _status("2025-06-16 09:45", "resolved", "technician"),
            _status("2025-06-30 09:00", "closed"),
        ),
        (
            Quote("2025-05-21 09:50", "electrician", "486.20", "accepted"),
            Quote("2025-05-21 15:30", "solar", "431.00", "declined"),
        ),
        (Visit("2025-06-15 22:00", 4, "done", "electrician"),),
    ),
    Ticket(
        "hail", "sydney", None, "technician", "2025-07-22 08:05", "high", "solar",
        "Hail last night: look at the array",
        "Stones like marbles, it says. The output looks as usual, the glass may not.",
        (
            _agent(
                "2025-07-22 08:06",
                "Compared the daily yield with the weeks before: no drop so far.",
            ),
            _status("2025-07-22 15:00", "quoted"),
            _status("2025-07-23 11:00", "scheduled"),
            _note(
                "2025-07-24 12:30",
                "Two panels with cracked glass, both still work. New ones ordered.", "technician",
            ),
            _status("2025-07-24 12:40", "resolved", "technician"),
            _status("2025-08-11 09:00", "closed"),
        ),
        (
            Quote("2025-07-22 14:45", "solar", "1180.00", "accepted"),
            Quote("2025-07-22 16:10", "electrician", "1420.50", "declined"),
        ),
        (Visit("2025-07-24 08:00", 5, "done", "solar"),),
    ),
    Ticket(
        "leaking-tap", "sydney", "103", "resident", "2025-08-25 20:05", "low", "plumbing",
        "Kitchen tap drips",
        "One drop a second or so. There is a bowl under it.",
        (
            _status("2025-08-29 10:00", "scheduled"),
            _note("2025-09-05 18:10", "Nobody was let in at nine. Called, no answer.", "technician"),
            _status("2025-09-12 09:00", "scheduled"),
            _note("2025-09-23 10:30", "New cartridge. Sorry that it took so long.", "technician"),
            _status("2025-09-23 10:35", "resolved", "technician"),
            _status("2025-09-30 09:00", "closed"),
        ),
        visits=(
            Visit("2025-09-05 09:00", 1, "missed", "plumber"),
            Visit("2025-09-23 10:00", 1, "done", "plumber"),
        ),
    ),
    Ticket(
        "duplicate-light", "sydney", None, "resident-104", "2025-10-02 21:40", "low", "electrical",
        "Stairwell light flickers",
        "Second floor, the one next to the fuse box.",
        (
            _note("2025-10-03 08:30", "The whole stairwell gets new lights next week anyway."),
            _status("2025-10-03 08:35", "cancelled"),
        ),
    ),
    Ticket(
        "battery-quote", "sydney", None, "owner", "2025-10-20 10:15", "low", "solar",
        "Offers for the battery in the bin store",
        "Please get two offers for 20 kWh before the budget meeting in November.",
        (
            _status("2025-10-29 16:00", "quoted"),
            _note("2025-10-30 09:20", "First offer is in, the second was promised for next week."),
        ),
        (Quote("2025-10-29 15:40", "solar", "16450.00", "proposed"),),
    ),
    Ticket(
        "tripping-breaker", "los-angeles", "102", "resident", "2025-10-22 18:55", "high", "electrical",
        "Breaker trips whenever the oven and the dryer run together",
        "Happened three times tonight. It resets, but I would rather not do that in the dark again.",
        (
            _agent("2025-10-22 18:56", "Advised not to run both at once, and told the technician on duty."),
            _status("2025-10-23 09:30", "scheduled"),
            _note("2025-10-24 11:45", "Dryer was on the kitchen circuit. Moved it to its own.", "technician"),
            _status("2025-10-24 11:50", "resolved", "technician"),
        ),
        (Quote("2025-10-23 09:10", "us-electrician", "275.00", "accepted"),),
        (Visit("2025-10-24 10:00", 2, "done", "us-electrician"),),
    ),
    Ticket(
        "move-out-reading", "los-angeles", "103", "manager", "2025-10-24 08:30", "normal", "metering",
        "Final reading of 103 before the handover",
        "Out on the 26th, the next resident on the 28th. Both want to see the number.",
        (
            _status("2025-10-24 09:00", "scheduled"),
            _note(
                "2025-10-26 12:15",
                "Read together with the resident, photo in the handover folder.", "technician",
            ),
            _status("2025-10-26 12:20", "resolved", "technician"),
        ),
        visits=(Visit("2025-10-26 12:00", 1, "done"),),
    ),
    Ticket(
        "quarantined-rows", "los-angeles", None, "technician", "2025-11-10 07:50", "normal", "metering",
        "Meter file with rows that were turned away",
        "Some rows have an unknown register or an impossible date. The vendor has to send them again.",
        (
            _agent(
                "2025-11-10 07:51",
                "Drafted a message to the vendor with the rows and the rule that each broke.",
            ),
            _status("2025-11-10 08:15", "in_progress", "technician"),
        ),
    ),
    Ticket(
        "gate-motor", "los-angeles", None, "resident-104", "2025-10-24 22:10", "urgent", "electrical",
        "Garage gate stays open",
        "The motor clicks and nothing moves. Anyone could walk in.",
        (
            _status("2025-10-25 09:00", "scheduled"),
            _note(
                "2025-10-27 15:30",
                "No spare gear box in town on a weekend. Gate locked by hand until it came.", "technician",
            ),
            _status("2025-10-27 15:40", "resolved", "technician"),
        ),
        (Quote("2025-10-25 08:50", "us-electrician", "640.00", "accepted"),),
        (
            Visit("2025-10-25 10:00", 1, "cancelled", "us-electrician"),
            Visit("2025-10-27 13:00", 3, "done", "us-electrician"),
        ),
    ),
    Ticket(
        "late-readings", "berlin", None, "technician", "2025-11-03 10:05", "high", "metering",
        "Grid meter did not report on Saturday",
        "All other meters are there. The gateway answers to a ping.",
        (
            _agent("2025-11-03 10:06", "Asked the metering operator for the missing day."),
            _note("2025-11-06 09:15", "The operator promised the file for this week, twice.", "manager"),
            _status("2025-11-07 14:00", "resolved", "technician"),
        ),
    ),
    Ticket(
        "cold-radiator", "berlin", "102", "resident", "2025-11-18 08:20", "high", "plumbing",
        "Radiator in the bathroom stays cold",
        "The others are warm. Bleeding it did not help.",
        (
            _status("2025-11-19 08:30", "scheduled"),
            _note("2025-11-19 08:35", "Installer comes on Friday morning; the resident leaves a key."),
        ),
        visits=(Visit("2025-11-21 09:00", 2, "planned", "plumber"),),
    ),
    Ticket(
        "vacant-refit", "berlin", "103", "owner", "2025-10-21 11:00", "low", "electrical",
        "New wiring for the empty unit before it is let",
        "The fuse box is from 1974. One price for everything, please.",
        (
            _status("2025-10-28 17:00", "quoted"),
            _note("2025-10-28 17:05", "Both offers are in. The owner decides by the end of November."),
        ),
        (
            Quote("2025-10-27 12:00", "electrician", "7340.00", "proposed"),
            Quote("2025-10-28 16:30", "solar", "8125.00", "proposed"),
        ),
    ),
)  # fmt: skip


def make_ticket_id(site: DemoProperty, key: str) -> UUID:
    """Make the id of the ticket with this key at a property."""
    return make_id("ticket", site.key, key)


def build_service_rows(tenant: DemoTenant) -> Rows:
    """Build rows for tickets with their quotes, visits and timelines."""
    for site in tenant.sites:
        for ticket in TICKETS:
            if ticket.place == site.place:
                yield from _build_ticket_rows(tenant, site, ticket)


def _build_ticket_rows(tenant: DemoTenant, site: DemoProperty, ticket: Ticket) -> Rows:
    the_id, opened = make_ticket_id(site, ticket.key), site.at(ticket.opened)
    yield (
        "service_tickets",
        {
            "id": the_id,
            "property_id": site.id,
            "unit_id": None if ticket.unit is None else site.unit_id(ticket.unit),
            "opened_by": _find_person(tenant, site, ticket, ticket.opened_by),
            "status": ticket.status,
            "priority": ticket.priority,
            "summary": ticket.summary,
            "description": ticket.description,
            "category": ticket.category,
            # Elapsed hours and days, independent of clock changes.
            "sla_target_at": opened.astimezone(UTC) + SLA[ticket.priority],
            "opened_at": opened,
            "resolved_at": None if ticket.resolved is None else site.at(ticket.resolved),
        },
    )
    for number, quote in enumerate(ticket.quotes):
        yield "ticket_quotes", _build_quote(tenant, site, quote, the_id, number)
    for number, visit in enumerate(ticket.visits):
        yield "ticket_schedules", _build_visit(tenant, site, visit, the_id, number)
    status = "open"
    for number, step in enumerate(ticket.steps):
        row: Row = {
            "id": make_id("activity", str(the_id), str(number)),
            "ticket_id": the_id,
            "kind": step.kind,
            "occurred_at": site.at(step.at),
        }
        if step.kind == "ai_action":
            row |= {"agent_id": step.who, "body": step.text}
        else:
            row |= {"user_id": _find_person(tenant, site, ticket, step.who)}
        if step.kind == "note":
            row |= {"body": step.text}
        elif step.kind == "status_change":
            row |= {"details": {"from": status, "to": step.text}}
            status = step.text
        yield "ticket_activities", row


def _build_quote(tenant: DemoTenant, site: DemoProperty, quote: Quote, ticket: UUID, number: int) -> Row:
    quoted_at = site.at(quote.at)
    return {
        "id": make_id("quote", str(ticket), str(number)),
        "ticket_id": ticket,
        "provider_id": make_provider_id(tenant, quote.provider),
        "amount": Decimal(quote.amount),
        "currency": get_currency(site),
        "status": quote.status,
        "quoted_at": quoted_at,
        "valid_until": quoted_at.date() + timedelta(days=30),
    }


def _build_visit(tenant: DemoTenant, site: DemoProperty, visit: Visit, ticket: UUID, number: int) -> Row:
    start = site.at(visit.at).astimezone(UTC)
    return {
        "id": make_id("visit", str(ticket), str(number)),
        "ticket_id": ticket,
        "provider_id": None if visit.provider is None else make_provider_id(tenant, visit.provider),
        "scheduled_during": TimestamptzRange(start, start + timedelta(hours=visit.hours), "[)"),
        "status": visit.status,
    }


def _find_person(tenant: DemoTenant, site: DemoProperty, ticket: Ticket, who: str) -> UUID:
    """Find a person by staff role, `resident` (of the ticket's unit) or `resident-104` (of another unit)."""
    role, _, label = who.partition("-")
    if role != "resident":
        return list_staff(tenant)[role].id
    day: date = datetime.fromisoformat(ticket.opened).date()
    return find_resident(tenant, site, label or str(ticket.unit), day).id
