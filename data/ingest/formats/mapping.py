"""File mappings: what a data engineer declares about a file that does not state it itself.

Here: the fields of a mapping and their checks. Not here: mapping files on disk (`file_mappings`), reading a
meter file with a mapping (the readers), or proposing a mapping (`suggest`). A mapping is never guessed while
a file is loaded.
"""

import itertools
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from data.ingest.formats.mapping_columns import (
    ABOVE,
    CELL,
    COLUMN,
    NAME,
    ROWS,
    TITLE,
    RowsPath,
    is_json_column,
)
from data.ingest.formats.mapping_formats import (
    CmepMapping,
    Declaration,
    GreenButtonMapping,
    JsonMapping,
    NemMapping,
    ProfileMapping,
)
from data.ingest.formats.mapping_shapes import (
    OFFSET_FORMATS,
    TimeShapes,
    carries_offset,
    has_years,
    holds,
    names_day,
)
from data.ingest.formats.mapping_texts import Channel, Codec, Name, Quality, Unit, Zone
from data.ingest.formats.mapping_values import (
    Columns,
    Day,
    DayRuns,
    JoinedColumns,
    LongerMinutes,
    Minutes,
    Value,
    agrees_with_name,
    give_to_values,
    has_two_ways,
    is_amount,
)
from data.ingest.formats.wallclock import TimeFormats
from data.ingest.schema import DECIMAL_DIGITS_AFTER_POINT, ONE_DIRECTION_CHANNELS


class CsvMapping(Declaration):
    """How to read an interval CSV: one row for each reading (`values`) or for each day (`day`).

    For JSON and XML `rows` is the path to the rows. Columns are paths inside a row, places in a row that is
    an array, or, starting with $, paths to a value of what contains the row; `$key` is the place or the key
    of a row, and `$value` a row that is one value. Of several paths
    `$rows` is the one of a row.

    `label` is what a time names: the `start` of an interval, its `end`, or `wall_end`, which is the start
    plus the length on the wall clock (it differs from `end` only at a clock change). With 1440 minutes a
    date alone names the local day of a value, which has 23, 24 or 25 hours. A `period` counts intervals from
    the timestamp, or from the midnight of the date: from 1, with the label `start` from 0; `seconds` are
    added to the timestamp. `lengths` has the minutes of the intervals of a meter or register, by its word in
    the column, if they are longer than those of others. A time that lies at most `round_seconds` from the
    beginning of an interval is that beginning. `year` is that of
    the first row, if dates have none. With `date_once` the date stands in the first row of its day alone.
    `order` is the order of the rows: it decides which of two equal local times came first.

    The column `$name` is the name of the file, of the member of an archive or of the sheet, without folder
    and ending, and `$title` the date in a line above the rows. The identifier `$column` is the name of the
    column of each value. `unit` and `channel` at the top are those of
    each value that gives none.

    `sections` are the tables of a file, one below the other: the first words of the title of each, and its
    channel, null for a table that is not read, as for a register in `channels`. `units` has the unit of each
    register, such as kWh for rows of electricity and m3 for those of gas. `decimals` is how many decimals a
    value has; more of them are removed if they are the noise of binary arithmetic, and reject the value
    otherwise. A number in `brackets` is below zero, or bears a mark such as that of an estimate.

    With `across` the columns from this place on have a date or a time for a name. Each cell is read as a row:
    the columns before, `$above` (the name of its column) and `$value` (the cell). Dates may be
    the days of a `month`. With `quoted_rows` each
    line stands in quotes as a whole, as spreadsheets write a table that they read as one column.
    """

    format: Literal["mapped_csv", "mapped_json", "mapped_xml"]
    rows: RowsPath | Annotated[tuple[RowsPath, ...], Field(min_length=2, max_length=10)] | None = None
    sheets: Annotated[tuple[Name, ...], Field(max_length=50)] = ()
    across: Annotated[int, Field(ge=1, le=10_000)] | None = None
    month: Annotated[str, Field(pattern=r"^(19|20)[0-9]{2}-(0[1-9]|1[0-2])$")] | None = None
    timezone: Zone | None = None
    interval_minutes: Minutes
    lengths: dict[str, LongerMinutes] = Field(default_factory=dict)
    columns: Columns
    values: Annotated[tuple[Value, ...], Field(max_length=50)] = ()
    day: DayRuns = ()
    identifier: Name | None = None
    label: Literal["start", "end", "wall_end"] | None = None
    order: Literal["ascending", "descending"] = "ascending"
    midnight_ends_day: bool = False
    round_seconds: Annotated[int, Field(ge=1, le=1800)] | None = None
    year: Annotated[int, Field(ge=1990, le=2099)] | None = None
    date_once: bool = False
    timestamp_format: TimeShapes | None = None
    date_format: TimeShapes | None = None
    time_format: TimeShapes | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    decimal: Literal[".", ","] = "."
    thousands: Literal[",", ".", "'", " ", "\u00a0", "\u202f"] | None = None
    brackets: Literal["below_zero", "mark"] = "below_zero"
    encoding: Codec | None = None
    has_header: bool = True
    skip_lines: Annotated[int, Field(ge=0, le=1000)] = 0
    quoted_rows: bool = False
    channels: dict[str, Channel | None] = Field(default_factory=dict)
    units: dict[str, Unit] = Field(default_factory=dict)
    sections: dict[str, Channel | None] = Field(default_factory=dict)
    qualities: dict[str, Quality] = Field(default_factory=dict)
    no_value: tuple[str, ...] = ()
    decimals: Annotated[int, Field(ge=0, le=DECIMAL_DIGITS_AFTER_POINT)] | None = None
    ignore_rows: tuple[Name, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _give_to_values(cls, given: Any) -> Any:
        """Give the unit and the channel at the top to each value that has none."""
        return give_to_values(given)

    @field_validator("timestamp_format", "date_format", "time_format")
    @classmethod
    def _is_a_time_format(cls, text: TimeShapes | None) -> TimeShapes | None:
        if text is not None and text not in OFFSET_FORMATS and not names_day(text):
            TimeFormats(text)
        return text

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        demands = [
            *self._demands_of_times(),
            *self._demands_of_values(),
            *self._demands_of_text(),
            *self._demands_of_across(),
        ]
        wrong = [message for holds, message in demands if not holds]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def _demands_of_times(self) -> list[tuple[bool, str]]:
        columns = self.columns
        # The ways to give a time; a reading uses exactly one, or a timestamp and its place behind it.
        ways = [columns.timestamp is not None or columns.period is not None, columns.time is not None]
        is_date_alone = bool(self.day) or self.is_daily
        return [
            (
                sum(ways) == (0 if is_date_alone else 1),
                "give columns.date for a row per day; for a row per reading columns.timestamp, or "
                "columns.date with columns.time or columns.period, or columns.timestamp with columns.period; "
                "for 1440 minutes columns.date alone",
            ),
            (
                (columns.date is not None) == (columns.timestamp is None),
                "give either columns.date or columns.timestamp",
            ),
            (
                (columns.timestamp is None) == (self.timestamp_format is None),
                "columns.timestamp and timestamp_format come together",
            ),
            (
                (columns.date is None) == (self.date_format is None),
                "columns.date and date_format come together",
            ),
            (
                (self.month is not None) == names_day(self.date_format),
                "give month, such as 2025-03, if date_format has the day alone, and only then",
            ),
            (
                (columns.time is None) == (self.time_format is None),
                "columns.time and time_format come together",
            ),
            (
                self.timestamp_format is None or holds(self.timestamp_format, date=True, time=True),
                "timestamp_format must contain a date and a time",
            ),
            (
                columns.seconds is None or (columns.timestamp is not None and columns.period is None),
                "columns.seconds are added to columns.timestamp, and come without columns.period",
            ),
            (
                self.date_shapes is None or holds(self.date_shapes, date=True, time=False),
                "date_format must contain a date and not a time",
            ),
            (
                self.time_format is None or holds(self.time_format, date=False, time=True),
                "time_format must contain a time and not a date",
            ),
            (
                (self.year is None) == has_years(self.timestamp_format or self.date_shapes),
                "give year, that of the first row, if the dates have none, and only then",
            ),
            (
                (self.timezone is None) == carries_offset(self.timestamp_format),
                "give timezone if the times carry no offset, and only then",
            ),
            (
                (self.label is None) == is_date_alone
                or (self.label == "start" and columns.period is not None)
                or (
                    self.label is None
                    and (columns.period is not None or all(value.cumulative for value in self.values))
                ),
                "give label if times name intervals: not for a row per day, not for a date alone, not for "
                "the reads of dials alone, and with columns.period only start, where it counts from 0",
            ),
            (
                columns.timestamp is not None or all(value.timestamp is None for value in self.values),
                "a value has a timestamp of its own only beside columns.timestamp",
            ),
            (
                not self.midnight_ends_day or self.label in ("end", "wall_end"),
                "midnight_ends_day needs labels at the end of an interval",
            ),
            *self._demands_of_lengths(),
        ]

    def _demands_of_lengths(self) -> list[tuple[bool, str]]:
        columns = self.columns
        own = [*self.lengths.values(), *(value.interval_minutes for value in self.values)]
        lengths = [minutes for minutes in own if minutes is not None]
        return [
            (
                all(minutes > self.interval_minutes for minutes in lengths),
                "lengths, and the interval_minutes of a value, are longer than interval_minutes",
            ),
            (
                not lengths or not (self.day or self.across or columns.period is not None),
                "intervals of several lengths come with a time in each row: not with day, across or "
                "columns.period",
            ),
            (
                not self.lengths or columns.register_ is not None or columns.identifier is not None,
                "lengths has words of columns.register or columns.identifier",
            ),
            (
                2 * (self.round_seconds or 0) < 60 * self.interval_minutes
                and not (self.round_seconds and self.day),
                "round_seconds is less than half an interval, for times in each row",
            ),
        ]

    def _demands_of_values(self) -> list[tuple[bool, str]]:
        columns = self.columns
        given: tuple[Value | Day, ...] = self.values or self.day
        has_flags = any(run.quality_offset is not None for run in self.day)
        return [
            (
                bool(self.values) != bool(self.day),
                "give either values (a row per reading) or day (a row per day)",
            ),
            (
                self._count_meter_names() == 1,
                "name the meter by columns.identifier, by identifier or by the identifier of each value, "
                "exactly one of them",
            ),
            (
                all(
                    value.substitute is None or not (value.cumulative or self.across) for value in self.values
                ),
                "substitute is a column beside one of energy: neither for a dial nor with across",
            ),
            (
                self.identifier != COLUMN
                or (bool(self.values) and all(isinstance(value.column, str) for value in self.values)),
                f"the identifier {COLUMN} needs values, whose columns have names",
            ),
            (
                all((value.unit is None) == (columns.unit is not None or bool(self.units)) for value in given)
                and not (self.units and (columns.unit is not None or not self.channels)),
                "give the unit with each value, by columns.unit, or by units (register to unit, beside "
                "channels), exactly one of them",
            ),
            (
                all(value.channel not in ONE_DIRECTION_CHANNELS or is_amount(value) for value in given),
                "an energy channel needs a unit of energy or volume: kW is power, which is read as energy "
                "only if average_power declares it the average of its interval",
            ),
            (
                all(agrees_with_name(value) for value in self.values),
                "the name of a column states another unit than its value: if it is wrong, write the position "
                "of the column",
            ),
            (
                not (self.is_daily and any(value.average_power for value in given)),
                "average power of a local day has no exact energy: days have 23, 24 or 25 hours",
            ),
            (
                all((value.channel is None) == bool(self.channels or self.sections) for value in given)
                and not (self.channels and self.sections),
                "give the channel with each value, by channels or by sections, exactly one of them",
            ),
            (
                (columns.register_ is not None) == bool(self.channels),
                "columns.register and channels (register to channel) come together",
            ),
            (
                columns.register_ is None or (len(given) == 1 and all(v.register_ is None for v in given)),
                "with columns.register give one value column, without its own register",
            ),
            (
                all(not named or any(named.values()) for named in (self.sections, self.channels)),
                "at least one of the sections, and of the channels, needs a channel",
            ),
            (
                all(has_two_ways(value) for value in given),
                "negative needs the channel of values above zero: another channel of energy, or both other",
            ),
            (
                not ({v.channel for v in self.values if v.cumulative} - {None})
                & {v.channel for v in self.values if not v.cumulative},
                "a dial and the energy of its intervals count the same thing: give one of the two columns",
            ),
            (
                not any(value.every_hours for value in self.values)
                or (self.timezone and self.label) is not None,
                "every_hours counts on the local clock, so it needs timezone, and label: start or end",
            ),
            (
                bool(self.qualities) == (columns.quality is not None or has_flags),
                "qualities (from the words of the file to actual, edited, estimated or null) comes with "
                "columns.quality or day.quality_offset",
            ),
            (
                not (columns.quality is not None and has_flags),
                "the quality is in columns.quality or after each value, not in both",
            ),
            (
                len({run.register_ or run.channel for run in self.day}) == len(self.day),
                "each run of cells in day is a register: give register if two runs have the same channel",
            ),
        ]

    def _demands_of_text(self) -> list[tuple[bool, str]]:
        is_json = self.format != "mapped_csv"
        of_rows = (self.day, self.across, self.sections, self.ignore_rows)
        of_text = (*of_rows, self.sheets, self.encoding, self.skip_lines, self.quoted_rows)
        return [
            (
                (self.rows is not None) == is_json,
                "rows, the path to the rows, comes with mapped_json and mapped_xml",
            ),
            (
                isinstance(self.rows, tuple) == (ROWS in self.list_columns()),
                f"several paths of rows come with the column {ROWS}, the path that a row stands at",
            ),
            (
                not is_json or (not any(of_text) and self.delimiter == "," and self.has_header),
                "JSON and XML have no day, across, sheets, sections, ignore_rows, encoding, skip_lines, "
                "delimiter or header",
            ),
            (
                self.format != "mapped_xml" or not any(".*." in str(path) for path in self.list_paths()),
                "a path of XML has no members of an object (.*): elements that repeat have [*]",
            ),
            (
                not is_json or all(map(is_json_column, self.list_columns())),
                "a column of JSON or XML is a path such as value, interval.start or $.meter.id",
            ),
            (
                TITLE not in [getattr(self.columns, name) for name in Columns.model_fields]
                or (self.uses_title and self.format == "mapped_csv" and self.across is None),
                f"{TITLE} is the columns.date of a table with a line for the date above its rows",
            ),
            (
                not self.date_once or (self.columns.date not in (None, ABOVE, NAME, TITLE) and not is_json),
                "date_once needs columns.date, a column of the table",
            ),
            (
                self.has_header or not any(isinstance(column, str) for column in self.list_columns()),
                "without a header give columns by position",
            ),
            (self.decimal != self.thousands, "the decimal mark and the thousands mark must differ"),
            (
                self.delimiter not in '"\n\r\0' and self.delimiter.isascii(),
                "the delimiter must be one ASCII character, not a quote or a line end",
            ),
        ]

    def _demands_of_across(self) -> list[tuple[bool, str]]:
        used, is_across = self.list_columns(), self.across is not None
        places = [column for column in used if isinstance(column, int)]
        of_time = (self.columns.timestamp, self.columns.date)
        return [
            (
                (ABOVE in of_time) == is_across
                and (
                    self.format != "mapped_csv"
                    or [value.column for value in self.values].count(CELL) == is_across
                ),
                f"with across {ABOVE} is the column of the date or timestamp, and {CELL} that of the only "
                "value",
            ),
            (
                not self.joined or not (is_across or {ABOVE, NAME, TITLE} & {*self.joined}),
                "a list of columns for the date has columns of the table, and does not come with across",
            ),
            (
                not is_across or (not self.day and len(self.values) == 1 and self.has_header),
                "across has a header, one value, and no day",
            ),
            (
                not is_across or not (self.month and self.columns.timestamp),
                "month is that of columns.date",
            ),
            (
                all(place < (self.across or place + 1) for place in places),
                "the columns that have a position stand before those of across",
            ),
        ]

    @property
    def date_shapes(self) -> TimeShapes | None:
        """The formats of `columns.date`, with the month if dates are its days."""
        is_day = self.month is not None and names_day(self.date_format)
        return f"{self.month} {self.date_format}" if is_day else self.date_format

    @property
    def is_daily(self) -> bool:
        """Whether each value is for the local day that its date names."""
        columns = self.columns
        other = (columns.timestamp, columns.time, columns.period)
        return self.interval_minutes == 1440 and not self.day and not any(other)

    def _count_meter_names(self) -> int:
        """Return how many ways there are to name the meter of a value; a value may have its own."""
        own = [value.identifier is not None for value in self.values]
        is_column = self.columns.identifier is not None
        return (self.identifier is not None) + is_column + (any(own) if is_column else any(own) and all(own))

    def split_blocks(self) -> list["CsvMapping"]:
        """Return a mapping for the values of each column of times and each length of intervals."""
        blocks: dict[tuple[JoinedColumns | None, int], list[Value]] = {}
        for value in self.values:
            key = value.timestamp or self.columns.timestamp, value.interval_minutes or self.interval_minutes
            blocks.setdefault(key, []).append(value)
        if blocks.keys() <= {(self.columns.timestamp, self.interval_minutes)}:
            return [self]
        return [
            self.model_copy(
                update={
                    "columns": self.columns.model_copy(update={"timestamp": timestamp}),
                    "interval_minutes": minutes,
                    "values": tuple(values),
                }
            )
            for (timestamp, minutes), values in blocks.items()
        ]

    def list_columns(self) -> list[str | int]:
        """Return every column that the mapping names, in no order."""
        given = (getattr(self.columns, name) for name in Columns.model_fields)
        taken: list[str | int | None] = []
        for column in given:
            taken += column if isinstance(column, tuple) else [column]
        of_values = ((value.column, value.timestamp, value.substitute) for value in self.values)
        taken += itertools.chain.from_iterable(of_values)
        taken += [column for run in self.day for column in (run.first, run.last)]
        return [column for column in taken if column is not None and column not in (NAME, TITLE)]

    def list_paths(self) -> list[str]:
        """Return the paths of the rows of a document, and its columns."""
        rows = (self.rows,) if isinstance(self.rows, str) else self.rows or ()
        return [*rows, *map(str, self.list_columns())]

    @property
    def joined(self) -> tuple[str | int, ...]:
        """The columns that have the date or the timestamp together, none if one has it."""
        column = self.columns.date if self.columns.timestamp is None else self.columns.timestamp
        return column if isinstance(column, tuple) else ()

    @property
    def uses_title(self) -> bool:
        """Whether the date stands in a line above the rows."""
        return self.columns.date == TITLE

    @property
    def uses_name(self) -> bool:
        """Whether a column is the name of the file, member or sheet."""
        return any(getattr(self.columns, name) == NAME for name in Columns.model_fields)


FileMapping = CsvMapping | JsonMapping | NemMapping | GreenButtonMapping | CmepMapping | ProfileMapping
