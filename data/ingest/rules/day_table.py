"""The rules of whole days: the second part of the table of rules.

Here too: the class of a rule. Not here: rules of files, rows and readings, and the whole table (`table`).
"""

import dataclasses
import datetime
from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

Severity = Literal["info", "issue", "severe", "reject", "terminate"]


@dataclasses.dataclass(frozen=True)
class IngestRule:
    """One rule: a stable id, the severity of a violation, the valid state, and what to do about a violation.

    It holds for reading dates from `effective_from` on; `thresholds` are the defaults by name.
    """

    id: str
    severity: Severity
    description: str
    remedy: str
    thresholds: Mapping[str, Decimal] = dataclasses.field(default_factory=dict)
    effective_from: datetime.date = datetime.date(1990, 1, 1)


DAYS = (
    IngestRule(
        "VEE-GAP",
        "issue",
        "a local day of 23, 24 or 25 hours has every interval of each register",
        "Ask the sender for the missing intervals, or bill by a register read.",
    ),
    IngestRule(
        "VEE-GAP-SHORT",
        "info",
        "a gap of at most `hours` between two values is estimated on the line between them, method 17, "
        "and the balance of the property (VEE-BALANCE) bounds the estimate",
        "Nothing to do: a value of the sender replaces the estimate.",
        {"hours": Decimal(2)},
    ),
    IngestRule(
        "VEE-GAP-LONG",
        "info",
        "a longer gap is the median of the same weekday and time at most `days` back, method 14, "
        "and the balance of the property bounds it too",
        "Nothing to do: a value of the sender replaces the estimate.",
        {"days": Decimal(50)},
    ),
    IngestRule(
        "VEE-SUFFICIENCY",
        "issue",
        "no more than the share `of_day` of a day's intervals is missing before estimation, nor `of_period` "
        "of a period's days",
        "Do not rely on the figures of the day; ask the sender for the readings.",
        {"of_day": Decimal("0.5"), "of_period": Decimal("0.1")},
    ),
    IngestRule(
        "VEE-SUM",
        "issue",
        "intervals add up to the register difference, within `share` of it or `register_units`",
        "Compare the register with the device; look for a wrong multiplier or an unreported meter exchange.",
        {"share": Decimal("0.001"), "register_units": Decimal(1)},
    ),
    IngestRule(
        "VEE-ROLLOVER",
        "issue",
        "a register goes down only by passing its last digit, to less than `of_range` of what it can show",
        "Ask the meter operator if the meter was exchanged or read wrongly.",
        {"of_range": Decimal("0.5")},
    ),
    IngestRule(
        "VEE-SPIKE",
        "issue",
        "the highest value of a day exceeds the third highest by no more than `ratio` of that",
        "Ask what ran at that time; the sender corrects an impossible value.",
        {"ratio": Decimal(1)},
    ),
    IngestRule(
        "VEE-HIGH-LOW",
        "issue",
        "a day's total is between `low` and `high` times the average of the `days` before, if at least "
        "`least` of these are known",
        "Compare with weather, occupancy and the meter next to it.",
        {"low": Decimal("0.1"), "high": Decimal(5), "days": Decimal(50), "least": Decimal(7)},
    ),
    IngestRule(
        "VEE-OUTLIER",
        "issue",
        "a day's total is not above the median of the `days` before by more than `iqr` interquartile ranges",
        "Compare with weather, occupancy and the meter next to it.",
        {"iqr": Decimal(3), "days": Decimal(50), "least": Decimal(7)},
    ),
    IngestRule(
        "VEE-BOUND",
        "severe",
        "an interval of electricity is below `of_rated` times the rated power of the meter, or `of_capacity` "
        "times the solar capacity of the property for generation; where these are not known, an interval is "
        "below `kw` for each connection or `of_history` times the median of the daily peaks, and a day below "
        "`day_kwh` for each connection or `of_history` times the median of the `days` before, if at least "
        "`least` are known. A day of generation is below `sun_hours` at the solar capacity or, where the "
        "place is known, below `of_sky` times the yield under a clear sky",
        "Look for a wrong unit or multiplier and ask the sender for a corrected file. If the values are "
        "right, set `meters.rated_kw` or `properties.solar_capacity_kw`, or run `myproperty issues accept`.",
        {
            "of_rated": Decimal("1.2"),
            "of_capacity": Decimal(2),
            "kw": Decimal(50),
            "day_kwh": Decimal(400),
            "of_history": Decimal(10),
            "days": Decimal(50),
            "least": Decimal(7),
            "sun_hours": Decimal(12),
            "of_sky": Decimal("1.5"),
        },
    ),
    IngestRule(
        "VEE-SLIP",
        "severe",
        "a day of electricity is below `ten` times the median of like days in the last `days`, or its "
        "readings do not rise alike: their levels (10, 25, 50, 95 % of those above zero) by factors within "
        "`spread`. In any case not all are `thousand` times the usual ones or more, nor a `thousand`th or "
        "less. Like days are weekdays or weekends, if `least` are known, else all days. Some slips look like "
        "good days and are at most a VEE-HIGH-LOW: ten times a meter that uses less than `usual_kwh` a day "
        "(a vacant flat; for a thousand times, a tenth of that), ten times a dark day on a roof of known "
        "capacity (a sunny day), a tenth of a day (a vacancy), a daily reading, and a meter without history",
        "Look for a wrong unit or multiplier and ask the sender for a corrected file. If the values are "
        "right, run `myproperty issues accept`; a new level is usual after about a week.",
        {
            "ten": Decimal(5),
            "thousand": Decimal(200),
            "spread": Decimal(2),
            "usual_kwh": Decimal(2),
            "days": Decimal(50),
            "least": Decimal(7),
        },
    ),
    IngestRule(
        "VEE-ZERO-RUN",
        "issue",
        "consumption of electricity is zero for less than `hours`, or no longer than on the `days` before",
        "Ask if the supply was cut or the unit is vacant; otherwise have the meter looked at.",
        {"hours": Decimal(6), "days": Decimal(50)},
    ),
    IngestRule(
        "VEE-SOLAR-NIGHT",
        "issue",
        "nothing is generated while the sun is down, where the place of the property is known",
        "Check the clock of the device, its zone, and the direction of the register.",
        {"kwh": Decimal(0)},
    ),
    IngestRule(
        "VEE-SOLAR-CLEAR",
        "issue",
        "generation is at most `ratio` times the yield of a plane that faces the sun under a clear sky, "
        "where place and capacity are known",
        "Check multiplier and unit of the register, and the capacity of the property.",
        {"ratio": Decimal("1.1")},
    ),
    IngestRule(
        "VEE-STALE",
        "issue",
        "generation above zero is not the same `samples` times in a row",
        "Check the data logger: it may repeat its last value.",
        {"samples": Decimal(6)},
    ),
    IngestRule(
        "VEE-CHANNEL",
        "issue",
        "a meter that reports on a date reports on every configured channel",
        "Ask the sender for the channel, or remove the register from the configuration.",
    ),
    IngestRule(
        "VEE-BALANCE",
        "issue",
        "in each interval, import and generation cover consumption and export, within `share`; not checked "
        "where the property does not meter all four, or has a battery",
        "A negative loss is a metering fault: check direction, multiplier and clock of the meters. "
        "Such readings are not allocated.",
        {"share": Decimal("0.01")},
    ),
    IngestRule(
        "VEE-CLOCK",
        "issue",
        "the time zone of a meter has the same offset as the zone of its property",
        "Correct the zone of the meter or of the property, then ingest its files again.",
    ),
    IngestRule(
        "VEE-WITHDRAWN",
        "issue",
        "the sender has not withdrawn a current value: no newer null exists",
        "Ask the sender which is right; a null never replaces a value, a corrected value does.",
    ),
)
