"""The sensor of dates to validate."""

from datetime import date

from dagster_project.defs.oltp.jobs import validate
from dagster_project.waiting import dates_sensor


def load_due_dates(dsn: str) -> list[date]:
    """Return the dates that are due, importing validation only now: it is slow to load."""
    from data.ingest.validation.due import find_due_dates

    return find_due_dates(dsn)


sensors = [dates_sensor("due_dates", validate, load_due_dates)]
