"""Parts of a Green Button file, for tests."""

import datetime
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from data.ingest.schema import ParsedFile

OWNER = "RetailCustomer/7/UsagePoint/1"
METER = f"{OWNER}/MeterReading/1"
START = 1_700_000_100 // 900 * 900
UTC = datetime.UTC
Write = Callable[..., Path]


def make_writer(folder: Path) -> Write:
    """Return the function that writes a file into a folder and returns its path."""

    def write_text(text: str | bytes, name: str = "usage.xml") -> Path:
        path = folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_text


def entry(own: str, content: str, *related: str, up: str = "", updated: str = "2024-01-02T00:00:00Z") -> str:
    links = "".join(f'<link rel="related" href="{href}"/>' for href in related)
    links += f'<link rel="self" href="{own}"/>' if own else ""
    links += f'<link rel="up" href="{up}"/>' if up else ""
    body = f"<content>{content}</content><updated>{updated}</updated>"
    return f"<entry><id>urn:uuid:{own}</id>{links}{body}</entry>\n"


def usage_point(own: str = OWNER, kind: str = "0") -> str:
    service = f"<ServiceCategory><kind>{kind}</kind></ServiceCategory>"
    return entry(
        own, f'<UsagePoint xmlns="http://naesb.org/espi">{service}</UsagePoint>', f"{own}/MeterReading"
    )


def meter_reading(own: str = METER, *kinds: str) -> str:
    up = own.rpartition("/")[0]
    links = (f"{own}/IntervalBlock", *(kinds or ("ReadingType/1",)))
    return entry(own, '<MeterReading xmlns="http://naesb.org/espi"/>', *links, up=up)


def reading_type(own: str = "ReadingType/1", **fields: Any) -> str:
    given = {"accumulationBehaviour": 4, "flowDirection": 1, "powerOfTenMultiplier": 0, "uom": 72} | fields
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in given.items() if value is not None)
    return entry(own, f'<ReadingType xmlns="http://naesb.org/espi">{inner}</ReadingType>')


def reading(start: object, value: object, duration: object = 900, extra: str = "") -> str:
    times = "".join(
        f"<{name}>{item}</{name}>"
        for name, item in (("duration", duration), ("start", start))
        if item is not None
    )
    period = f"<timePeriod>{times}</timePeriod>" if times else ""
    given = "" if value is None else f"<value>{value}</value>"
    return f"<IntervalReading><cost>12</cost>{extra}{period}{given}</IntervalReading>\n"


def bare_block(*readings: str, interval: str = "") -> str:
    return f'<IntervalBlock xmlns="http://naesb.org/espi">{interval}{"".join(readings)}</IntervalBlock>'


def block(*readings: str, meter: str = METER, interval: str = "", **named: Any) -> str:
    content = bare_block(*readings, interval=interval)
    return entry(f"{meter}/IntervalBlock/1", content, up=f"{meter}/IntervalBlock", **named)


def feed(*entries: str, head: str = "") -> str:
    return (
        f'<?xml version="1.0"?>{head}<feed xmlns="http://www.w3.org/2005/Atom">\n{"".join(entries)}</feed>\n'
    )


def usual(*blocks: str, **fields: Any) -> str:
    """Return a feed with its ReadingType after the readings, as many utilities send it."""
    return feed(usage_point(), meter_reading(), *blocks, reading_type(**fields))


def quarters(*values: object, start: int = START) -> list[str]:
    return [reading(start + 900 * i, value) for i, value in enumerate(values)]


def rejections(parsed: ParsedFile) -> list[str]:
    return [str(rule) for rule in parsed.rejected["rule"].to_pylist()]


def total(parsed: ParsedFile) -> Decimal:
    return sum((value for value in parsed.readings["value"].to_pylist() if value is not None), Decimal(0))


def flat(kind: str, number: int, content: str, *related: str) -> str:
    """An entry whose address does not lie below that of its owner."""
    return entry(f"{kind}/{number}", content, *related)


def flat_series(number: int, value: int, **fields: Any) -> list[str]:
    """Two blocks that a meter reading names by their addresses, and nothing else."""
    blocks = [f"IntervalBlock/{number}0", f"IntervalBlock/{number}1"]
    return [
        flat(
            "MeterReading",
            number,
            '<MeterReading xmlns="http://naesb.org/espi"/>',
            f"ReadingType/{number}",
            *blocks,
        ),
        reading_type(f"ReadingType/{number}", **fields),
        *(
            entry(
                own,
                f'<IntervalBlock xmlns="http://naesb.org/espi">{reading(START + 900 * place, value)}'
                "</IntervalBlock>",
            )
            for place, own in enumerate(blocks)
        ),
    ]
