"""The texts that a mapping declares: zones, units, channels, encodings, names; each is checked by itself."""

import codecs
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from data.ingest.formats.columns import UNITS
from data.ingest.schema import CHANNELS


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"{name!r} is not an IANA zone: write for example Europe/London or Etc/GMT-10"
        ) from error
    return name


def _unit(name: str) -> str:
    if name.lower() not in UNITS:
        known = ", ".join(dict.fromkeys(UNITS.values()))
        raise ValueError(f"the unit {name!r} is not known; known units are {known}")
    return UNITS[name.lower()]


def _channel(name: str) -> str:
    if name not in CHANNELS:
        raise ValueError(f"{name!r} is not a channel; channels are {', '.join(CHANNELS)}")
    return name


def _codec(name: str) -> str:
    try:
        codecs.lookup(name).incrementaldecoder(errors="replace").decode(b"a")
    except (LookupError, TypeError, ValueError, AssertionError) as error:
        raise ValueError(f"{name!r} is not a text encoding: write for example cp1252") from error
    return name


Zone = Annotated[str, AfterValidator(_zone)]
Unit = Annotated[str, AfterValidator(_unit)]
Channel = Annotated[str, AfterValidator(_channel)]
Codec = Annotated[str, AfterValidator(_codec)]
Quality = Literal["actual", "edited", "estimated", "null"]
Name = Annotated[str, Field(min_length=1, max_length=200)]
# The name in the header, or the position counted from 1.
ColumnName = Name | Annotated[int, Field(ge=1, le=10_000)]
