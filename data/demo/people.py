"""The invented people of the demo: staff, residents, tenancies and notification preferences.

E-mail addresses end in .example, which never exists. Telephone numbers come from ranges for fiction.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

from psycopg.types.range import DateRange

from data.demo.company import DemoProperty, DemoTenant, make_id
from data.demo.rows import Rows, Secret


@dataclass(frozen=True)
class Person:
    """A person with a login; `address` is the part of the e-mail address before the @."""

    tenant: DemoTenant
    name: str
    address: str
    role: str
    phone: str | None = None

    @property
    def id(self) -> UUID:
        return make_id("user", self.tenant.name, self.address)


@dataclass(frozen=True)
class Tenancy:
    """A tenancy from `start` to before `end`; None means it still lasts."""

    site: DemoProperty
    label: str
    person: Person
    start: date
    end: date | None

    @property
    def id(self) -> UUID:
        return make_id("tenancy", self.site.key, self.label, self.start.isoformat())


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
# By place and unit: name, start, end (exclusive). A unit with an empty tuple is always vacant.
_STAYS: dict[str, dict[str, tuple[tuple[str, date, date | None], ...]]] = {
    "sydney": {
        "101": (("Juniper Ashgrove", date(2023, 8, 5), None),),
        "102": (("Caspian Moss", date(2024, 2, 10), None),),
        # Vacant between two tenancies, within a month.
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


def list_staff(tenant: DemoTenant) -> dict[str, Person]:
    """Return the staff of a tenant by role."""
    return {
        role: Person(tenant, name, _make_address(name), role, phone)
        for role, (name, phone) in _STAFF[tenant.region].items()
    }


def list_stays(tenant: DemoTenant, site: DemoProperty) -> Iterator[Tenancy]:
    """Yield every tenancy of a property, by unit and time."""
    for label in site.unit_labels:
        unnamed = ((f"Resident {label}", _SINCE, None),)
        for name, start, end in _STAYS[site.place].get(label, unnamed):
            address = _make_address(name) if name[-1].isalpha() else f"{_make_address(name)}.{site.place}"
            yield Tenancy(site, label, Person(tenant, name, address, "resident"), start, end)


def find_resident(tenant: DemoTenant, site: DemoProperty, label: str, day: date) -> Person:
    """Return the resident of a unit on a day. Raises `ValueError` if it is vacant."""
    for stay in list_stays(tenant, site):
        if stay.label == label and stay.start <= day and (stay.end is None or day < stay.end):
            return stay.person
    raise ValueError(f"nobody lives in {site.key} {label} on {day}")


def build_people_rows(tenant: DemoTenant) -> Rows:
    """Build rows for users, notification preferences and tenancies."""
    everybody = _list_people(tenant)
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
            yield "notification_preferences", _build_preference(person, topic, "email")
        if person.phone is not None:
            yield "notification_preferences", _build_preference(person, "outage", "sms")
    for site in tenant.sites:
        for stay in list_stays(tenant, site):
            yield (
                "tenancies",
                {
                    "id": stay.id,
                    "unit_id": site.unit_id(stay.label),
                    "user_id": stay.person.id,
                    "occupied_during": DateRange(stay.start, stay.end, "[)"),
                },
            )


def list_personal_fields(tenant: DemoTenant) -> Iterator[tuple[str, str, dict[UUID, Secret]]]:
    """Yield the sealed fields of people: table, column, and secret by row id."""
    everybody = _list_people(tenant)
    yield "users", "full_name", {p.id: Secret(f"{p.name} (demo)", p.id) for p in everybody}
    yield (
        "notification_preferences",
        "destination",
        {
            make_id("preference", str(p.id), "outage", "sms"): Secret(p.phone, p.id)
            for p in everybody
            if p.phone is not None
        },
    )


def _list_people(tenant: DemoTenant) -> list[Person]:
    residents = [stay.person for site in tenant.sites for stay in list_stays(tenant, site)]
    return [*list_staff(tenant).values(), *residents]


def _build_preference(person: Person, topic: str, channel: str) -> dict[str, object]:
    return {
        "id": make_id("preference", str(person.id), topic, channel),
        "user_id": person.id,
        "topic": topic,
        "channel": channel,
    }


def _make_address(name: str) -> str:
    return name.lower().replace(" ", ".")
