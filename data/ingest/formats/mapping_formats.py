"""File mappings of single formats: what their files leave out.

Here: the fields of each. Not here: tables, JSON and XML of any sender (`mapping`).
"""

from decimal import Decimal
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field

from data.ingest.formats.mapping_texts import Channel, Name, Unit, Zone
from data.ingest.formats.mapping_values import Strict

Sender = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$", max_length=40)]


class Declaration(Strict):
    """What every mapping may contain: the names of the files that it is for, if it lies in an inbox.

    The names do not change how a file is read, so they are not part of the mapping's canonical text. Nor is
    `layout`, by which a shipped mapping is found.
    """

    files: Annotated[tuple[Name, ...], Field(max_length=50, exclude=True)] = ()
    layout: Annotated[dict[str, Any] | None, Field(exclude=True)] = None

    def claims(self, path: PurePosixPath) -> bool:
        """Whether a pattern of `files` matches: the file name, or the end of the path if it has a /."""
        return any(path.match(pattern) for pattern in self.files)


class JsonMapping(Declaration):
    """What the JSON of a portal leaves out: the meter's name, the zone of its local times, unit and channel.

    A format may exclude fields that its files state themselves (`MappingUse.excludes`).
    """

    format: Name
    identifier: Name | None = None
    timezone: Zone | None = None
    channel: Channel | None = None
    unit: Unit | None = None
    label: Literal["start", "end"] | None = None
    order: Literal["ascending", "descending"] = "ascending"


class NemMapping(Declaration):
    """That a file of the Australian market is read although no 100 or 900 record proves that it is whole."""

    format: Name
    incomplete: Literal["read"]


class GreenButtonMapping(Declaration):
    """Who sent a Green Button file whose addresses do not say it, or the name of its only meter."""

    format: Literal["green_button"]
    sender: Sender | None = None
    identifier: Name | None = None


class CmepMapping(Declaration):
    """Who sent a CMEP file that does not say it, the clock of its times, and what its constants are.

    A constant other than 1 is `applied` to the values already, or is `to_apply`.
    """

    format: Literal["cmep"]
    sender: Sender | None = None
    timezone: Zone | None = None
    constant: Literal["applied", "to_apply"] | None = None


class ProfileMapping(Declaration):
    """The clock of a meter with a load profile, its name, and the factor of its transformers."""

    format: Literal["iec62056"]
    identifier: Name | None = None
    timezone: Zone | None = None
    factor: Annotated[Decimal, Field(gt=0, max_digits=18)] | None = None
