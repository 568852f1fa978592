"""The values that a mapping of a table declares: a column of readings, or the cells of a day.

Here: their fields, and the checks of one of them. Not here: times, or the mapping as a whole (`mapping`).
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WrapSerializer,
    field_validator,
    model_validator,
)

from data.ingest.formats.assemble import AMOUNTS
from data.ingest.formats.mapping_texts import Channel, ColumnName, Name, Unit
from data.ingest.schema import DECIMAL_DIGITS_BEFORE_POINT, ONE_DIRECTION_CHANNELS

# Units of power, and of the energy of one hour at that power.
ENERGY_OF_POWER = {"W": "Wh", "kW": "kWh", "MW": "MWh", "var": "varh", "kvar": "kvarh"}
_UNITS_OF_NAME = ("wh", "kwh", "mwh", "kw", "mw")
_UNIT_OF_NAME = re.compile(r"(?<![A-Za-z])(kWh|MWh|Wh|kW|MW)(?![A-Za-z])(?![-·.*]hr?)", re.I)


def _divides_a_day(minutes: int) -> int:
    if 1440 % minutes:
        raise ValueError(f"{minutes} minutes do not divide a day")
    return minutes


Minutes = Annotated[int, Field(ge=1, le=1440), AfterValidator(_divides_a_day)]
# A local day is no fixed length.
LongerMinutes = Annotated[int, Field(ge=2, le=720), AfterValidator(_divides_a_day)]


class Strict(BaseModel):
    """A part of a mapping: no other fields, and no changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# A column, or several whose texts are joined by a blank: year, month and day.
JoinedColumns = ColumnName | Annotated[tuple[ColumnName, ...], Field(min_length=2, max_length=6)]


class Columns(Strict):
    """The columns that name the meter, the time, the unit and the quality of a reading.

    `timestamp` and `date` may be lists: the texts of their columns are joined by a blank.
    """

    identifier: ColumnName | None = None
    register_: Annotated[ColumnName | None, Field(alias="register")] = None
    serial_number: ColumnName | None = None
    timestamp: JoinedColumns | None = None
    date: JoinedColumns | None = None
    time: ColumnName | None = None
    period: ColumnName | None = None
    seconds: ColumnName | None = None
    unit: ColumnName | None = None
    quality: ColumnName | None = None


class Amount(Strict):
    """What the values are. With `average_power` they are average power, and are read as energy; where each
    row states its unit, those of power are.

    A value is multiplied by `factor`, exactly, and by `sign`. With `negative` a value below zero is an amount
    of that channel, in the register `register negative` (`net export`); each interval then has a value in
    both channels.
    """

    channel: Channel | None = None
    unit: Unit | None = None
    average_power: bool = False
    register_: Annotated[Name | None, Field(alias="register")] = None
    factor: Annotated[Decimal, Field(gt=0, max_digits=18)] | None = None
    sign: Literal[1, -1] = 1
    negative: Channel | None = None

    @field_validator("factor", mode="before")
    @classmethod
    def _is_given(cls, factor: object) -> object:
        if factor is None:
            raise ValueError("factor is empty: write a number, 1 if the values are not to be multiplied")
        return factor

    @model_validator(mode="after")
    def _averages_power(self) -> Self:
        if self.average_power and self.unit is not None and self.unit not in ENERGY_OF_POWER:
            raise ValueError(f"average_power needs a unit of power: {', '.join(ENERGY_OF_POWER)}")
        return self


class Value(Amount):
    """A column of values: one register. `register` is the name of the column unless it is given.

    With `cumulative` the values are reads of a dial at the times of the rows, and the energy between two
    reads is their difference. A dial that goes down is rejected, unless `resets: to_zero` says that it began
    again at zero, or `digits` says how many digits before the point it has, so that it passed the last one.
    With `every_hours` it begins again each time so many hours of the local day are full, seen or not: `label`
    says whether the row with this time is the first one after it (`start`) or the last one before (`end`).
    `timestamp` is the column with the times of this value, where blocks of columns have times of their own.
    `identifier` is the meter of this column, where each column is of another one, and `interval_minutes` the
    length of its intervals, if it is longer than that of the mapping: rows without a value are then none.
    Where it has no value, that of the column `substitute` counts, as an estimate.
    """

    column: ColumnName
    identifier: Name | None = None
    interval_minutes: LongerMinutes | None = None
    substitute: ColumnName | None = None
    timestamp: ColumnName | None = None
    cumulative: bool = False
    resets: Literal["to_zero"] | None = None
    every_hours: Literal[1, 2, 3, 4, 6, 8, 12, 24] | None = None
    digits: Annotated[int, Field(ge=1, le=DECIMAL_DIGITS_BEFORE_POINT)] | None = None

    @model_validator(mode="after")
    def _is_a_dial(self) -> Self:
        if not self.cumulative and (self.resets or self.digits):
            raise ValueError("resets and digits describe a dial: they need cumulative: true")
        if self.every_hours and not self.resets:
            raise ValueError("every_hours says when a dial begins again at zero: it needs resets: to_zero")
        if self.resets and self.digits:
            raise ValueError("a dial that goes down began again at zero or passed its last digit, not both")
        if self.cumulative and (self.average_power or self.negative or self.sign == -1):
            raise ValueError("a dial has neither average_power nor negative nor sign")
        return self


class Day(Amount):
    """The values of a row that holds a day: every `step`-th column from `first` to `last`.

    With a step of 2 and a `quality_offset` of 1, a flag follows each value. `clock_change` defines what the
    columns count on the days of a clock change: `elapsed` time since local midnight (46, 48 or 50
    half-hours), or `wall_clock` labels (always 48; the skipped hour is empty or zero, the repeated hour is
    given once, as the first of the two).
    """

    first: ColumnName
    last: ColumnName
    step: Annotated[int, Field(ge=1, le=10)] = 1
    quality_offset: Annotated[int, Field(ge=1, le=9)] | None = None
    clock_change: Literal["elapsed", "wall_clock"]

    @model_validator(mode="after")
    def _flags_lie_between_values(self) -> Self:
        if self.quality_offset is not None and self.quality_offset >= self.step:
            raise ValueError("quality_offset must be below step: the flags lie between the values")
        return self


def _listed(runs: object) -> object:
    return [runs] if isinstance(runs, dict) else runs


def _unlisted(runs: object, serialise: Callable[[object], list[Any]]) -> Any:
    found = serialise(runs)
    return found[0] if len(found) == 1 else found


# One run of cells, or a list of runs: a row may hold import and export side by side.
DayRuns = Annotated[
    tuple[Day, ...], BeforeValidator(_listed), WrapSerializer(_unlisted), Field(max_length=10)
]


def give_to_values(given: Any) -> Any:
    """Give the unit and the channel at the top of a mapping to each value that has none."""
    if not isinstance(given, dict):
        return given
    common = {name: given[name] for name in ("unit", "channel") if name in given}
    for name, word in common.items():
        if word is None:
            raise ValueError(f"{name} is empty: write the {name} of the values that state none")
    content = {name: value for name, value in given.items() if name not in common}
    lacking: set[str] = set()

    def give(entry: Any) -> Any:
        lacking.update({*common} - {*entry} if isinstance(entry, dict) else ())
        return common | entry if isinstance(entry, dict) else entry

    for field in ("values", "day") if common else ():
        entries = content.get(field)
        if isinstance(entries, dict):
            content[field] = give(entries)
        elif isinstance(entries, list | tuple):
            content[field] = list(map(give, entries))
    if unused := {*common} - lacking:
        raise ValueError(f"{unused.pop()} at the top has no meaning: each value states its own")
    return content


def is_amount(value: Amount) -> bool:
    """Whether a value has a unit of energy or volume, or is power that is read as energy."""
    return value.unit is None or value.unit in AMOUNTS or value.average_power


def agrees_with_name(value: Value) -> bool:
    """Whether the only unit of energy or power in the name of a column is the declared one."""
    stated = {unit.lower() for unit in _UNIT_OF_NAME.findall(str(value.column))}
    declared = (value.unit or "").lower()
    return value.average_power or len(stated) != 1 or declared not in _UNITS_OF_NAME or declared in stated


def has_two_ways(value: Amount) -> bool:
    """Whether the channel of values below zero is another one than that of those above."""
    ways = {value.channel, value.negative}
    # A battery is charged and discharged.
    return (
        value.negative is None or ways == {"other"} or (len(ways) == 2 and ways <= {*ONE_DIRECTION_CHANNELS})
    )
