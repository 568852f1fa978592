"""Conversations of demo people with agents and the tools that the agents used, at fixed times."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal
from uuid import UUID

from data.demo.company import DemoProperty, DemoTenant, make_id
from data.demo.people import find_resident, list_staff
from data.demo.rows import Row, Rows, Secret
from data.demo.service import SERVICE_DESK


@dataclass(frozen=True)
class Said:
    """A message, `after` seconds after the start of the session."""

    after: int
    role: Literal["user", "agent", "tool"]
    text: str


@dataclass(frozen=True)
class Used:
    """A tool call of an agent: arguments, outcome and latency."""

    after: int
    tool: str
    arguments: dict[str, str]
    outcome: Literal["succeeded", "failed", "refused"]
    latency_ms: int


@dataclass(frozen=True)
class AgentSession:
    """A conversation of a person (a staff role or resident-<unit>) with an agent; `start` is local time."""

    key: str
    place: str
    agent: str
    who: str
    start: str
    said: tuple[Said, ...]
    used: tuple[Used, ...]


SESSIONS = (
    AgentSession(
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
    AgentSession(
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
    AgentSession(
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
    AgentSession(
        "breaker", "los-angeles", SERVICE_DESK, "resident-102", "2025-10-22 18:50:00",
        (
            Said(0, "user", "My breaker keeps tripping."),
            Said(11, "agent", "What is running when it does?"),
            Said(38, "user", "Oven and dryer."),
            Said(52, "agent", "Please do not run both at once. I opened a ticket for an electrician."),
        ),
        (Used(49, "create_ticket", {"ticket": "tripping-breaker"}, "succeeded", 203),),
    ),
    AgentSession(
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
    AgentSession(
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


def build_audit_rows(tenant: DemoTenant) -> Rows:
    """Build rows for the tool calls of agents; arguments are kept as a hash only."""
    for site, session in _list_sessions(tenant):
        for number, use in enumerate(session.used):
            arguments = json.dumps(use.arguments, sort_keys=True, separators=(",", ":"))
            yield (
                "agent_audit",
                {
                    "id": make_id("agent-action", site.key, session.key, str(number)),
                    "session_id": _make_session_id(site, session),
                    "agent_id": session.agent,
                    "tool_name": use.tool,
                    "input_hash": hashlib.sha256(arguments.encode()).hexdigest(),
                    "outcome": use.outcome,
                    "latency_ms": use.latency_ms,
                    "trace_id": make_id("trace", site.key, session.key).hex,
                    "performed_by_user_id": _find_user_id(tenant, site, session),
                    "occurred_at": site.at(session.start) + timedelta(seconds=use.after),
                },
            )


def build_message_rows(tenant: DemoTenant) -> Iterator[tuple[Row, Secret]]:
    """Build rows of `agent_messages` without content, each with its content to be sealed."""
    for site, session in _list_sessions(tenant):
        user = _find_user_id(tenant, site, session)
        for sequence, message in enumerate(session.said, start=1):
            yield (
                {
                    "id": make_id("message", site.key, session.key, str(sequence)),
                    "session_id": _make_session_id(site, session),
                    "sequence": sequence,
                    "agent_id": session.agent,
                    "user_id": user,
                    "role": message.role,
                    "sent_at": site.at(session.start) + timedelta(seconds=message.after),
                },
                Secret(message.text, user),
            )


def _list_sessions(tenant: DemoTenant) -> Iterator[tuple[DemoProperty, AgentSession]]:
    for site in tenant.sites:
        for session in SESSIONS:
            if session.place == site.place:
                yield site, session


def _make_session_id(site: DemoProperty, session: AgentSession) -> UUID:
    return make_id("session", site.key, session.key)


def _find_user_id(tenant: DemoTenant, site: DemoProperty, session: AgentSession) -> UUID:
    role, _, label = session.who.partition("-")
    if role == "resident":
        return find_resident(tenant, site, label, date.fromisoformat(session.start[:10])).id
    return list_staff(tenant)[role].id
