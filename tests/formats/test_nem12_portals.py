"""NEM12 of customer portals: missing first and last records, wrong headers, values without a quality."""

import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats.file_mappings import parse_mapping, read_mapping
from data.ingest.formats.reading import read_file
from data.ingest.formats.suggest.proposal import suggest_mapping
from tests.formats.test_nem12 import HEADER, day, series, total

INCOMPLETE = parse_mapping({"format": "nem12", "incomplete": "read"}, "portal.yaml")


def write(folder: Path, *lines: str) -> Path:
    path = folder / "portal.csv"
    path.write_text("\n".join([*lines, ""]))
    return path


@pytest.mark.parametrize(
    ("minutes", "covered"),
    [(30, [(1, 20)]), (15, [(1, 48)]), (5, [(1, 1), (288, 288)]), (30, []), (30, [(2, 48)])],
)
def test_each_value_of_a_v_day_that_no_400_record_covers_is_rejected(
    tmp_path: Path, minutes: int, covered: list[tuple[int, int]]
) -> None:
    values = [f"0.{number:03}" for number in range(1, 1440 // minutes + 1)]
    ranges = [f"400,{first},{last},A,," for first, last in covered]
    other = (series("N2", minutes=60), day(values=["1"] * 24))
    text = (HEADER, series(minutes=minutes), day(values=values, tail="V,,,,"), *ranges, *other, "900")
    parsed = read_file(write(tmp_path, *text))
    billed = [value for n, value in enumerate(values, 1) if any(low <= n <= high for low, high in covered)]
    lost = [Decimal(value) for value in values if value not in billed]
    kept_out = parsed.rejected.to_pylist()
    assert total(parsed) == sum(map(Decimal, billed)) + 24
    assert [row["value"] for row in kept_out] == lost
    assert {(row["line"], row["rule"], row["unit"]) for row in kept_out} == {(3, "NEM12-UNCOVERED", "kWh")}
    assert len({row["reading_ts"] for row in kept_out}) == len(lost)


def test_an_empty_interval_of_a_v_day_is_null(tmp_path: Path) -> None:
    parsed = read_file(
        write(tmp_path, HEADER, series(), day(values=["1"] * 47 + [""], tail="V,,,,"), "400,1,47,A,,", "900")
    )
    assert (total(parsed), parsed.readings.num_rows, parsed.rejected.num_rows) == (Decimal(47), 48, 0)


def test_a_value_under_the_flag_n_is_rejected_unless_it_is_zero(tmp_path: Path) -> None:
    values = ["0", "", "0.000", "2.5", *["0"] * 44]
    parsed = read_file(
        write(tmp_path, HEADER, series(), day(values=values, tail="N,,,,"), day("20240202"), "900")
    )
    assert total(parsed) == 48
    (row,) = parsed.rejected.to_pylist()
    assert (row["line"], row["rule"], row["value"]) == (3, "ROW-QUALITY", Decimal("2.5"))


@pytest.mark.parametrize(("count", "minutes"), [(288, 15), (96, 30), (48, 15), (288, 30), (49, 30)])
def test_a_record_of_another_interval_length_is_rejected_with_its_energy(
    tmp_path: Path, count: int, minutes: int
) -> None:
    text = (HEADER, series(minutes=minutes), day(values=["0.125"] * count), "900")
    with pytest.raises(RefusedFile, match=f"{count} values, {1440 // minutes} expected") as refusal:
        read_file(write(tmp_path, *text))
    (row,) = refusal.value.rejected.to_pylist()
    assert (row["line"], row["rule"]) == (3, "NEM12-VALUE-COUNT")
    assert (row["value"], row["unit"]) == (Decimal("0.125") * count, "kWh")


@pytest.mark.parametrize(
    ("head", "foot", "gaps"),
    [
        ((), (), [1, 2]),
        ((HEADER,), (), [3]),
        ((), ("900",), [1]),
        (("Meter data export", ""), (), [1, 4]),
    ],
)
def test_a_file_without_its_first_or_last_record_is_read_if_a_person_says_so(
    tmp_path: Path, head: tuple[str, ...], foot: tuple[str, ...], gaps: list[int]
) -> None:
    path = write(tmp_path, *head, series(), day(tail="A,,,20240203000000,"), *foot)
    if not head or head == (HEADER,):
        with pytest.raises(RefusedFile, match="incomplete: read") as refusal:
            read_file(path)
        assert refusal.value.rule == ("FILE-CUT" if head else "NEM12-HEADER")
    parsed = read_file(path, mapping=INCOMPLETE)
    assert total(parsed) == 48
    told = [row for row in parsed.rejected.to_pylist() if row["rule"] == "NEM-INCOMPLETE"]
    assert [row["line"] for row in told] == gaps
    assert {row["severity"] for row in told} == {"issue"}


def test_the_proposal_for_a_file_without_its_first_record_is_to_read_it(tmp_path: Path) -> None:
    path = write(tmp_path, series(), day())
    assert read_mapping(suggest_mapping(path).encode(), "proposal.yaml") == INCOMPLETE


def test_a_cut_record_of_an_incomplete_file_is_not_read(tmp_path: Path) -> None:
    path = write(tmp_path, series(), day("20240201"), day("20240202"))
    whole = path.read_bytes()
    start = whole.index(b"300,20240202")
    for cut in range(start + 3, len(whole) - 6):
        path.write_bytes(whole[:cut])
        parsed = read_file(path, mapping=INCOMPLETE)
        assert total(parsed) == 48
        assert {row["rule"] for row in parsed.rejected.to_pylist()} > {"NEM-INCOMPLETE"}


@pytest.mark.parametrize("date", ["202402000000", "20240100", "209913011200", "2024-02-01", "soon"])
def test_a_header_time_that_does_not_exist_is_reported_and_dates_nothing(tmp_path: Path, date: str) -> None:
    parsed = read_file(write(tmp_path, f"100,NEM12,{date},A,B", series(), day(), "900"))
    (row,) = parsed.rejected.to_pylist()
    assert (row["line"], row["rule"], row["severity"]) == (1, "NEM-HEADER-TIME", "issue")
    assert total(parsed) == 48
    end_of_day = datetime.datetime(2024, 2, 1, 14, tzinfo=datetime.UTC)
    assert set(parsed.readings["source_version"].to_pylist()) == {end_of_day}
