"""A small valid file of every format that is read, from values that the caller chooses.

One meter, one register, an hour a value, whole UTC days from `START`, so that the energy of a file is the sum
of its values and nothing else.
"""

import io
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import accumulate

import pyarrow as pa
import pyarrow.parquet as pq

from data.ingest.formats.mapping import Mapping, parse_mapping

START = datetime(2025, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
VERSION = "2025-06-20T00:00:00Z"
# Whole days of hours.
DAY = 24
Values = Sequence[Decimal]

HEADER = "identifier,register,channel,unit,reading_ts,interval_seconds,value,quality,source_version"


def _instants(values: Values) -> list[datetime]:
    return [START + HOUR * number for number in range(len(values))]


def _records(values: Values) -> list[dict[str, object]]:
    return [
        {
            "identifier": "M1",
            "register": "E1",
            "channel": "import",
            "unit": "kWh",
            "reading_ts": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "interval_seconds": 3600,
            "value": str(value),
            "quality": "actual",
            "source_version": VERSION,
        }
        for at, value in zip(_instants(values), values, strict=True)
    ]


def canonical_csv(values: Values) -> bytes:
    rows = [",".join(str(field) for field in record.values()) for record in _records(values)]
    return "\n".join([HEADER, *rows, ""]).encode()


def canonical_ndjson(values: Values) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in _records(values)).encode()


def canonical_parquet(values: Values) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(_records(values)), file)
    return file.getvalue()


def nem12(values: Values) -> bytes:
    """In NEM time, so that the first record begins ten hours into the day of `START`."""
    lines = ["100,NEM12,202506200000,A,B", "200,M1,E1,1,E1,,,kWh,60,"]
    for first in range(0, len(values), DAY):
        day = START + HOUR * first
        lines.append(
            f"300,{day:%Y%m%d},{','.join(map(str, values[first : first + DAY]))},A,,,20250620000000,"
        )
    return "\r\n".join([*lines, "900", ""]).encode()


def nem13(values: Values) -> bytes:
    """A record an hour, of a dial that starts at 1000."""
    dial = [f"{read:012.3f}" for read in accumulate(values, initial=Decimal(1000))]
    times = [f"{START + HOUR * number:%Y%m%d%H%M%S}" for number in range(len(values) + 1)]
    lines = [
        f"250,M1,11,01,E1,E1,METER9,E,{dial[n]},{times[n]},A,,,{dial[n + 1]},{times[n + 1]},A,,,,kWh,,"
        "20250620000000,"
        for n in range(len(values))
    ]
    return "\n".join(["100,NEM13,202506200000,A,B", *lines, "900", ""]).encode()


def green_button(values: Values) -> bytes:
    """In thousandths of a Wh."""
    base = "/espi/1_1/resource/RetailCustomer/1/UsagePoint/M1"
    readings = "".join(
        "<IntervalReading><timePeriod><duration>3600</duration>"
        f"<start>{int(at.timestamp())}</start></timePeriod><value>{int(value * 1_000_000)}</value>"
        "</IntervalReading>"
        for at, value in zip(_instants(values), values, strict=True)
    )
    entries = [
        (f"{base}", "<UsagePoint><ServiceCategory><kind>0</kind></ServiceCategory></UsagePoint>", ""),
        (
            f"{base}/MeterReading/1",
            "<MeterReading/>",
            '<link rel="related" href="/espi/1_1/resource/ReadingType/A"/>',
        ),
        (
            f"{base}/MeterReading/1/IntervalBlock/1",
            f"<IntervalBlock><interval><duration>{len(values) * 3600}</duration>"
            f"<start>{int(START.timestamp())}</start></interval>{readings}</IntervalBlock>",
            "",
        ),
        (
            "/espi/1_1/resource/ReadingType/A",
            "<ReadingType><accumulationBehaviour>4</accumulationBehaviour><commodity>1</commodity>"
            "<flowDirection>1</flowDirection><intervalLength>3600</intervalLength>"
            "<powerOfTenMultiplier>-3</powerOfTenMultiplier><uom>72</uom></ReadingType>",
            "",
        ),
    ]
    body = "".join(
        f'<entry><link rel="self" href="{href}"/>{related}'
        f'<content xmlns="http://naesb.org/espi">{content}</content>'
        "<updated>2025-06-20T00:00:00Z</updated></entry>"
        for href, content, related in entries
    )
    return f'<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom">{body}</feed>'.encode()


def mscons(values: Values) -> bytes:
    segments = ["UNH+1+MSCONS:D:04B:UN:2.4c", "BGM+7+DOC1+9", "DTM+137:202506200000?+00:303"]
    segments += ["NAD+MS+9900000000001::293", "UNS+D", "NAD+DP", "LOC+172+M1"]
    segments += ["LIN+1", "PIA+5+1-1?:1.29.0:SRW"]
    for at, value in zip(_instants(values), values, strict=True):
        segments += [
            f"QTY+220:{value}",
            f"DTM+163:{at:%Y%m%d%H%M}?+00:303",
            f"DTM+164:{at + HOUR:%Y%m%d%H%M}?+00:303",
        ]
    segments.append(f"UNT+{len(segments) + 1}+1")
    envelope = ["UNB+UNOC:3+9900000000001:500+9900000000002:500+250620:0000+R1", *segments, "UNZ+1+R1"]
    return ("UNA:+.? '" + "".join(f"{segment}'" for segment in envelope)).encode("latin-1")


def mapped_csv(values: Values) -> bytes:
    rows = [f"M1;{at:%d/%m/%Y %H:%M};{value}" for at, value in zip(_instants(values), values, strict=True)]
    return "\n".join(["meter;time;used", *rows, ""]).encode()


def octopus_json(values: Values) -> bytes:
    results = [
        {
            "consumption": float(value),
            "interval_start": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "interval_end": f"{at + HOUR:%Y-%m-%dT%H:%M:%SZ}",
        }
        for at, value in zip(_instants(values), values, strict=True)
    ]
    page = {"count": len(values), "next": None, "previous": None, "results": results[::-1]}
    return json.dumps(page).encode()


def n3rgy_json(values: Values) -> bytes:
    rows = [
        {"primaryValue": float(value), "timestamp": f"{at:%Y-%m-%d %H:%M}"}
        for at, value in zip(_instants(values), values, strict=True)
    ]
    head = {"resource": "/mpxn/1/utility/electricity/readingtype/consumption/1", "granularity": "hour"}
    return json.dumps(head | {"values": rows, "unit": "kWh"}).encode()


def solaredge_json(values: Values) -> bytes:
    """In whole milliwatt-hours, written as Wh."""
    rows = [
        {"date": f"{at:%Y-%m-%d %H:%M:%S}", "value": float(value * 1000)}
        for at, value in zip(_instants(values), values, strict=True)
    ]
    series = {"type": "Purchased", "values": rows}
    return json.dumps({"energyDetails": {"timeUnit": "HOUR", "unit": "Wh", "meters": [series]}}).encode()


WRITERS: dict[str, Callable[[Values], bytes]] = {
    writer.__name__: writer
    for writer in (
        canonical_csv,
        canonical_ndjson,
        canonical_parquet,
        nem12,
        nem13,
        green_button,
        mscons,
        mapped_csv,
        octopus_json,
        n3rgy_json,
        solaredge_json,
    )
}

_DECLARED: dict[str, dict[str, object]] = {
    "mapped_csv": {
        "timezone": "UTC",
        "interval_minutes": 60,
        "delimiter": ";",
        "label": "start",
        "timestamp_format": "%d/%m/%Y %H:%M",
        "columns": {"identifier": "meter", "timestamp": "time"},
        "values": [{"column": "used", "channel": "import", "unit": "kWh", "register": "E1"}],
    },
    "octopus_json": {"identifier": "M1", "unit": "kWh", "channel": "import"},
    "n3rgy_json": {"identifier": "M1", "timezone": "UTC", "label": "start"},
    "solaredge_json": {"identifier": "M1", "timezone": "UTC"},
}


def mapping_of(format: str) -> Mapping | None:
    """What has to be declared of a file of this format."""
    declared = _DECLARED.get(format)
    return parse_mapping({"format": format, **declared}, format) if declared else None
