"""Columns of texts to a batch of readings, for the formats whose rows are not tied to a record type.

Here: checks of values, qualities and units; a wrong row is rejected with the fields that could be read. Not
here: how the texts are taken from a file.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.formats.columns import UNITS, Batch, Mask, Rejections, Violation, parse_decimals, to_mask
from data.ingest.formats.wallclock import US, Ints, to_timestamps
from data.ingest.schema import (
    KWH_PER_UNIT_POWER_OF_TEN,
    ONE_DIRECTION_CHANNELS,
    PARSED,
)

# Units of a quantity that flows one way. Power is not among them: it would have to be integrated.
AMOUNTS = (*KWH_PER_UNIT_POWER_OF_TEN, "m3", "ft3", "l", "gal_us", "gal_imp", "therm", "Btu", "GJ", "MJ")
_LIMIT = Decimal(10) ** 11


@dataclass
class UncheckedRows:
    """Unchecked readings, one array for each attribute.

    `value` holds plain decimal numbers as text, null if there is no value; `start_us` is in microseconds
    since 1970 UTC. `violations` are the ones found so far, the most severe first.
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
    violations: list[Violation] = field(default_factory=list)

    def filter(self, keep: Mask) -> "UncheckedRows":
        """Keep the rows where `keep` is true."""
        kept: dict[str, Any] = {
            one.name: getattr(self, one.name).filter(pa.array(keep))
            for one in fields(self)
            if isinstance(getattr(self, one.name), pa.Array)
        }
        kept |= {name: getattr(self, name)[keep] for name in ("line", "start_us", "seconds")}
        violations = [(rule, reason, mask[keep]) for rule, reason, mask in self.violations]
        return replace(self, **kept, violations=violations)


def assemble_batch(
    rows: UncheckedRows, raw_text: Callable[[int], str], rejections: Rejections, part: int
) -> Batch:
    """Check rows: return the valid ones as readings (schema `PARSED`), add the others to `rejections`.

    `raw_text` returns the text of a row by its place. A reading without a value has the quality null. The
    source version of a reading is the end of its interval, since these formats state none.
    """
    count = len(rows.line)
    values, not_number, too_long = parse_decimals(rows.value)
    no_value = to_mask(pc.is_null(rows.value))
    says_null = to_mask(pc.equal(rows.quality, "null"))
    one_way = to_mask(pc.is_in(rows.channel, pa.array(ONE_DIRECTION_CHANNELS)))
    # An empty unit must be declared before the file is loaded.
    amount = to_mask(pc.is_in(rows.unit, pa.array([*AMOUNTS, ""])))
    violations = [
        *rows.violations,
        ("ROW-CHANNEL", "the identifier is empty", to_mask(pc.is_null(rows.identifier))),
        ("ROW-CHANNEL", "the register has no channel", to_mask(pc.is_null(rows.channel))),
        ("ROW-UNIT", "the unit is missing or unknown", to_mask(pc.is_null(rows.unit))),
        ("ROW-UNIT", "an energy channel cannot have this unit", one_way & ~amount),
        ("ROW-VALUE", "the value is not a number", not_number),
        ("ROW-PRECISION", "the value has more than 11 digits before or 9 after the point", too_long),
        ("ROW-QUALITY", "the quality is unknown", to_mask(pc.is_null(rows.quality)) & ~no_value),
        ("ROW-QUALITY", "the quality must be null if and only if there is no value", says_null & ~no_value),
    ]
    columns: dict[str, pa.Array] = {
        "line": pa.array(rows.line),
        "identifier": rows.identifier,
        "register": rows.register,
        "serial_number": pa.nulls(count, pa.string()) if rows.serial_number is None else rows.serial_number,
        "channel": rows.channel,
        "unit": rows.unit,
        "reading_ts": to_timestamps(rows.start_us),
        "interval_seconds": pa.array(rows.seconds).cast(pa.int32()),
        "value": values,
        "quality": pc.if_else(pa.array(no_value), "null", rows.quality),
        "quality_method": pa.nulls(count, pa.string()),
        "reason_code": pa.nulls(count, pa.string()),
        "source_version": to_timestamps(rows.start_us + rows.seconds * US),
    }
    bad = np.logical_or.reduce([mask for _, _, mask in violations])
    if bad.any():
        _reject(columns, violations, bad, raw_text, rejections)
        columns = {name: column.filter(pa.array(~bad)) for name, column in columns.items()}
    readings = pa.table({name: columns[name] for name in PARSED.names}, schema=PARSED)
    return Batch(readings, rejections.take(), part)


def _reject(
    columns: dict[str, pa.Array],
    violations: list[Violation],
    bad: Mask,
    raw_text: Callable[[int], str],
    rejections: Rejections,
) -> None:
    for index in np.flatnonzero(bad):
        row = int(index)
        rule, reason, _ = next(violation for violation in violations if violation[2][row])
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


def normalize_units(texts: pa.Array) -> pa.Array:
    """Return the canonical name of each unit, null if it is unknown."""
    encoded = pc.dictionary_encode(texts)
    names = [UNITS.get(text.strip().lower()) for text in encoded.dictionary.to_pylist()]
    return pa.array(names, type=pa.string()).take(encoded.indices)


def sum_values(texts: pa.Array) -> Decimal | None:
    """Sum the values of a rejected row, as far as they can be read."""
    values, _, _ = parse_decimals(texts)
    found = pc.sum(values).as_py() or Decimal(0)
    return found if abs(found) < _LIMIT else None


def repeat_text(text: str | None, count: int) -> pa.Array:
    """Return a column with the same text in every row."""
    return pa.repeat(pa.scalar(text, pa.string()), count)
