"""Mappings: what a data engineer declares about a file that does not say it itself.

Here: the schema of a mapping file (YAML or TOML) and its checks. Not here: reading a meter file with it
(`mapped_csv`, `octopus_json`, `n3rgy_json`, `solaredge_json`), or proposing one (`suggest`).
A mapping is never guessed while a file is loaded.
"""

import codecs
import difflib
import hashlib
import json
import tomllib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    ValidationError,
    WrapSerializer,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from data.ingest.errors import IngestError
from data.ingest.formats.assemble import AMOUNTS
from data.ingest.formats.columns import UNITS
from data.ingest.formats.container import refuse
from data.ingest.formats.wallclock import TimeFormat
from data.ingest.schema import CHANNELS, ONE_DIRECTION_CHANNELS, FileInParts

# A mapping takes a few hundred bytes; what is larger was given by mistake.
MAX_MAPPING_BYTES = 1 << 20
OFFSET_FORMATS = ("iso8601", "unix", "unix_ms")
# Units of power, and of the energy of an hour of it.
ENERGY_OF_POWER = {"W": "Wh", "kW": "kWh", "MW": "MWh"}
HOUR_DIGITS = 4
# Formats whose files leave something out.
NEED_MAPPING = ("mapped_csv", "octopus_json", "n3rgy_json", "solaredge_json")


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"{name!r} is no IANA zone, write for example Europe/London or Etc/GMT-10"
        ) from error
    return name


def _unit(name: str) -> str:
    if name.lower() not in UNITS:
        known = ", ".join(dict.fromkeys(UNITS.values()))
        raise ValueError(f"the unit {name!r} is not known, known are {known}")
    return UNITS[name.lower()]


def _channel(name: str) -> str:
    if name not in CHANNELS:
        raise ValueError(f"{name!r} is no channel, channels are {', '.join(CHANNELS)}")
    return name


def _codec(name: str) -> str:
    try:
        codecs.lookup(name).incrementaldecoder(errors="replace").decode(b"a")
    except (LookupError, TypeError, ValueError, AssertionError) as error:
        raise ValueError(f"{name!r} is no text encoding, write for example cp1252") from error
    return name


Zone = Annotated[str, AfterValidator(_zone)]
Unit = Annotated[str, AfterValidator(_unit)]
Channel = Annotated[str, AfterValidator(_channel)]
Quality = Literal["actual", "edited", "estimated", "null"]
Name = Annotated[str, Field(min_length=1, max_length=200)]
# The name in the header, or the position counted from 1.
Column = Name | Annotated[int, Field(ge=1, le=10_000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Declaration(_Strict):
    """What every mapping may say: the names of the files that it is for, where it lies in an inbox.

    They are no part of what the mapping means, so they are never written out.
    """

    files: Annotated[tuple[Name, ...], Field(max_length=50, exclude=True)] = ()

    def claims(self, path: PurePosixPath) -> bool:
        """Whether a file is one of `files`: patterns of names, or of ends of paths where they have a /."""
        return any(path.match(pattern) for pattern in self.files)


class Columns(_Strict):
    """Where a row says whose reading it is, of when, and how far it can be trusted."""

    identifier: Column | None = None
    register_: Annotated[Column | None, Field(alias="register")] = None
    serial_number: Column | None = None
    timestamp: Column | None = None
    date: Column | None = None
    time: Column | None = None
    period: Column | None = None
    unit: Column | None = None
    quality: Column | None = None


class _Amount(_Strict):
    """What the values are. With `average_power` they are the power of an interval, and its energy is read."""

    channel: Channel | None = None
    unit: Unit | None = None
    average_power: bool = False
    register_: Annotated[Name | None, Field(alias="register")] = None

    @model_validator(mode="after")
    def _averages_power(self) -> Self:
        if self.average_power and self.unit not in ENERGY_OF_POWER:
            raise ValueError(f"average_power is of {', '.join(ENERGY_OF_POWER)}, given with each value")
        return self


class Value(_Amount):
    """A column of values: one register of ours. `register` is the column's name unless it is given."""

    column: Column


class Day(_Amount):
    """The columns of a row that holds a day: from `first` to `last`, each `step`-th one a value.

    With a step of 2 and a `quality_offset` of 1 each value is followed by its flag. `clock_change`
    says what the columns count where the clocks change: `elapsed` time since local midnight (46, 48 or 50
    half-hours), or `wall_clock` labels (always 48; the hour that is skipped is empty or zero, the hour
    that comes twice is given once, as the first of the two).
    """

    first: Column
    last: Column
    step: Annotated[int, Field(ge=1, le=10)] = 1
    quality_offset: Annotated[int, Field(ge=1, le=9)] | None = None
    clock_change: Literal["elapsed", "wall_clock"]

    @model_validator(mode="after")
    def _flags_lie_between_values(self) -> Self:
        if self.quality_offset is not None and self.quality_offset >= self.step:
            raise ValueError("quality_offset is below step: the flags lie between the values")
        return self


def _listed(runs: object) -> object:
    return [runs] if isinstance(runs, dict) else runs


def _unlisted(runs: object, serialise: Callable[[object], list[Any]]) -> Any:
    found = serialise(runs)
    return found[0] if len(found) == 1 else found


# One run of cells, or a list of them: import and export side by side in a row.
Days = Annotated[tuple[Day, ...], BeforeValidator(_listed), WrapSerializer(_unlisted), Field(max_length=10)]


class CsvMapping(_Declaration):
    """How an interval CSV is to be read: a row a reading (`values`) or a row a day (`day`).

    `label` says what a time names: the `start` of an interval, its `end`, or `wall_end`, which is the
    start with the length added on the wall clock. It differs from `end` only where the clocks change.
    With 1440 minutes a date alone names the local day that a value covers, of 23, 24 or 25 hours.
    `order` is that of the rows: it decides which of two equal local times came first.
    """

    format: Literal["mapped_csv"]
    timezone: Zone | None = None
    interval_minutes: Annotated[int, Field(ge=1, le=1440)]
    columns: Columns
    values: Annotated[tuple[Value, ...], Field(max_length=50)] = ()
    day: Days = ()
    identifier: Name | None = None
    label: Literal["start", "end", "wall_end"] | None = None
    order: Literal["ascending", "descending"] = "ascending"
    midnight_ends_day: bool = False
    timestamp_format: str | None = None
    date_format: str | None = None
    time_format: str | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    decimal: Literal[".", ","] = "."
    thousands: Literal[",", ".", "'", " ", "\u00a0", "\u202f"] | None = None
    encoding: Annotated[str, AfterValidator(_codec)] | None = None
    has_header: bool = True
    skip_lines: Annotated[int, Field(ge=0, le=1000)] = 0
    channels: dict[str, Channel] = {}
    qualities: dict[str, Quality] = {}
    no_value: tuple[str, ...] = ()
    ignore_rows: tuple[Name, ...] = ()

    @field_validator("timestamp_format", "date_format", "time_format")
    @classmethod
    def _is_a_time_format(cls, text: str | None) -> str | None:
        if text is not None and text not in OFFSET_FORMATS:
            TimeFormat(text)
        return text

    @field_validator("interval_minutes")
    @classmethod
    def _divides_a_day(cls, minutes: int) -> int:
        if 1440 % minutes:
            raise ValueError(f"{minutes} minutes do not divide a day")
        return minutes

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        demands = [*self._demands_of_times(), *self._demands_of_values(), *self._demands_of_text()]
        wrong = [message for holds, message in demands if not holds]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def _demands_of_times(self) -> list[tuple[bool, str]]:
        columns = self.columns
        # Which of the three ways of telling a time a reading uses: all of each, and one alone.
        ways = [columns.timestamp is not None, columns.time is not None, columns.period is not None]
        is_date_alone = bool(self.day) or self.is_daily
        return [
            (
                sum(ways) == (0 if is_date_alone else 1),
                "a row a day has columns.date; a row a reading has columns.timestamp, or columns.date with "
                "columns.time or columns.period; of 1440 minutes columns.date alone",
            ),
            (
                (columns.date is not None) == (columns.timestamp is None),
                "columns.date stands where columns.timestamp does not",
            ),
            ((columns.timestamp is None) == (self.timestamp_format is None), "a timestamp has its format"),
            ((columns.date is None) == (self.date_format is None), "a date has its date_format"),
            ((columns.time is None) == (self.time_format is None), "a time has its time_format"),
            (
                self.timestamp_format is None or _holds(self.timestamp_format, date=True, time=True),
                "timestamp_format holds a date and a time",
            ),
            (
                self.date_format is None or _holds(self.date_format, date=True, time=False),
                "date_format holds a date and no time",
            ),
            (
                self.time_format is None or _holds(self.time_format, date=False, time=True),
                "time_format holds a time and no date",
            ),
            (
                (self.timezone is None) == (self.timestamp_format in OFFSET_FORMATS),
                "timezone is given where the times do not carry their offset, and nowhere else",
            ),
            (
                (self.label is None) == (is_date_alone or columns.period is not None),
                "label is given where times name intervals: not for a row a day, a date alone, nor with "
                "columns.period",
            ),
            (
                not self.midnight_ends_day or self.label in ("end", "wall_end"),
                "midnight_ends_day is for labels at the end of an interval",
            ),
        ]

    def _demands_of_values(self) -> list[tuple[bool, str]]:
        columns = self.columns
        given: tuple[Value | Day, ...] = self.values or self.day
        has_flags = any(run.quality_offset is not None for run in self.day)
        return [
            (
                bool(self.values) != bool(self.day),
                "give either values (a row a reading) or day (a row a day)",
            ),
            (
                (self.identifier is None) != (columns.identifier is None),
                "the meter is named by columns.identifier or by identifier, one of them",
            ),
            (
                all((value.unit is None) == (columns.unit is not None) for value in given),
                "the unit is given with each value or by columns.unit, one of them",
            ),
            (
                all(value.channel not in ONE_DIRECTION_CHANNELS or _is_amount(value) for value in given),
                "an energy channel has an amount for its unit: kW is power, and is never taken for energy "
                "unless average_power says that it is the average of its interval",
            ),
            (
                not any(value.average_power for value in given) or _is_finite(self.interval_minutes),
                f"average power over {self.interval_minutes} minutes is no exact energy: 15, 30 or 60 are",
            ),
            (
                not (self.is_daily and any(value.average_power for value in given)),
                "average power of a local day is no exact energy: days have 23, 24 or 25 hours",
            ),
            (
                all((value.channel is None) == bool(self.channels) for value in given),
                "the channel is given with each value or by channels, one of them",
            ),
            (
                (columns.register_ is not None) == bool(self.channels),
                "columns.register and channels (register to channel) come together",
            ),
            (
                columns.register_ is None or (len(given) == 1 and all(v.register_ is None for v in given)),
                "with columns.register there is one value column, without a register of its own",
            ),
            (
                bool(self.qualities) == (columns.quality is not None or has_flags),
                "qualities (what the file writes to actual, edited, estimated or null) comes with "
                "columns.quality or day.quality_offset",
            ),
            (
                not (columns.quality is not None and has_flags),
                "the quality is in columns.quality or behind each value, not in both",
            ),
            (
                len({run.register_ or run.channel for run in self.day}) == len(self.day),
                "each run of cells in day is a register: name it by register where two have one channel",
            ),
        ]

    def _demands_of_text(self) -> list[tuple[bool, str]]:
        return [
            (
                self.has_header or not any(isinstance(column, str) for column in self.named()),
                "without a header columns are given by position",
            ),
            (self.decimal != self.thousands, "the decimal mark is not the thousands mark"),
            (
                self.delimiter not in '"\n\r\0' and self.delimiter.isascii(),
                "the delimiter is one ASCII sign and no quote",
            ),
        ]

    @property
    def is_daily(self) -> bool:
        """Whether each value is that of the local day which its date names."""
        columns = self.columns
        other = (columns.timestamp, columns.time, columns.period)
        return self.interval_minutes == 1440 and not self.day and not any(other)

    def named(self) -> list[str | int]:
        """Every column that the mapping needs, in no order."""
        taken: list[str | int | None] = [getattr(self.columns, name) for name in Columns.model_fields]
        taken += [value.column for value in self.values]
        taken += [column for run in self.day for column in (run.first, run.last)]
        return [column for column in taken if column is not None]


class JsonMapping(_Declaration):
    """What the JSON of a portal leaves out: the meter's name, the zone of naive times, unit and channel."""

    format: Literal["octopus_json", "n3rgy_json", "solaredge_json"]
    identifier: Name | None = None
    timezone: Zone | None = None
    channel: Channel | None = None
    unit: Unit | None = None
    label: Literal["start", "end"] | None = None
    order: Literal["ascending", "descending"] = "ascending"

    @model_validator(mode="after")
    def _says_nothing_that_the_file_says(self) -> Self:
        wrong = []
        if self.format == "octopus_json" and (self.timezone or self.label):
            wrong.append("the times of octopus_json carry their offset: no timezone, no label")
        if self.format == "solaredge_json" and (self.channel or self.unit or self.label):
            wrong.append("solaredge_json says channel and unit itself and labels starts: give none of them")
        if self.format == "n3rgy_json" and self.unit:
            wrong.append("n3rgy_json says the unit itself")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


Mapping = CsvMapping | JsonMapping
_FIELDS = {
    field.alias or name
    for model in (CsvMapping, JsonMapping, Columns, Value, Day)
    for name, field in model.model_fields.items()
}


class _Declared(RootModel[Annotated[CsvMapping | JsonMapping, Field(discriminator="format")]]):
    """Either kind of mapping, told apart by its format."""


class MappingError(IngestError):
    """A mapping file cannot be used. Names the file, the field and what it must be."""


def load_mapping(path: Path | str) -> Mapping:
    """The mapping in a YAML file (`.yaml`, `.yml`) or a TOML file (`.toml`). Raises `MappingError`."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_MAPPING_BYTES + 1)
    except OSError as error:
        raise MappingError(f"{path}: the mapping cannot be read: {error}. Check the path") from error
    return read_mapping(data, str(path))


def read_mapping(data: bytes, source: str) -> Mapping:
    """The mapping in the bytes of a file; the end of its name `source` tells TOML from YAML.

    Raises `MappingError`.
    """
    if len(data) > MAX_MAPPING_BYTES:
        raise MappingError(f"{source}: larger than {MAX_MAPPING_BYTES >> 20} MiB, this is no mapping")
    is_toml = source.lower().endswith(".toml")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MappingError(f"{source}: the mapping cannot be read: {error}. Write it in UTF-8") from error
    try:
        content = tomllib.loads(text) if is_toml else yaml.safe_load(text)
    except (tomllib.TOMLDecodeError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise MappingError(f"{source}: this is no {'TOML' if is_toml else 'YAML'}: {error}") from error
    return parse_mapping(content, source)


def parse_mapping(content: object, source: str) -> Mapping:
    """A mapping from plain values, as YAML, TOML and JSON give them. Raises `MappingError`."""
    if not isinstance(content, dict):
        raise MappingError(f"{source}: a mapping is a table of names and values, see docs/formats.md")
    try:
        return _Declared.model_validate(content).root
    except ValidationError as error:
        faults = "; ".join(f"{_place(fault)}: {_reason(fault)}" for fault in error.errors()[:5])
        raise MappingError(f"{source}: {faults}. docs/formats.md lists the fields of a mapping") from error


def canonical_text(mapping: Mapping) -> str:
    """The mapping as JSON in one way of writing, defaults left out: equal mappings give equal texts."""
    content: dict[str, Any] = mapping.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def load_identity(content_hash: str, mapping: Mapping | None) -> str:
    """What makes two loads the same: the bytes of the file and, where there is one, the mapping.

    SHA-256 in hexadecimal; without a mapping it is the hash of the bytes itself.
    """
    if mapping is None:
        return content_hash
    return hashlib.sha256(f"{content_hash}\n{canonical_text(mapping)}".encode()).hexdigest()


def undeclared(parsed: FileInParts, mapping: Mapping | None) -> list[str]:
    """The fields of a mapping without which the file may be looked at and not loaded.

    Readers take the wall clock for UTC where no zone is given, and leave the meter's name or the unit empty.
    """
    if not isinstance(mapping, JsonMapping | None) or parsed.format not in NEED_MAPPING:
        return []
    missing = sorted(parsed.left_empty)
    if parsed.format in ("n3rgy_json", "solaredge_json") and (mapping is None or mapping.timezone is None):
        missing.append("timezone")
    return missing


def refuse_undeclared(parsed: FileInParts, mapping: Mapping | None) -> None:
    """Raises `RefusedFile` where `undeclared` finds anything."""
    missing = undeclared(parsed, mapping)
    if missing:
        refusal = refuse(
            parsed.path,
            None,
            "FILE-MAPPING",
            f"{parsed.format} does not say {' and '.join(missing)}, and no mapping does",
        )
        refusal.format = parsed.format
        raise refusal


def _is_amount(value: _Amount) -> bool:
    return value.unit is None or value.unit in AMOUNTS or value.average_power


def _is_finite(minutes: int) -> bool:
    """Whether a share of an hour is a decimal number of `HOUR_DIGITS` digits."""
    return not (minutes * 10_000) % 60


def _holds(text: str, *, date: bool, time: bool) -> bool:
    if text in OFFSET_FORMATS:
        return date and time
    parsed = TimeFormat(text)
    return parsed.has_date == date and parsed.has_time == time


def _place(fault: ErrorDetails) -> str:
    """The key path of a fault."""
    if fault["type"].startswith("union_tag"):
        return "format"
    names = [str(part) for part in fault["loc"] if part not in (*NEED_MAPPING, "CsvMapping", "JsonMapping")]
    return ".".join(names) or "mapping"


def _reason(fault: ErrorDetails) -> str:
    """What is wrong in our words, and for a key that is none the one that may be meant."""
    kind, name = fault["type"], str(fault["loc"][-1] if fault["loc"] else "")
    if kind.startswith("union_tag"):
        return f"a mapping begins with its format, one of {', '.join(NEED_MAPPING)}"
    if kind == "missing":
        return "the field is missing"
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(name, _FIELDS, 1)
        return "there is no such field" + (f", perhaps {near[0]!r} is meant" if near else "")
    return fault["msg"].removeprefix("Value error, ")
