"""Files of every format, complete, cut and with flipped bits: energy neither appears nor disappears."""

import gzip
import io
import random
import re
import struct
import zipfile
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.ingest.errors import RefusedFile
from data.ingest.formats.registry import FORMATS
from data.ingest.schema import ParsedFile
from tests.formats.conftest import SAMPLES
from tests.formats.example import DAY
from tests.formats.gallery import declare_example, write_example
from tests.formats.invariants import account, read

VALUES = [Decimal(number * number * 7 % 331 + 1) / 1000 for number in range(2 * DAY)]
# Formats of lines: a cut between two lines leaves a shorter file that is complete.
OF_LINES = ("canonical_csv", "canonical_ndjson", "cmep", "mapped_csv")
HERE = Path(__file__).resolve().parent
FILES = sorted(
    path
    for folder in (HERE / "fixtures", HERE.parent / "fixtures", SAMPLES)
    for path in folder.rglob("*")
    if path.suffix in (".csv", ".xml", ".txt", ".json", ".zip") and not path.name.isupper()
)


def draw_thousandths(count: int) -> st.SearchStrategy[list[Decimal]]:
    """Draw values from 0 to 65.535 in one piece: Hypothesis is slow at drawing many numbers one by one."""
    pieces = st.binary(min_size=2 * count, max_size=2 * count)
    return pieces.map(lambda piece: [Decimal(number) / 1000 for number in struct.unpack(f"<{count}H", piece)])


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.sampled_from([DAY, 2 * DAY]).flatmap(draw_thousandths),
    negative=st.sets(st.integers(0, DAY - 1), max_size=3),
    packed=st.sampled_from(["plain", "gzip", "zip"]),
)
def test_the_energy_of_a_file_is_accepted_or_quarantined_to_the_last_decimal(
    tmp_path: Path, format: str, values: list[Decimal], negative: set[int], packed: str
) -> None:
    """What went in is known from the values alone; some of them are wrong, and the meter may be unknown."""
    if format not in ("nem13", "dsmr"):  # a dial does not turn back
        values = [-value if number in negative else value for number, value in enumerate(values)]
    path = tmp_path / "file"
    path.write_bytes(
        pack(write_example(format, values), packed if format != "canonical_parquet" else "plain")
    )
    parsed = read(path, mapping=declare_example(format))
    assert isinstance(parsed, ParsedFile), parsed
    balance = account(parsed, every=1)
    turned_away = [value for value in values if value < 0]
    assert balance.energy_in_kwh == sum(values)
    assert balance.quarantined_kwh == sum(turned_away)
    assert balance.accepted_kwh == sum(values) - sum(turned_away)
    unknown = account(parsed, every=0)
    assert unknown.accepted_kwh == 0
    assert unknown.quarantined_kwh == sum(values)


def values_of(found: ParsedFile | RefusedFile) -> list[Decimal]:
    return [] if isinstance(found, RefusedFile) else found.readings["value"].to_pylist()


def pack(content: bytes, how: str) -> bytes:
    if how == "gzip":
        return gzip.compress(content, mtime=0)
    if how == "zip":
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("file", content)
        return file.getvalue()
    return content


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_energy_of_every_test_file_is_accepted_or_quarantined(path: Path) -> None:
    parsed = read(path)
    if isinstance(parsed, ParsedFile):
        whole, half = account(parsed, every=1), account(parsed, every=2)
        assert whole.energy_in_kwh == half.energy_in_kwh


@pytest.mark.parametrize("format", FORMATS)
def test_a_cut_file_is_refused_or_known_to_be_shorter(tmp_path: Path, format: str) -> None:
    """Cut at 30 places, and at each of the last 30 bytes; an archive as well."""
    content, mapping = write_example(format, VALUES), declare_example(format)
    places = random.Random(1).sample(range(1, len(content) - 30), 30)
    path = tmp_path / "cut"
    for place in [*places, *range(len(content) - 30, len(content))]:
        cut = content[:place]
        if format not in OF_LINES and not content[place:].strip():
            continue  # only the last line end is gone
        if format == "dsmr" and re.search(rb"![0-9A-F]{4}\s*$", cut):
            continue  # a log is whole after each telegram
        path.write_bytes(cut)
        found = read(path, mapping=mapping)
        if format not in OF_LINES:
            assert isinstance(found, RefusedFile), (place, cut[-40:])
        elif isinstance(found, ParsedFile):
            is_reported = "CSV-LAST-ROW" in found.rejected["rule"].to_pylist()
            # The last brace shows that an object is complete.
            is_whole = cut.endswith((b"\n", b"}"))
            assert is_whole or is_reported, (place, cut[-40:])
            lines = len(cut.splitlines()) - (format not in ("canonical_ndjson", "cmep"))
            assert found.readings.num_rows + found.rejected.num_rows - is_reported == lines
            account(found)
    for how in ("gzip", "zip"):
        packed = pack(content, how)
        for place in random.Random(2).sample(range(10, len(packed)), 8):
            path.write_bytes(packed[:place])
            assert isinstance(read(path, mapping=mapping), RefusedFile), (how, place)


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_with_flipped_bits_is_refused_or_accounted_for(tmp_path: Path, format: str) -> None:
    content, mapping = write_example(format, VALUES), declare_example(format)
    chance = random.Random(3)
    path = tmp_path / "flipped"
    seen = 0
    for _ in range(60):
        broken = bytearray(content)
        for _ in range(chance.choice((1, 1, 8))):
            broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
        path.write_bytes(broken)
        for declared in [mapping, None] if mapping else [None]:
            found = read(path, mapping=declared)
            seen += values_of(found) != VALUES
            if isinstance(found, ParsedFile):
                account(found)
    # Most flips are in what a reader looks at.
    assert seen > 10


@pytest.mark.parametrize("start", [b"{", b"[", b"<", b"UNA"])
@pytest.mark.parametrize("format", FORMATS)
def test_bytes_that_are_no_text_are_refused_also_where_a_document_begins(
    tmp_path: Path, format: str, start: bytes
) -> None:
    path = tmp_path / "file"
    path.write_bytes(start + b"\xdf\xff\n\xe2\x82")
    assert isinstance(read(path, format, declare_example(format)), RefusedFile)


@pytest.mark.parametrize("how", ["gzip", "zip"])
def test_an_archive_with_a_flipped_bit_is_refused_or_what_it_was(tmp_path: Path, how: str) -> None:
    """A checksum guards the content; a flip in a name, a date or a comment changes nothing of it."""
    packed = pack(write_example("canonical_csv", VALUES), how)
    path = tmp_path / "flipped"
    for place in random.Random(4).sample(range(len(packed)), 80):
        broken = bytearray(packed)
        broken[place] ^= 1 << (place % 8)
        path.write_bytes(broken)
        found = read(path)
        if isinstance(found, ParsedFile):
            assert account(found, every=1).accepted_kwh == sum(VALUES)
