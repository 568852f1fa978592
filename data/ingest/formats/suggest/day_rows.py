"""Tables with a row for each day: runs of columns with as many values as a day has intervals."""

import json
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa

from data.ingest.formats.file_mappings import MappingError
from data.ingest.formats.suggest.amounts import read_numbers
from data.ingest.formats.suggest.columns import (
    find_medium_column,
    find_medium_unit,
    find_quality_column,
    find_register_column,
    find_unit_column,
)
from data.ingest.formats.suggest.date_formats import cut_time
from data.ingest.formats.suggest.directions import resolve_channels
from data.ingest.formats.suggest.meaning import (
    CHECK,
    leave_unit_open,
    write_channels,
    write_columns,
    write_meaning,
)
from data.ingest.formats.suggest.qualities import write_qualities, write_qualities_of_column
from data.ingest.formats.suggest.ratios import write_ratio
from data.ingest.formats.suggest.sample import Sample, name_column
from data.ingest.formats.suggest.shapes import Series, judge_channels, read_series
from data.ingest.formats.wallclock import US, TimeFormat

_CELL = re.compile(
    r"[\[(]?[A-Za-z]{0,2} ?[0-9]{1,2}([:.h時点시][0-9]{2})?[A-Za-z時点시]?([-–～〜~ ].*|[\])])?"
)


def find_day_runs(sample: Sample, numeric: list[int]) -> tuple[list[range], int] | None:
    """Find (columns of values, minutes): runs of as many columns as a day has intervals."""
    for step in (1, 2):
        runs: list[range] = []
        minutes = 0
        for first in numeric:
            if runs and first < runs[-1].stop:
                continue
            found = _find_run(sample, numeric, first, step)
            if found is not None and minutes in (0, found[1]):
                runs.append(found[0])
                minutes = found[1]
        if runs:
            return runs, minutes
    return None


def check_cells(sample: Sample, numeric: list[int]) -> None:
    """Refuse columns named as the hours of a day that are no run: one for a repeated hour is among them."""
    cells = [n for n in numeric if _CELL.fullmatch(sample.names[n])]
    if any(due - due // 24 <= len(cells) <= due + due // 12 for due in (24, 48, 96)):
        first, last = sample.names[cells[0]], sample.names[cells[-1]]
        raise MappingError(
            f"{sample.path}: the {len(cells)} columns from {first!r} to {last!r} seem to be the intervals of "
            "a day, but those of a longer day stand among the others and not behind them. Ask the sender for "
            "a row for each interval"
        )


def _find_run(sample: Sample, numeric: list[int], first: int, step: int) -> tuple[range, int] | None:
    """Find (columns, minutes) of the run that begins with a column, None if there is no run."""
    before, name = first - step, sample.names[first]
    comes_again = bool(name) and name in sample.names[:first]
    if (
        before in numeric
        and _strip_cell_label(sample.names[before]) == _strip_cell_label(name)
        and not comes_again
    ):
        # In the middle of a run: the columns before it belong to the day too.
        return None
    count = 0
    while _is_next_cell(sample, numeric, first, count, step):
        count += 1
    for minutes in (60, 30, 15, 10, 5):
        due = 1440 // minutes
        cells = range(first, first + (count - 1) * step + 1, step)
        if count in (due, due + 60 // minutes) and _has_flags_between(sample, cells, numeric):
            return cells, minutes
    return None


def _is_next_cell(sample: Sample, numeric: list[int], first: int, count: int, step: int) -> bool:
    """Whether the next column is another cell of the day: it has numbers and a name like the first one."""
    place = first + count * step
    is_cell = place in numeric or _is_spare_cell(sample, place, count, step)
    if count and is_cell and sample.names[place] and sample.names[place] == sample.names[first]:
        # The labels are repeated: another run begins.
        return False
    return is_cell and _strip_cell_label(sample.names[place]) == _strip_cell_label(sample.names[first])


def _strip_cell_label(name: str) -> str:
    """Remove from a column name what distinguishes the cells of a day."""
    return re.sub(r"(?<![a-z])[ap]\.?m(?![a-z])|[\W\d_]", "", name.lower())


def _has_flags_between(sample: Sample, cells: range, numeric: list[int]) -> bool:
    """Whether a column without numbers follows each value; true for a step of 1."""
    flags = [place + 1 for place in cells if cells.step > 1]
    return all(place < len(sample.names) and place not in numeric for place in flags)


def _is_spare_cell(sample: Sample, place: int, count: int, step: int) -> bool:
    """Whether a column after a whole day of values is empty: it is for the longer day."""
    return count >= 24 and step == 1 and place < len(sample.names) and not sample.take_texts(place)


def write_day_body(
    sample: Sample, place: int, form: str, day: tuple[list[range], int], meter: int | None
) -> tuple[list[str], list[str]]:
    """Write the lines before and after `columns:` for a row per day."""
    runs, minutes = day
    sample.minutes = minutes
    flags = runs[0].step > 1
    words = {text for cells in runs for n in cells for text in sample.take_texts(n + 1)} if flags else set()
    taken = {place, meter, *(n for cells in runs for n in range(cells[0], cells[-1] + 1 + flags))}
    keys = [row[place] for row in sample.rows]
    unit = find_unit_column(sample, taken)
    register = _find_register(sample, meter, keys, taken, unit) if len(runs) == 1 else None
    quality = None if flags else find_quality_column(sample, {*taken, register, unit})
    named = write_columns(sample, quality=quality, register=register, unit=unit)
    lines = [f"  date: {name_column(sample, place)}", *named, "day:"]
    stems = [_strip_cell_label(sample.names[cells[0]]) for cells in runs]
    rows = [n for n, row in enumerate(sample.rows) if meter is None or row[meter] == sample.rows[0][meter]]
    series = [_read_series(sample, place, form, cells, rows) for cells in runs]
    channels = judge_channels(series, resolve_channels([one.name for one in series]))
    meanings = [
        write_meaning(sample, cells, register, unit, channel=channel)
        for cells, channel in zip(runs, channels, strict=True)
    ]
    head = [f"interval_minutes: {minutes}", *leave_unit_open(meanings)]
    for cells, stem, meaning in zip(runs, stems, meanings, strict=True):
        run = _write_run(sample, cells, minutes, [*meaning, *write_ratio(sample)])
        if len(runs) > 1:
            # Two runs with the same channel need different names.
            name = stem if stem and stems.count(stem) == 1 else str(cells[0] + 1)
            run.append(f"register: {json.dumps(name)}")
        first = "  - " if len(runs) > 1 else "  "
        lines += [first + run[0], *(" " * len(first) + line for line in run[1:])]
    return (
        [*head, f"date_format: {json.dumps(cut_time(form))}"],
        [
            *lines,
            *(write_qualities(sorted(words)) if flags else []),
            *write_qualities_of_column(sample, quality, [n for cells in runs for n in cells]),
            *write_channels(sample, register, _split_series(sample, place, form, runs[0], register), meter),
        ],
    )


def _find_register(
    sample: Sample, meter: int | None, keys: list[str], taken: set[int | None], unit: int | None
) -> int | None:
    """Find the column that tells apart the series of a meter, or the media of several meters."""
    found = (
        find_register_column(sample, meter, keys, taken),
        find_medium_column(sample, {unit, *taken}),
        find_medium_unit(sample, unit),
    )
    return next((n for n in found if n is not None), None)


def _read_series(sample: Sample, place: int, form: str, cells: range, rows: list[int]) -> Series:
    """Return the amounts of some rows in the cells of a day."""
    dates = pa.array([sample.rows[n][place].strip() for n in rows])
    days = np.asarray(TimeFormat(cut_time(form)).parse(dates)[0])
    numbers = np.array([read_numbers(sample, cell)[rows] for cell in cells])
    step = sample.minutes * 60 * US
    micros = [int(day + n * step) for n in range(len(cells)) for day in days]
    return read_series(sample.names[cells[0]], micros, numbers.ravel(), is_dial=False)


def _split_series(sample: Sample, place: int, form: str, cells: range, register: int | None) -> list[Series]:
    """Return the amounts of each register of rows."""
    rows: dict[str, list[int]] = {}
    for n, row in enumerate(sample.rows if register is not None else []):
        rows.setdefault(row[register or 0].strip(), []).append(n)
    found = ((word, _read_series(sample, place, form, cells, own)) for word, own in rows.items())
    return [replace(series, name=word) for word, series in found]


def _write_run(sample: Sample, cells: range, minutes: int, meaning: list[str]) -> list[str]:
    spare = len(cells) > 1440 // minutes
    change = "elapsed" if spare else "wall_clock"
    why = (
        "there are columns for the longer day"
        if spare
        else f"{CHECK}: the content on the days of a clock change"
    )
    return [
        f"first: {name_column(sample, cells[0])}",
        f"last: {name_column(sample, cells[-1])}",
        *(["step: 2", "quality_offset: 1"] if cells.step > 1 else []),
        f"clock_change: {change}  # {why}",
        *meaning,
    ]
