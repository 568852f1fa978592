"""Blocks of properties: what is validated at once, so that memory does not grow with a tenant's meters."""

import pandas as pd

# A block of 250 000 readings takes about 400 MB. A property is never split: some rules add its meters up.
READINGS = 250_000


def split_properties(series: pd.DataFrame, readings: pd.Series) -> list[pd.DataFrame]:
    """Split series (with `property_id`) into blocks of whole properties; no series give no block.

    `readings` has the number of readings by property. A block has at most `READINGS`, or a single property.
    """
    blocks: dict[str, int] = {}
    number, filled = 0, 0
    for property_id in series["property_id"].unique():
        count = int(readings.get(property_id, 0))
        if filled and filled + count > READINGS:
            number, filled = number + 1, 0
        blocks[property_id] = number
        filled += count
    return [block for _, block in series.groupby(series["property_id"].map(blocks))]
