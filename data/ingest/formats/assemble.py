"""Columns of texts to a batch of readings, the same for every format whose rows carry loose texts.

Here: values, qualities and units are checked, and what is wrong is rejected with what could be read of it.
Not here: how the texts came out of a file.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.formats.columns import UNITS, Batch, Mask, Rejections, decimals, to_mask
from data.ingest.formats.wallclock import US, Ints, utc
from data.ingest.schema import (
    KWH_PER_UNIT_POWER_OF_TEN,
    ONE_DIRECTION_CHANNELS,
    PARSED,
)

# Rule, reason, and the rows that break it.
Finding = tuple[str, str, Mask]
# What flows one way is an amount: power is not, it would have to be integrated.
AMOUNTS = (*KWH_PER_UNIT_POWER_OF_TEN, "m3", "ft3", "l", "gal_us", "gal_imp", "therm", "Btu")
_LIMIT = Decimal(10) ** 11


@dataclass
class Rows:
    """Readings as they were read and before they are checked, one array an attribute.

    `value` holds plain decimal numbers as text, null where there is no value; `start_us` is in microseconds
    since 1970 UTC. `findings` are the faults that were seen so far, the gravest first.
    """

    line: Ints
    identifier: pa.Array
    register: pa.Array
    channel: pa.Array
    unit: pa.Array
    start_us: Ints
    seconds: Ints
    value: pa.Array
    quality: pa.Array
    serial_number: pa.Array | None = None
    findings: list[Finding] = field(default_factory=list)


def to_batch(rows: Rows, raw_text: Callable[[int], str], rejections: Rejections, part: int) -> Batch:
    """The rows that are right as readings (schema `PARSED`), the others in `rejections`.

    `raw_text` gives the text of a row by its place. A reading without a value has the quality null. The
    source version of a reading is the end of its interval: these formats say no other.
    """
    count = len(rows.line)
    values, not_number, too_long = decimals(rows.value)
    no_value = to_mask(pc.is_null(rows.value))
    says_null = to_mask(pc.equal(rows.quality, "null"))
    one_way = to_mask(pc.is_in(rows.channel, pa.array(ONE_DIRECTION_CHANNELS)))
    # A unit that is left empty will be declared before anything is loaded.
    amount = to_mask(pc.is_in(rows.unit, pa.array([*AMOUNTS, ""])))
    findings = [
        *rows.findings,
        ("ROW-CHANNEL", "the identifier is empty", to_mask(pc.is_null(rows.identifier))),
        ("ROW-CHANNEL", "the register has no channel", to_mask(pc.is_null(rows.channel))),
        ("ROW-UNIT", "the unit is missing or not known", to_mask(pc.is_null(rows.unit))),
        ("ROW-UNIT", "an energy channel cannot have this unit", one_way & ~amount),
        ("ROW-VALUE", "the value is no number", not_number),
        ("ROW-PRECISION", "the value does not fit", too_long),
        ("ROW-QUALITY", "the quality is not known", to_mask(pc.is_null(rows.quality)) & ~no_value),
        ("ROW-QUALITY", "quality is null exactly where there is no value", says_null & ~no_value),
    ]
    columns: dict[str, pa.Array] = {
        "line": pa.array(rows.line),
        "identifier": rows.identifier,
        "register": rows.register,
        "serial_number": pa.nulls(count, pa.string()) if rows.serial_number is None else rows.serial_number,
        "channel": rows.channel,
        "unit": rows.unit,
        "reading_ts": utc(rows.start_us),
        "interval_seconds": pa.array(rows.seconds).cast(pa.int32()),
        "value": values,
        "quality": pc.if_else(pa.array(no_value), "null", rows.quality),
        "quality_method": pa.nulls(count, pa.string()),
        "reason_code": pa.nulls(count, pa.string()),
        "source_version": utc(rows.start_us + rows.seconds * US),
    }
    bad = np.logical_or.reduce([mask for _, _, mask in findings])
    if bad.any():
        _reject(columns, findings, bad, raw_text, rejections)
        columns = {name: column.filter(pa.array(~bad)) for name, column in columns.items()}
    readings = pa.table({name: columns[name] for name in PARSED.names}, schema=PARSED)
    return Batch(readings, rejections.take(), part)


def _reject(
    columns: dict[str, pa.Array],
    findings: list[Finding],
    bad: Mask,
    raw_text: Callable[[int], str],
    rejections: Rejections,
) -> None:
    for index in np.flatnonzero(bad):
        row = int(index)
        rule, reason, _ = next(finding for finding in findings if finding[2][row])
        start = columns["reading_ts"][row]
        rejections.add(
            columns["line"][row].as_py(),
            rule,
            reason,
            raw_text(row),
            identifier=columns["identifier"][row].as_py(),
            register=columns["register"][row].as_py(),
            reading_ts=start.as_py() if rule != "ROW-TIMESTAMP" else None,
            value=columns["value"][row].as_py(),
            unit=columns["unit"][row].as_py(),
        )


def known_units(texts: pa.Array) -> pa.Array:
    """Units in our way of writing, null where one is not known."""
    encoded = pc.dictionary_encode(texts)
    names = [UNITS.get(text.strip().lower()) for text in encoded.dictionary.to_pylist()]
    return pa.array(names, type=pa.string()).take(encoded.indices)


def total(texts: pa.Array) -> Decimal | None:
    """The sum of the values of a row that is rejected whole, as far as they can be read."""
    values, _, _ = decimals(texts)
    found = pc.sum(values).as_py() or Decimal(0)
    return found if abs(found) < _LIMIT else None


def repeat(text: str | None, count: int) -> pa.Array:
    """A column that says the same in every row."""
    return pa.repeat(pa.scalar(text, pa.string()), count)
