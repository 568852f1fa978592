"""What people of the demo asked agents, and which tools those used, at fixed times."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal
from uuid import UUID

from data.demo.company import Site, Tenant, named
from data.demo.people import resident, staff
from data.demo.rows import Row, Rows, Secret
from data.demo.service import SERVICE_DESK


@dataclass(frozen=True)
class Said:
    """A message, so many seconds after the start of the session."""

    after: int
    role: Literal["user", "agent", "tool"]
    text: str


@dataclass(frozen=True)
class Used:
    """A tool that the agent used, what with, and what came of it."""

    after: int
    tool: str
    arguments: dict[str, str]
    outcome: Literal["succeeded", "failed", "refused"]
    latency_ms: int


@dataclass(frozen=True)
class Session:
    """A talk of a person (a role of the staff, or resident-<unit>) with an agent; local start."""

    key: str
    place: str
    agent: str
    who: str
    start: str
    said: tuple[Said, ...]
    used: tuple[Used, ...]


SESSIONS = (
    Session(
        "hot-water", "sydney", SERVICE_DESK, "resident-101", "2024-11-18 06:50:00",
        (
            Said(0, "user", "There is no hot water and the light on the heater is off."),
            Said(9, "agent", "I am sorry. Is anybody in the unit who cannot do without it today?"),
            Said(41, "user", "Yes, a baby."),
            Said(120, "agent", "I opened an urgent ticket. Somebody calls you within the hour."),
        ),
        (
            Used(112, "create_ticket", {"ticket": "hot-water", "category": "plumbing"}, "succeeded", 184),
            Used(118, "set_priority", {"ticket": "hot-water", "priority": "urgent"}, "succeeded", 61),
        ),
    ),
    Session(
        "solar-share", "sydney", "billing-assistant", "resident-101", "2025-02-06 19:22:00",
        (
            Said(0, "user", "Why is my solar share smaller than next door?"),
            Said(14, "tool", "Share of 101: 0.18526315 of the generation, from 1 November 2024."),
            Said(16, "agent", "Shares go by the size of the unit. Yours is one of the smaller ones."),
            Said(75, "user", "And what does the neighbour pay?"),
            Said(78, "agent", "That I may not tell. I can show you your own invoices."),
        ),
        (
            Used(13, "read_allocation_keys", {"unit": "101"}, "succeeded", 47),
            Used(77, "read_invoices", {"unit": "102"}, "refused", 12),
        ),
    ),
    Session(
        "hail", "sydney", "energy-analyst", "technician", "2025-07-22 08:00:00",
        (
            Said(0, "user", "Did the hail cost us output?"),
            Said(45, "agent", "Not so far: the daily yield is what it was in the weeks before."),
            Said(90, "user", "Show me the strings."),
            Said(121, "agent", "The inverter does not answer, so I cannot tell the strings apart."),
        ),
        (
            Used(12, "query_mart", {"table": "mart_solar_performance", "days": "45"}, "succeeded", 2310),
            Used(100, "read_inverter", {"asset": "inverter", "what": "strings"}, "failed", 20000),
        ),
    ),
    Session(
        "breaker", "los-angeles", SERVICE_DESK, "resident-102", "2025-10-22 18:50:00",
        (
            Said(0, "user", "My breaker keeps tripping."),
            Said(11, "agent", "What is running when it does?"),
            Said(38, "user", "Oven and dryer."),
            Said(52, "agent", "Please do not run both at once. I opened a ticket for an electrician."),
        ),
        (Used(49, "create_ticket", {"ticket": "tripping-breaker"}, "succeeded", 203),),
    ),
    Session(
        "vendor", "los-angeles", "energy-analyst", "manager", "2025-11-10 07:40:00",
        (
            Said(0, "user", "Which rows of the meter file were turned away, and why?"),
            Said(20, "agent", "Eight. Unknown registers, wrong units, a negative value, a date that is not."),
            Said(64, "user", "Delete them."),
            Said(66, "agent", "I may not delete readings. I can draft a message to the vendor."),
        ),
        (
            Used(8, "list_quarantine", {"property": "los-angeles"}, "succeeded", 96),
            Used(65, "delete_quarantine", {"property": "los-angeles"}, "refused", 9),
            Used(80, "draft_message", {"to": "vendor"}, "succeeded", 1450),
        ),
    ),
    Session(
        "missing-day", "berlin", SERVICE_DESK, "technician", "2025-11-03 10:00:00",
        (
            Said(0, "user", "The grid meter is missing for Saturday. Can you ask for it?"),
            Said(30, "agent", "The operator's mailbox did not take the message. I try again in an hour."),
            Said(3640, "agent", "It went through this time."),
        ),
        (
            Used(25, "send_message", {"to": "metering-operator", "try": "1"}, "failed", 5000),
            Used(3630, "send_message", {"to": "metering-operator", "try": "2"}, "succeeded", 820),
        ),
    ),
)  # fmt: skip


def audit_rows(tenant: Tenant) -> Rows:
    """The tools that agents used: what went in as a hash alone."""
    for site, session in _sessions(tenant):
        for number, use in enumerate(session.used):
            arguments = json.dumps(use.arguments, sort_keys=True, separators=(",", ":"))
            yield (
                "agent_audit",
                {
                    "id": named("agent-action", site.key, session.key, str(number)),
                    "session_id": _session_id(site, session),
                    "agent_id": session.agent,
                    "tool_name": use.tool,
                    "input_hash": hashlib.sha256(arguments.encode()).hexdigest(),
                    "outcome": use.outcome,
                    "latency_ms": use.latency_ms,
                    "trace_id": named("trace", site.key, session.key).hex,
                    "performed_by_user_id": _user_id(tenant, site, session),
                    "occurred_at": site.at(session.start) + timedelta(seconds=use.after),
                },
            )


def message_rows(tenant: Tenant) -> Iterator[tuple[Row, Secret]]:
    """Rows of `agent_messages` without their content, and the content, to be sealed."""
    for site, session in _sessions(tenant):
        user = _user_id(tenant, site, session)
        for sequence, message in enumerate(session.said, start=1):
            yield (
                {
                    "id": named("message", site.key, session.key, str(sequence)),
                    "session_id": _session_id(site, session),
                    "sequence": sequence,
                    "agent_id": session.agent,
                    "user_id": user,
                    "role": message.role,
                    "sent_at": site.at(session.start) + timedelta(seconds=message.after),
                },
                Secret(message.text, user),
            )


def _sessions(tenant: Tenant) -> Iterator[tuple[Site, Session]]:
    for site in tenant.sites:
        for session in SESSIONS:
            if session.place == site.place:
                yield site, session


def _session_id(site: Site, session: Session) -> UUID:
    return named("session", site.key, session.key)


def _user_id(tenant: Tenant, site: Site, session: Session) -> UUID:
    role, _, label = session.who.partition("-")
    if role == "resident":
        return resident(tenant, site, label, date.fromisoformat(session.start[:10])).id
    return staff(tenant)[role].id
