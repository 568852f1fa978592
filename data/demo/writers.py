"""Write the two file formats of the demo and their containers, byte for byte the same on every run.

`generate` decides the contents of the files. Nothing here knows the company.
"""

import gzip
import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.demo.physics import Energy, Instants

CANONICAL_COLUMNS = (
    "identifier",
    "register",
    "serial_number",
    "channel",
    "unit",
    "reading_ts",
    "interval_seconds",
    "value",
    "quality",
    "quality_method",
    "reason_code",
    "source_version",
)
_NEM_OFFSET = timedelta(hours=10)
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Stream:
    """One register of one meter: energies in Wh (n,) and a flag for estimated ones (n,).

    `first_day` is the day of the first value, if it differs from that of the file.
    """

    identifier: str
    register: str
    serial_number: str
    channel: str
    configuration: str
    values: Energy
    estimated: npt.NDArray[np.bool_]
    first_day: date | None = None


def format_nem12(streams: Iterable[Stream], first_day: date, interval_seconds: int, version: datetime) -> str:
    """Format NEM12 in kWh of whole days of UTC+10 from `first_day`; `version` (UTC) dates each record."""
    written = version + _NEM_OFFSET
    lines = [f"100,NEM12,{written:%Y%m%d%H%M},DEMOMDP,DEMO"]
    for stream in streams:
        lines.extend(_format_nem12_stream(stream, first_day, interval_seconds, f"{written:%Y%m%d%H%M%S}"))
    return "\r\n".join([*lines, "900", ""])


def _format_nem12_stream(
    stream: Stream, first_day: date, interval_seconds: int, written: str
) -> Iterator[str]:
    code = stream.register
    yield (
        f"200,{stream.identifier},{stream.configuration},{code},{code},,"
        f"{stream.serial_number},kWh,{interval_seconds // 60},"
    )
    per_day = 86_400 // interval_seconds
    days = zip(
        _format_kwh(stream.values).reshape(-1, per_day), stream.estimated.reshape(-1, per_day), strict=True
    )
    for number, (values, estimated) in enumerate(days):
        day = (stream.first_day or first_day) + timedelta(days=number)
        quality = "V" if estimated.any() else "A"
        yield f"300,{day:%Y%m%d},{','.join(values)},{quality},,,{written},{written}"
        if quality == "V":
            yield from _format_nem12_quality(estimated)


def _format_nem12_quality(estimated: npt.NDArray[np.bool_]) -> Iterator[str]:
    """Format the 400 records of one day: like-day substitutes (S14) and actual values."""
    first = 1
    for is_estimated, run in groupby(estimated.tolist()):
        last = first + len(list(run)) - 1
        yield f"400,{first},{last},{'S14' if is_estimated else 'A'},,"
        first = last + 1


def build_canonical_rows(
    streams: Iterable[Stream], starts: Instants, interval_seconds: int, unit: str, version: datetime
) -> pd.DataFrame:
    """Build one text row for each reading, in the columns of the canonical CSV."""
    stamps = np.char.add(np.datetime_as_string(starts, unit="s"), "Z")
    frames = [
        pd.DataFrame(
            {
                "identifier": stream.identifier,
                "register": stream.register,
                "serial_number": stream.serial_number,
                "channel": stream.channel,
                "unit": unit,
                "reading_ts": stamps,
                "interval_seconds": str(interval_seconds),
                "value": _format_kwh(stream.values) if unit == "kWh" else stream.values.astype(str),
                "quality": np.where(stream.estimated, "estimated", "actual"),
                "quality_method": "",
                "reason_code": "",
                "source_version": f"{version:%Y-%m-%dT%H:%M:%SZ}",
            }
        )
        for stream in streams
    ]
    return pd.concat(frames, ignore_index=True)[list(CANONICAL_COLUMNS)]


def format_canonical_csv(rows: pd.DataFrame) -> str:
    """Format rows as canonical CSV text."""
    return str(rows.to_csv(index=False, lineterminator="\n"))


def write_file(path: Path, text: str) -> None:
    """Write `text` to `path`, packed if it ends in .gz or .zip. The file appears complete or not at all."""
    data = text.encode()
    if path.suffix == ".gz":
        data = gzip.compress(data, mtime=0)
    elif path.suffix == ".zip":
        data = _zip_member(path.with_suffix(".csv").name, data)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.parent.parent / f".{path.name}.part"
    part.write_bytes(data)
    part.replace(path)


def _zip_member(member: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo(member, date_time=_ZIP_EPOCH)
        archive.writestr(info, data, compress_type=zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _format_kwh(values: Energy) -> npt.NDArray[np.str_]:
    return np.char.mod("%.3f", values / 1000)
