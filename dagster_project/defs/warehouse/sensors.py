"""The sensor of dates to publish."""

from dagster_project.defs.warehouse.jobs import pipeline
from dagster_project.waiting import dates_sensor
from data.landing.published_dates import pending_dates

sensors = [dates_sensor("pending_dates", pipeline, pending_dates)]
