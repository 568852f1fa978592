"""The sensor of dates to validate."""

from datetime import date, datetime

from dagster_project.defs.oltp.jobs import validate
from dagster_project.waiting import dates_sensor
from myproperty.database.roles import INGEST


def load_due_dates(dsn: str) -> dict[date, datetime | None]:
    """Return the dates that are due, importing validation only now: it is slow to load.

    Since when they are due is not known: it may be a threshold, or another date.
    """
    from data.ingest.validation.due import find_due_dates

    return dict.fromkeys(find_due_dates(dsn))


sensors = [dates_sensor("due_dates", validate, INGEST, load_due_dates)]
