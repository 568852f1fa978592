"""Blocks of columns with times of their own, media in one file, and workbooks in an archive."""

import datetime
import io
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.ingest.errors import RefusedFile
from data.ingest.formats.reading import read_file
from data.ingest.inspect import inspect
from data.ingest.proposals import propose_mapping
from tests.formats.mapped_csv_text import READING, mapping, read, rows
from tests.formats.sender_layout import sum_channels
from tests.formats.workbook_text import write_xlsx

HOURS = [datetime.datetime(2024, 3, 1) + datetime.timedelta(hours=n) for n in range(48)]


def write_blocks(*, is_shorter: bool) -> str:
    """Write import of March beside export of January, each behind its own times."""
    lines = []
    for n, at in enumerate(HOURS):
        block = f"{at - datetime.timedelta(days=60):%Y-%m-%d %H:%M},{n % 5}"
        lines.append(f"M,{at:%Y-%m-%d %H:%M},{n % 7 + 1},{',' if is_shorter and n >= 24 else block}")
    return rows(*lines, header="meter,time,import,time,export")


@pytest.mark.parametrize("is_shorter", [False, True])
def test_each_block_has_its_own_times(tmp_path: Path, is_shorter: bool) -> None:
    text = write_blocks(is_shorter=is_shorter)
    fields: dict[str, Any] = {
        "interval_minutes": 60,
        "columns": {"identifier": "meter", "timestamp": 2},
        "values": [
            {"column": "import", "channel": "import", "unit": "kWh"},
            {"column": "export", "channel": "export", "unit": "kWh", "timestamp": 4},
        ],
    }
    parsed = read(tmp_path, text, **fields)
    count = 24 if is_shorter else 48
    found = {name: [] for name in ("import", "export")}  # type: dict[str, list[Any]]
    for row in parsed.readings.to_pylist():
        found[row["channel"]].append((row["reading_ts"].replace(tzinfo=None), row["value"]))
    assert found["import"] == [(at, n % 7 + 1) for n, at in enumerate(HOURS)]
    earlier = [at - datetime.timedelta(days=60) for at in HOURS[:count]]
    assert found["export"] == [(at, n % 5) for n, at in enumerate(earlier)]
    assert parsed.skipped.total() == 48 - count and parsed.rejected.num_rows == 0


def test_blocks_are_proposed_with_their_times(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(write_blocks(is_shorter=False))
    content = yaml.safe_load(propose_mapping(path, "UTC"))
    assert [value.get("timestamp") for value in content["values"]] == [None, 4]


def test_the_end_of_an_interval_is_no_block(tmp_path: Path) -> None:
    lines = [
        f"M,{at:%Y-%m-%d %H:%M},{n % 7},{at + datetime.timedelta(hours=1):%Y-%m-%d %H:%M},{n % 5}"
        for n, at in enumerate(HOURS)
    ]
    path = tmp_path / "export.csv"
    path.write_text(rows(*lines, header="meter,from,import kWh,to,export kWh"))
    assert 'timestamp: "to"' not in propose_mapping(path, "UTC").split("values:")[1]


MEDIA = rows(
    *(
        f"M,{at:%Y-%m-%d %H:%M},{medium},{value}"
        for n, at in enumerate(HOURS)
        for medium, value in (("Electricity", n % 7), ("Gas", n % 5))
    ),
    header="meter,time,kind,usage",
)


def test_each_register_may_have_its_unit(tmp_path: Path) -> None:
    fields: dict[str, Any] = {
        "interval_minutes": 60,
        "columns": {"identifier": "meter", "timestamp": "time", "register": "kind"},
        "values": [{"column": "usage"}],
        "channels": {"Electricity": "import", "Gas": "consumption"},
        "units": {"electricity": "kWh", "gas": "m3"},
    }
    parsed = read(tmp_path, MEDIA, **fields)
    units = {(row["channel"], row["unit"]) for row in parsed.readings.to_pylist()}
    assert units == {("import", "kWh"), ("consumption", "m3")}
    parsed = read(tmp_path, MEDIA, **fields | {"units": {"Electricity": "kWh"}})
    assert {row["rule"] for row in parsed.rejected.to_pylist()} == {"ROW-UNIT"}


def test_the_units_of_several_media_are_left_to_a_person(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(MEDIA)
    proposal = propose_mapping(path, "UTC")
    assert "unit:  # rows of several media: in its place give units" in proposal
    assert "with a word for the trial in unit of usage" in proposal


def pack(folder: Path, members: dict[str, bytes]) -> Path:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    path = folder / "export.zip"
    path.write_bytes(packed.getvalue())
    return path


def test_workbooks_in_an_archive_are_read(tmp_path: Path) -> None:
    months = {}
    for month in (1, 2):
        cells: list[list[Any]] = [["meter", "time", "kWh"]]
        cells += [["M", f"2024-{month:02}-01 {n // 2:02}:{n % 2 * 30:02}", n / 8] for n in range(48)]
        months[f"2024/{month}.xlsx"] = write_xlsx(tmp_path / "one.xlsx", {"Sheet": cells}).read_bytes()
    path = pack(tmp_path, months)
    document = inspect(path, mapping=mapping(READING))
    assert sum_channels(document) == {"import": 2 * sum(Decimal(n) / 8 for n in range(48))}
    assert 'timestamp: "time"' in propose_mapping(path, "Europe/London")


@pytest.mark.parametrize(
    ("content", "rule"),
    [(b"PK\x03\x04 and no archive", "FILE-DAMAGED"), (None, "FILE-ARCHIVE")],
)
def test_an_archive_in_an_archive_is_refused(tmp_path: Path, content: bytes | None, rule: str) -> None:
    inner = content or pack(tmp_path, {"a.csv": b"meter,time,kWh\n"}).read_bytes()
    with pytest.raises(RefusedFile) as refusal:
        read_file(pack(tmp_path, {"inner.xlsx": inner}), mapping=mapping(READING))
    assert refusal.value.rule == rule
