"""NEM12 by hand-written records: every record type, and every trap that real files hold."""

import datetime
import gzip
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.ingest.errors import RefusedFile
from data.ingest.formats.reading import iter_batches, read_file
from data.ingest.schema import PARSED, REJECTED, ParsedFile
from tests.formats import example

HEADER = "100,NEM12,202401011200,MDA1,RET1"
FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
Write = Callable[..., Path]


def series(nmi: str = "NMI1", suffix: str = "E1", unit: str = "kWh", minutes: int | str = 30) -> str:
    return f"200,{nmi},E1B1,1,{suffix},N1,SER1,{unit},{minutes},"


def day(date: str = "20240201", values: list[str] | None = None, tail: str = "A,,,,") -> str:
    return ",".join(["300", date, *(values if values is not None else ["1"] * 48), tail])


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(*lines: str, name: str = "file.csv", end: str = "\n", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(end.join([*lines, ""]).encode(encoding))
        return path

    return write_file


def total(parsed: ParsedFile, register: str = "E1") -> Decimal:
    rows = parsed.readings.filter(pc.equal(parsed.readings["register"], register))
    return pc.sum(rows["value"]).as_py() or Decimal(0)


def rejections(parsed: ParsedFile) -> list[tuple[int, str]]:
    return [(row["line"], row["rule"]) for row in parsed.rejected.to_pylist()]


def write_example(values: example.Values) -> bytes:
    """In NEM time, so that the first record begins ten hours into the day of `example.START`."""
    lines = ["100,NEM12,202506200000,A,B", "200,M1,E1,1,E1,,,kWh,60,"]
    for first in range(0, len(values), example.DAY):
        day = example.START + example.HOUR * first
        lines.append(
            f"300,{day:%Y%m%d},{','.join(map(str, values[first : first + example.DAY]))},A,,,20250620000000,"
        )
    return "\r\n".join([*lines, "900", ""]).encode()


EXAMPLE = example.Example(write_example)


def test_a_value_is_stamped_with_the_start_of_its_interval_at_utc_plus_10(write: Write) -> None:
    # January: Sydney is at UTC+11, NEM time is not.
    parsed = read_file(write(HEADER, series(), day("20240115", [str(i) for i in range(1, 49)]), "900"))
    rows = parsed.readings.to_pylist()
    assert parsed.readings.schema == PARSED
    assert rows[0]["reading_ts"] == datetime.datetime(2024, 1, 14, 14, tzinfo=datetime.UTC)
    assert rows[47]["reading_ts"] == datetime.datetime(2024, 1, 15, 13, 30, tzinfo=datetime.UTC)
    assert [row["value"] for row in rows] == list(range(1, 49))
    assert rows[0]["line"] == 3
    assert rows[0]["serial_number"] == "SER1"


@pytest.mark.parametrize("minutes", [1, 5, 10, 15, 30, 60, 1440])
def test_every_interval_length_that_divides_a_day_is_read(write: Write, minutes: int) -> None:
    parsed = read_file(write(HEADER, series(minutes=minutes), day(values=["0.5"] * (1440 // minutes)), "900"))
    assert parsed.readings.num_rows == 1440 // minutes
    assert set(parsed.readings["interval_seconds"].to_pylist()) == {minutes * 60}


@pytest.mark.parametrize("minutes", ["7", "0", "-30", "", "thirty", "2880"])
def test_an_interval_length_that_does_not_divide_a_day_rejects_its_records(
    write: Write, minutes: str
) -> None:
    path = write(HEADER, series("N1", minutes=minutes), day(), series("N2"), day(), "900")
    parsed = read_file(path)
    assert set(parsed.readings["identifier"].to_pylist()) == {"N2"}
    assert rejections(parsed) == [(2, "NEM12-CHANNEL"), (3, "NEM12-RECORD")]


@pytest.mark.parametrize(
    ("given_unit", "unit"), [("kWh", "kWh"), ("KWH", "kWh"), ("wh", "Wh"), ("MWH", "MWh"), ("kwh ", "kWh")]
)
def test_a_unit_is_read_in_any_letter_case(write: Write, given_unit: str, unit: str) -> None:
    parsed = read_file(write(HEADER, series(unit=given_unit), day(), "900"))
    assert set(parsed.readings["unit"].to_pylist()) == {unit}


@pytest.mark.parametrize(
    ("suffix", "unit", "channel", "canonical"),
    [
        ("E1", "kWh", "import", "kWh"),
        ("e2", "Wh", "import", "Wh"),
        ("B1", "kWh", "export", "kWh"),
        ("Q1", "KVARH", "reactive_import", "kvarh"),
        ("K1", "VArh", "reactive_export", "varh"),
        ("V1", "V", "voltage", "V"),
        ("V1", "", "voltage", ""),
        ("X1", "kWh", "other", "kWh"),
    ],
)
def test_a_suffix_decides_the_channel(
    write: Write, suffix: str, unit: str, channel: str, canonical: str
) -> None:
    row = read_file(write(HEADER, series(suffix=suffix, unit=unit), day(), "900")).readings.to_pylist()[0]
    assert (row["channel"], row["unit"], row["register"]) == (channel, canonical, suffix.upper())


@pytest.mark.parametrize("unit", ["", "kVArh", "furlong"])
def test_an_energy_register_without_an_energy_unit_is_rejected(write: Write, unit: str) -> None:
    parsed = read_file(write(HEADER, series("N1", unit=unit), day(), series("N2"), day(), "900"))
    assert rejections(parsed) == [(2, "ROW-UNIT"), (3, "NEM12-RECORD")]


def test_two_registers_of_one_meter_point_stay_apart(write: Write) -> None:
    path = write(HEADER, series(suffix="E1"), day(), series(suffix="E2"), day(values=["2"] * 48), "900")
    parsed = read_file(path)
    assert (total(parsed, "E1"), total(parsed, "E2")) == (Decimal(48), Decimal(96))


def test_qualities_of_400_records_replace_the_v_of_their_day(write: Write) -> None:
    ranges = ("400,1,20,F14,76,", "400,21,24,A,,", "400,25,47,S14,1,", "400,48,48,N,,")
    text = day(values=["1"] * 47 + ["0"], tail="V,,,20240202120000,")
    parsed = read_file(write(HEADER, series(), text, *ranges, "900"))
    rows = parsed.readings.to_pylist()
    kinds = [(row["quality"], row["quality_method"], row["reason_code"]) for row in rows]
    assert kinds[0] == ("edited", "F14", "76")
    assert kinds[20] == ("actual", "A", None)
    assert kinds[24] == ("estimated", "S14", "1")
    assert kinds[47] == ("null", "N", None)
    assert rows[47]["value"] is None
    assert total(parsed) == 47


def test_a_broken_300_record_is_joined_and_keeps_its_400_records(write: Write) -> None:
    values = [f"{i}.5" for i in range(48)]
    text = day("20240202", values, "V,,,20240203120000,")
    broken = (
        ",".join(text.split(",")[:20]) + ",",
        ",".join(text.split(",")[20:35]),
        ",".join(text.split(",")[35:]),
    )
    path = write(HEADER, series(), day("20240201"), *broken, "400,1,24,A,,", "400,25,48,S17,9,", "900")
    parsed = read_file(path)
    rows = parsed.readings.to_pylist()
    assert parsed.rejected.num_rows == 0
    assert {row["quality_method"] for row in rows[:48]} == {"A"}
    assert [row["value"] for row in rows[48:]] == [Decimal(value) for value in values]
    assert [rows[48]["quality_method"], rows[95]["quality_method"]] == ["A", "S17"]
    assert rows[48]["line"] == 4


@pytest.mark.parametrize("start", ["100", "200", "300", "400", "500", "900"])
def test_a_continued_line_may_start_with_a_number_like_a_record_type(write: Write, start: str) -> None:
    first = ["300", "20240201", *(["7"] * 20)]
    second = [start, *(["7"] * 27), "A,,,,"]
    parsed = read_file(write(HEADER, series(unit="Wh"), ",".join(first) + ",", ",".join(second), "900"))
    assert parsed.rejected.num_rows == 0
    assert total(parsed) == 47 * 7 + int(start)


def test_a_reason_text_may_hold_commas_quotes_and_a_line_break(write: Write) -> None:
    path = write(
        HEADER, series(), day(tail='S14,89,"Meter ""x"", read\nlate",20240202120000,'), day("20240202"), "900"
    )
    parsed = read_file(path)
    assert (parsed.readings.num_rows, parsed.rejected.num_rows) == (96, 0)
    assert parsed.readings["reason_code"][0].as_py() == "89"


@pytest.mark.parametrize(("count", "minutes"), [(96, 30), (48, 15), (47, 30), (49, 30), (288, 30), (0, 30)])
def test_a_wrong_number_of_values_rejects_the_record(write: Write, count: int, minutes: int) -> None:
    bad = day("20240201", ["1"] * count)
    path = write(HEADER, series("N1", minutes=minutes), bad, series("N2"), day(), "900")
    parsed = read_file(path)
    assert rejections(parsed) == [(3, "NEM12-VALUE-COUNT")]
    assert set(parsed.readings["identifier"].to_pylist()) == {"N2"}


def test_ranges_beyond_the_day_are_reported_with_a_wrong_number_of_values(write: Write) -> None:
    quarters = day("20240201", ["1"] * 96, tail="V,,,,")
    ranges = ("400,1,48,A,,", "400,49,96,N,,")
    with pytest.raises(RefusedFile) as refusal:
        read_file(write(HEADER, series(), quarters, *ranges, "900"))
    (told,) = refusal.value.rejected.to_pylist()
    assert (told["line"], told["rule"]) == (3, "NEM12-VALUE-COUNT")
    assert told["reason"].startswith("the 300 record has 96 values, 48 expected; the intervals 49 to 96")
    assert "line 5" in told["reason"]


def test_of_two_concatenated_files_the_later_record_wins(write: Write) -> None:
    first = [HEADER, series(), day(), day("20240202"), "900"]
    second = [HEADER, series(), day(values=["2"] * 48), "900"]
    parsed = read_file(write(*first, *second))
    assert parsed.readings.num_rows == 96
    assert total(parsed) == 48 * 2 + 48
    assert {rule for _, rule in rejections(parsed)} == {"VEE-SUPERSEDED"}
    assert set(parsed.rejected["severity"].to_pylist()) == {"info"}


def test_files_joined_without_a_line_end_between_them_are_both_read(write: Write) -> None:
    path = write(HEADER, series(), day(), f"900{HEADER}", series(), day("20240202"), "900", "\x1a")
    parsed = read_file(path)
    assert (parsed.readings.num_rows, parsed.rejected.num_rows) == (96, 0)


def test_of_two_blocks_the_newer_version_wins_at_any_place(write: Write) -> None:
    newer = [HEADER, series(), day(values=["2"] * 48, tail="A,,,20240302000000,"), "900"]
    older = [HEADER, series(), day(tail="A,,,20240301000000,"), "900"]
    assert total(read_file(write(*newer, *older))) == 96


def test_a_repeated_record_is_not_reported(write: Write) -> None:
    parsed = read_file(write(HEADER, series(), day(), "900", HEADER, series(), day(), "900"))
    assert (parsed.readings.num_rows, parsed.rejected.num_rows) == (48, 0)


def test_a_day_in_two_interval_lengths_is_summed_once(write: Write) -> None:
    coarse, fine = day(values=["6"] * 48), day(values=["1"] * 288)
    for first, last, expected in ((coarse, fine, 288), (fine, coarse, 288)):
        minutes = (30, 5) if first is coarse else (5, 30)
        path = write(HEADER, series(minutes=minutes[0]), first, series(minutes=minutes[1]), last, "900")
        parsed = read_file(path)
        assert total(parsed) == expected
        assert set(parsed.readings["interval_seconds"].to_pylist()) == {minutes[1] * 60}


@pytest.mark.parametrize(
    "value", ["abc", "NaN", "inf", "-inf", "1e308", "1.2345678901", "123456789012", "0x1", ""]
)
def test_an_invalid_value_is_rejected_with_its_line(write: Write, value: str) -> None:
    parsed = read_file(write(HEADER, series(), day(values=[value, *["1"] * 47]), "900"))
    [(line, rule)] = rejections(parsed)
    assert (line, rule in {"ROW-VALUE", "ROW-PRECISION"}) == (3, True)
    assert (parsed.readings.num_rows, total(parsed)) == (47, Decimal(47))
    assert parsed.rejected["reading_ts"][0].as_py() == datetime.datetime(2024, 1, 31, 14, tzinfo=datetime.UTC)


def test_decimals_are_kept_to_the_last_digit(write: Write) -> None:
    values = [".048", "5.", "+1", "0.123456789", "12345678901.123456789", " 2 ", "1.50000000000", *["0"] * 41]
    parsed = read_file(write(HEADER, series(), day(values=values), "900"))
    kept = [row.as_py() for row in parsed.readings["value"]][:7]
    assert kept == [Decimal(text.strip()) for text in values[:7]]


@pytest.mark.parametrize(
    "date", ["20240230", "20230229", "00010101", "99991231", "2024020", "20241301", "abc"]
)
def test_a_day_that_does_not_exist_is_rejected_and_not_moved(write: Write, date: str) -> None:
    parsed = read_file(write(HEADER, series(), day(date), day("20240301"), "900"))
    assert rejections(parsed) == [(3, "NEM12-DATE")]
    assert parsed.readings.num_rows == 48


def test_a_leap_day_exists(write: Write) -> None:
    assert read_file(write(HEADER, series(), day("20240229"), "900")).readings.num_rows == 48


@pytest.mark.parametrize("flag", ["X", "Z14", "F1", "A-", "S141"])
def test_an_unknown_quality_rejects_the_record(write: Write, flag: str) -> None:
    parsed = read_file(write(HEADER, series(), day(tail=f"{flag},,,,"), day("20240202"), "900"))
    [(line, rule)] = rejections(parsed)
    assert line == 3
    assert rule in {"NEM12-QUALITY", "NEM12-VALUE-COUNT"}


@pytest.mark.parametrize(
    "record", ["400,49,96,A,,", "400,0,4,A,,", "400,5,4,A,,", "400,1,x,A,,", "400,1,2,V,,"]
)
def test_a_400_record_outside_its_day_rejects_the_day(write: Write, record: str) -> None:
    path = write(HEADER, series(), day(tail="V,,,,"), "400,1,48,A,,", record, day("20240202"), "900")
    parsed = read_file(path)
    assert parsed.readings.num_rows == 48
    assert rejections(parsed)[0][0] == 3
    assert "line 5" in parsed.rejected["reason"][0].as_py()


def test_records_out_of_place_are_rejected(write: Write) -> None:
    path = write(HEADER, "400,1,2,A,,", day(), series(), day(), "hello,world,1,2,3,4,5,6,7,8,9", "900")
    parsed = read_file(path)
    assert rejections(parsed) == [(2, "NEM12-RECORD"), (3, "NEM12-RECORD"), (6, "NEM12-RECORD")]
    assert parsed.readings.num_rows == 48


def test_the_version_is_the_update_time_then_the_header_then_the_end_of_the_day(write: Write) -> None:
    def version(header: str, tail: str) -> datetime.datetime | None:
        return read_file(write(header, series(), day("20240201", tail=tail), "900")).source_version

    utc = datetime.UTC
    assert version(HEADER, "A,,,20240203040506,") == datetime.datetime(2024, 2, 2, 18, 5, 6, tzinfo=utc)
    assert version(HEADER, "A,,,,") == datetime.datetime(2024, 1, 1, 2, tzinfo=utc)
    assert version("100,NEM12,20240101,A,B", "A") == datetime.datetime(2023, 12, 31, 14, tzinfo=utc)
    assert version("100,NEM12,,A,B", "A") == datetime.datetime(2024, 2, 1, 14, tzinfo=utc)


def test_an_update_time_that_does_not_exist_rejects_the_record(write: Write) -> None:
    parsed = read_file(write(HEADER, series(), day(tail="A,,,20240230000000,"), day("20240202"), "900"))
    assert rejections(parsed) == [(3, "NEM12-VERSION")]


def test_a_channel_without_days_and_500_records_are_valid(write: Write) -> None:
    event = "500,O,S01009,20240202120025,"
    parsed = read_file(write(HEADER, series(suffix="B1"), series(), day(), event, "900"))
    assert (parsed.readings.num_rows, parsed.rejected.num_rows) == (48, 0)


@pytest.mark.parametrize(
    ("lines", "line", "rule"),
    [
        ([HEADER, "900"], 1, "FILE-NO-DATA"),
        ([HEADER, series(), "900"], 1, "FILE-NO-DATA"),
        ([series(), day(), "900"], 1, "NEM12-HEADER"),
        (["", "", series(), day(), "900"], 3, "NEM12-HEADER"),
        ([HEADER, series(), day()], 3, "FILE-CUT"),
        ([HEADER, series(), day(), "300,2024"], 4, "FILE-CUT"),
        ([HEADER, series(), day(values=["1"] * 40), "900"], 3, "FILE-NOTHING-LEFT"),
        (["100,NEM13,202401011200,A,B", "250,1", "900"], 2, "FILE-NOTHING-LEFT"),
    ],
)
def test_a_file_that_must_not_be_written_is_refused_with_line_and_rule(
    write: Write, lines: list[str], line: int, rule: str
) -> None:
    path = write(*lines)
    with pytest.raises(RefusedFile) as refusal:
        read_file(path)
    assert (refusal.value.line, refusal.value.rule) == (line, rule)
    assert str(path) in str(refusal.value)
    assert refusal.value.remedy


def test_a_file_cut_anywhere_is_refused_or_reports_the_loss(write: Write) -> None:
    whole = write(HEADER, series(), day(), day("20240202"), "900").read_bytes()
    for cut in range(1, len(whole) - 5, 37):
        path = write(name=f"cut{cut}.csv")
        path.write_bytes(whole[:cut])
        with pytest.raises(RefusedFile):
            read_file(path)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_line_ends_and_encodings_do_not_matter(write: Write, end: str, encoding: str) -> None:
    parsed = read_file(write(HEADER, series(), day(), day("20240202"), "900", end=end, encoding=encoding))
    assert (total(parsed), parsed.readings["line"][-1].as_py()) == (Decimal(96), 4)


def test_mixed_line_ends_and_blank_lines_keep_the_line_numbers(write: Write) -> None:
    path = write("")
    path.write_bytes(f"{HEADER}\r\n{series()}\r\n\n{day()}\r{day('20240230')}\n900".encode())
    parsed = read_file(path)
    assert (parsed.readings["line"][0].as_py(), rejections(parsed)) == (4, [(5, "NEM12-DATE")])


@pytest.mark.parametrize("damage", [b"\xff", b"\x00", b"\xc3"])
def test_an_invalid_byte_rejects_its_record_alone(write: Write, damage: bytes) -> None:
    path = write(HEADER, series(), day("20240201"), day("20240202"), "900")
    path.write_bytes(path.read_bytes().replace(b"20240201,1,1", b"20240201,1" + damage + b",1"))
    parsed = read_file(path)
    assert rejections(parsed) == [(3, "ROW-ENCODING")]
    assert total(parsed) == 48


def test_gzip_and_zip_with_several_members_are_read_like_the_plain_file(write: Write, tmp_path: Path) -> None:
    plain = write(HEADER, series(), day(), "900")
    other = write(HEADER, series("NMI2"), day(values=["3"] * 48), "900", name="other.csv")
    packed = tmp_path / "packed.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    archive = tmp_path / "both.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        target.write(plain, "inner/plain.csv")
        target.write(other, "other.csv")
    assert read_file(packed).readings.equals(read_file(plain).readings)
    both = read_file(archive)
    assert both.readings.num_rows == 96
    assert total(both) == 48 * 4


def test_a_later_member_of_a_zip_supersedes_an_earlier_one(write: Write, tmp_path: Path) -> None:
    first, second = (
        write(HEADER, series(), day(), "900"),
        write(HEADER, series(), day(values=["2"] * 48), "900", name="b"),
    )
    archive = tmp_path / "both.zip"
    with zipfile.ZipFile(archive, "w") as target:
        target.write(first, "a.csv")
        target.write(second, "b.csv")
    assert total(read_file(archive)) == 96


def test_long_files_come_in_batches_of_bounded_size(write: Write) -> None:
    start = datetime.date(2020, 1, 1)
    dates = [(start + datetime.timedelta(days)).strftime("%Y%m%d") for days in range(400)]
    path = write(HEADER, series(minutes=5), *(day(date, ["1"] * 288) for date in dates), "900")
    sizes = [batch.readings.num_rows for _, batch in iter_batches(path)]
    assert sum(sizes) == 400 * 288
    assert max(sizes) < 70_000
    assert read_file(path).readings.num_rows == 400 * 288


def test_the_hand_written_fixture_matches_its_comment_sheet() -> None:
    parsed = read_file(FIXTURES / "nem12_two_channels.csv")
    assert (total(parsed, "E1"), total(parsed, "B1")) == (Decimal("1.2"), Decimal("0.6"))
    assert parsed.rejected.schema == REJECTED


@settings(max_examples=40, deadline=None)
@given(
    days=st.lists(
        st.tuples(
            st.dates(datetime.date(2000, 1, 1), datetime.date(2025, 12, 31)),
            st.sampled_from([5, 15, 30, 60]),
            st.sampled_from(["E1", "B1", "Q1"]),
            st.decimals(0, 99_999, places=9),
        ),
        min_size=1,
        max_size=4,
        unique_by=lambda entry: (entry[0], entry[2]),
    ),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_what_is_written_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, days: list[tuple[datetime.date, int, str, Decimal]], end: str
) -> None:
    lines, expected = [HEADER], []
    for date, minutes, suffix, seed in days:
        count = 1440 // minutes
        # Up and down: values that only rise are reads of a dial.
        values = [(seed + i * 7 % 11) / 10 for i in range(count)]
        values = [value.quantize(Decimal("1e-9")) for value in values]
        unit = "kvarh" if suffix == "Q1" else "kWh"
        lines += [
            series(suffix=suffix, unit=unit, minutes=minutes),
            day(date.strftime("%Y%m%d"), list(map(str, values))),
        ]
        midnight = datetime.datetime.combine(
            date, datetime.time(), datetime.timezone(datetime.timedelta(hours=10))
        )
        expected += [
            (suffix, midnight + datetime.timedelta(minutes=i * minutes), value)
            for i, value in enumerate(values)
        ]
    path = tmp_path_factory.mktemp("round") / "trip.csv"
    path.write_bytes(end.join([*lines, "900", ""]).encode())
    readings: pa.Table = read_file(path).readings
    read = zip(*(readings[name].to_pylist() for name in ("register", "reading_ts", "value")), strict=True)
    assert sorted(read) == sorted(expected)
