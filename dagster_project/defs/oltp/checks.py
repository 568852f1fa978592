"""Gate A: the readings of the dates, before they leave the operational database."""

import dagster as dg
import pandas as pd

from dagster_project.gates import gate_check
from dagster_project.resources.platform import Sources
from expectations.suites.oltp import meter_readings
from myproperty.database.roles import GATES
from myproperty.dates import Window


def read_profile(sources: Sources, dates: Window | None) -> pd.DataFrame:
    """Read the profile of the readings of these dates. Raises ValueError without dates."""
    if dates is None:
        raise ValueError("gate A checks reading dates: start the run with a partition range")
    return meter_readings.read_profile(sources.platform.dsn_of(GATES), dates.start, dates.end)


checks = [gate_check(dg.AssetKey("meter_readings"), meter_readings.SUITE, read_profile, partitioned=True)]
