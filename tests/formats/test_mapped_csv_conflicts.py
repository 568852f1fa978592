"""Rows of a mapped CSV for one interval: the better quality counts, and a mixture of things is refused."""

import zipfile
from pathlib import Path

import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats.reading import read_file
from tests.formats.mapped_csv_text import READING, mapping, read, rejections, rows, values


def hourly(count: int, cells: str, header: str = "meter,time,kWh") -> list[str]:
    return [header, *(f"M,2024-01-{1 + n // 24:02} {n % 24:02}:00,{cells.format(n=n)}" for n in range(count))]


@pytest.mark.parametrize(
    ("later", "kept"),
    [
        (["M,2024-01-01 03:00,", "M,2024-01-01 04:00,"], 276),
        (["M,2024-01-01 03:00,-", "M,2024-01-01 04:00,n/a"], 276),
    ],
)
def test_a_row_without_a_value_replaces_no_value(tmp_path: Path, later: list[str], kept: int) -> None:
    text = "\n".join([*hourly(24, "{n}"), *later, ""])
    parsed = read(tmp_path, text, interval_minutes=60, no_value=["-", "n/a"])
    assert sum(values(parsed)) == kept
    assert [rule for _, rule in rejections(parsed)] == ["VEE-SUPERSEDED"] * 2


def test_an_estimate_replaces_no_actual_value_of_the_same_file(tmp_path: Path) -> None:
    for first, second in (("A", "E"), ("E", "A")):
        text = rows(
            *(
                f"M,2024-01-01 {n:02}:00,{7 if flag == 'A' else 1},{flag}"
                for flag in (first, second)
                for n in range(20)
            ),
            header="meter,time,kWh,flag",
        )
        parsed = read(
            tmp_path,
            text,
            interval_minutes=60,
            columns=READING["columns"] | {"quality": "flag"},
            qualities={"A": "actual", "E": "estimated"},
        )
        assert sum(values(parsed)) == 140
        assert {rule for _, rule in rejections(parsed)} == {"VEE-SUPERSEDED"}


def test_a_mapping_that_takes_two_registers_for_one_is_refused(tmp_path: Path) -> None:
    both = rows(
        *(f"M,2024-01-01 {n:02}:00,{n + way},{way}" for n in range(24) for way in (1, 2)),
        header="meter,time,kWh,way",
    )
    one_after_the_other = "\n".join([*hourly(24, "{n}"), *hourly(24, "1{n}")[1:], ""])
    quarters = rows(*(f"M,2024-01-01 {n // 4:02}:{n % 4 * 15:02},{n}" for n in range(96)))
    for text in (both, one_after_the_other, quarters):
        with pytest.raises(RefusedFile) as refusal:
            read(tmp_path, text, interval_minutes=60)
        assert refusal.value.rule == "MAP-CONFLICT"
        assert refusal.value.line in (2, 3)
        assert refusal.value.format == "mapped_csv"


def test_members_of_an_archive_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "both.zip"
    with zipfile.ZipFile(path, "w") as members:
        members.writestr("import.csv", "\n".join([*hourly(24, "{n}"), ""]))
        members.writestr("export.csv", "\n".join([*hourly(24, "1{n}"), ""]))
    with pytest.raises(RefusedFile, match="MAP-CONFLICT"):
        read_file(path, mapping=mapping(READING, interval_minutes=60))
    with zipfile.ZipFile(path, "w") as members:
        for first, name in ((1, "a.csv"), (1, "b.csv")):
            members.writestr(name, "\n".join([*hourly(24, "{n}"), ""])[: 400 * first])
    assert read_file(path, mapping=mapping(READING, interval_minutes=60)).readings.num_rows > 10
