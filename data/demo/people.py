"""The people of the demo, all invented: staff, residents, who lives where and when, and what they want told.

E-mail addresses end in .example, which never exists; telephone numbers are from ranges set aside for fiction.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

from psycopg.types.range import DateRange

from data.demo.company import Site, Tenant, named
from data.demo.rows import Rows, Secret


@dataclass(frozen=True)
class Person:
    """Somebody with a login; `address` is the part of the e-mail address before the @."""

    tenant: Tenant
    name: str
    address: str
    role: str
    phone: str | None = None

    @property
    def id(self) -> UUID:
        return named("user", self.tenant.name, self.address)


@dataclass(frozen=True)
class Stay:
    """A tenancy: from `start` to before `end`, None while it lasts."""

    site: Site
    label: str
    person: Person
    start: date
    end: date | None

    @property
    def id(self) -> UUID:
        return named("tenancy", self.site.key, self.label, self.start.isoformat())


# Role: name, telephone number.
_STAFF = {
    "AU": {
        "owner": ("Rosalind Wattle", None),
        "manager": ("Bram Banksia", "+61 491 570 156"),
        "accountant": ("Ottoline Quoll", None),
        "technician": ("Fergus Lyrebird", "+61 491 570 157"),
    },
    "DE": {
        "owner": ("Hedwig Sonnenhof", None),
        "manager": ("Lorenz Spatz", "+49 30 23125 014"),
        "accountant": ("Adele Rechenberg", None),
        "technician": ("Till Kabelmann", "+49 30 23125 015"),
    },
}
# By place and unit: who, from, to before. A unit that is named with nobody is vacant throughout.
_STAYS: dict[str, dict[str, tuple[tuple[str, date, date | None], ...]]] = {
    "sydney": {
        "101": (("Juniper Ashgrove", date(2023, 8, 5), None),),
        "102": (("Caspian Moss", date(2024, 2, 10), None),),
        # Out and in within a month, vacant between.
        "103": (
            ("Tansy Fairweather", date(2024, 5, 1), date(2025, 3, 14)),
            ("Wilf Underhill", date(2025, 4, 9), None),
        ),
        # Vacant when billing begins.
        "104": (("Marigold Penhaligon", date(2025, 1, 18), None),),
    },
    "los-angeles": {
        "101": (("Peregrine Vale", date(2024, 6, 1), None),),
        "102": (("Saffron Delacroix", date(2025, 2, 15), None),),
        "103": (
            ("Rufus Larkspur", date(2024, 9, 1), date(2025, 10, 26)),
            ("Clementine Oakes", date(2025, 10, 28), None),
        ),
        "104": (("Barnaby Thistle", date(2023, 11, 11), None),),
        "105": (("Isolde Merriweather", date(2025, 7, 1), None),),
    },
    "berlin": {
        "101": (("Ottilie Regenbogen", date(2022, 4, 1), None),),
        "102": (("Kasimir Blaubeer", date(2024, 12, 1), None),),
        "103": (),
    },
}
_SINCE = date(2024, 8, 1)
_LAST_LOGIN = datetime(2025, 11, 19, 7, 30, tzinfo=UTC)
_TOPICS = {
    "owner": ("report",),
    "manager": ("ticket", "outage", "report"),
    "accountant": ("invoice", "payment"),
    "technician": ("ticket", "outage"),
    "resident": ("invoice", "ticket"),
}


def staff(tenant: Tenant) -> dict[str, Person]:
    """By role."""
    return {
        role: Person(tenant, name, _address(name), role, phone)
        for role, (name, phone) in _STAFF[tenant.region].items()
    }


def stays(tenant: Tenant, site: Site) -> Iterator[Stay]:
    """Every tenancy of a property, unit by unit, each in order of time."""
    for label in site.unit_labels:
        unnamed = ((f"Resident {label}", _SINCE, None),)
        for name, start, end in _STAYS[site.place].get(label, unnamed):
            address = _address(name) if name[-1].isalpha() else f"{_address(name)}.{site.place}"
            yield Stay(site, label, Person(tenant, name, address, "resident"), start, end)


def resident(tenant: Tenant, site: Site, label: str, day: date) -> Person:
    """Who lives in a unit on a day. Raises `ValueError` while it is vacant."""
    for stay in stays(tenant, site):
        if stay.label == label and stay.start <= day and (stay.end is None or day < stay.end):
            return stay.person
    raise ValueError(f"nobody lives in {site.key} {label} on {day}")


def people_rows(tenant: Tenant) -> Rows:
    """Users, what they want to be told, tenancies."""
    everybody = _everybody(tenant)
    for person in everybody:
        is_resident = person.role == "resident"
        yield (
            "users",
            {
                "id": person.id,
                "email": f"{person.address}@{tenant.domain}",
                "role": person.role,
                "mfa_enabled": not is_resident,
                "last_login_at": None if is_resident else _LAST_LOGIN,
            },
        )
    for person in everybody:
        for topic in _TOPICS[person.role]:
            yield "notification_preferences", _preference(person, topic, "email")
        if person.phone is not None:
            yield "notification_preferences", _preference(person, "outage", "sms")
    for site in tenant.sites:
        for stay in stays(tenant, site):
            yield (
                "tenancies",
                {
                    "id": stay.id,
                    "unit_id": site.unit_id(stay.label),
                    "user_id": stay.person.id,
                    "occupied_during": DateRange(stay.start, stay.end, "[)"),
                },
            )


def personal_fields(tenant: Tenant) -> Iterator[tuple[str, str, dict[UUID, Secret]]]:
    """(table, column, text by id of the row) of what is sealed in the rows of people."""
    everybody = _everybody(tenant)
    yield "users", "full_name", {p.id: Secret(f"{p.name} (demo)", p.id) for p in everybody}
    yield (
        "notification_preferences",
        "destination",
        {
            named("preference", str(p.id), "outage", "sms"): Secret(p.phone, p.id)
            for p in everybody
            if p.phone is not None
        },
    )


def _everybody(tenant: Tenant) -> list[Person]:
    residents = [stay.person for site in tenant.sites for stay in stays(tenant, site)]
    return [*staff(tenant).values(), *residents]


def _preference(person: Person, topic: str, channel: str) -> dict[str, object]:
    return {
        "id": named("preference", str(person.id), topic, channel),
        "user_id": person.id,
        "topic": topic,
        "channel": channel,
    }


def _address(name: str) -> str:
    return name.lower().replace(" ", ".")
