"""The shipped mappings: each reads the layout of its sender exactly, and is found by the file alone."""

import dataclasses
import random
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from typer.testing import CliRunner

from commands.main import app
from data.ingest.errors import RefusedFile
from data.ingest.formats.file_mappings import (
    MappingError,
    load_mapping,
    parse_mapping,
    read_mapping,
    write_canonical_text,
)
from data.ingest.formats.fitting import find_fitting
from data.ingest.formats.reading import read_file
from data.ingest.formats.shipped import load_shipped
from data.ingest.inspect import inspect
from tests.formats.sender_layout import sum_channels
from tests.formats.sender_layouts import LAYOUTS


def test_each_shipped_mapping_has_a_layout() -> None:
    assert set(LAYOUTS) == set(load_shipped())
    assert len(LAYOUTS) >= 30


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_file_of_a_sender_is_found_and_read_right(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    path = layout.write(tmp_path)
    found = inspect(path)
    assert found.get("reads_as", {}).get("name") == name, found
    assert found.get("undeclared", []) == sorted(
        layout.words, key=["identifier", "timezone", "channel"].index
    )

    document = inspect(path, mapping=load_mapping(name, layout.words))
    assert (document["status"], document["rejected"]) == ("ok", [])
    assert sum_channels(document) == layout.totals
    assert min(channel["first"] for channel in document["channels"]) == layout.first


def test_the_documents_name_each_shipped_mapping() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    assert [name for name in load_shipped() if f"`{name}`" not in text] == []


def test_a_file_is_never_read_by_a_shipped_mapping_that_nobody_named(tmp_path: Path) -> None:
    with pytest.raises(RefusedFile) as refusal:
        read_file(LAYOUTS["fluvius_nl"].write(tmp_path))
    assert refusal.value.rule == "FILE-FORMAT"


def test_of_two_mappings_that_fit_none_is_chosen(tmp_path: Path) -> None:
    # 4 and 5 March, or 3 April and 3 May: the values of the first days do not tell.
    layout = dataclasses.replace(LAYOUTS["enphase_dmy_60"], count=24)
    path = layout.write(tmp_path)
    path.write_text(path.read_text().replace("15/03/2024", "05/03/2024"))
    found = inspect(path)
    assert (found["status"], found["fits"]) == ("refused", ["enphase_dmy_60", "enphase_mdy_60"])
    assert "reads_as" not in found


@pytest.mark.parametrize("name", ["netz_noe", "uk_row_a_day", "esb_networks_kwh", "netz_ooe"])
def test_a_file_with_another_column_is_not_taken_for_the_layout(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    mark = "|" if layout.is_workbook else ";" if ";" in layout.header else ","
    other = dataclasses.replace(
        layout, header=f"{layout.header.rstrip(mark)}{mark}Other", row=f"{layout.row}{mark}1"
    )
    assert find_fitting(other.write(tmp_path)) == []


def test_intervals_of_another_length_are_not_taken_for_the_layout(tmp_path: Path) -> None:
    assert find_fitting(dataclasses.replace(LAYOUTS["netz_noe"], minutes=60).write(tmp_path)) == []
    assert find_fitting(dataclasses.replace(LAYOUTS["engie_nl"], minutes=15).write(tmp_path)) == []


def test_damaged_files_fit_nothing(tmp_path: Path) -> None:
    for content in (b"", b"\0\0\0", b"PK\x03\x04broken", b"Messzeitpunkt;Verbrauch (kWh)"):
        path = tmp_path / "export.csv"
        path.write_bytes(content)
        assert find_fitting(path) == []


def test_a_damaged_file_is_never_taken_for_another_sender(tmp_path: Path) -> None:
    chance = random.Random(1)
    layouts = {name: layout for name, layout in LAYOUTS.items() if not layout.is_workbook}
    marks = [b"\0", b";", b",", b'"', b"\n", b"9" * 40, b"-", b"\xff\xfe", b"*", b"\t", b"="]
    for name in chance.sample(sorted(layouts), 30):
        path = layouts[name].write(tmp_path)
        content = bytearray(path.read_bytes())
        for _ in range(chance.randint(1, 5)):
            at = chance.randrange(len(content) - 200)
            if chance.random() < 0.5:
                content[at:at] = chance.choice(marks)
            else:
                del content[at : at + chance.randrange(1, 40)]
        path.write_bytes(content)
        assert inspect(path).get("reads_as", {"name": name})["name"] == name


def test_a_mapping_of_a_person_may_build_on_a_shipped_one() -> None:
    own = read_mapping(b"use: netz_noe\nidentifier: M1\nfiles: ['noe-*.csv']\n", "own.yaml")
    assert own.claims(PurePosixPath("noe-1.csv"))
    # What makes two loads the same is how a file is read, however it is declared.
    assert write_canonical_text(own) == write_canonical_text(load_mapping("netz_noe", {"identifier": "M1"}))
    hourly = parse_mapping({"use": "netz_noe", "identifier": "M1", "interval_minutes": 60}, "own")
    assert getattr(hourly, "interval_minutes", None) == 60


@pytest.mark.parametrize(
    ("content", "words", "message"),
    [
        ({"use": "netz_noe"}, {}, "leaves open identifier.*--identifier VALUE"),
        ({"use": "netz_no"}, {}, "no shipped mapping 'netz_no', perhaps 'netz_noe'"),
        ({"use": "netz_noe", "identifier": "M1"}, {"identifier": "M2"}, "states identifier itself"),
        ({"use": "netz_noe", "identifier": "M1"}, {"channel": "export"}, "channel at the top has no meaning"),
        ({"use": ["netz_noe"]}, {}, "no shipped mapping"),
    ],
)
def test_what_is_left_open_must_be_stated(
    content: dict[str, Any], words: dict[str, str], message: str
) -> None:
    with pytest.raises(MappingError, match=message):
        parse_mapping(content, "own.yaml", words)


def test_inspect_names_the_layout_and_what_is_still_to_be_said(tmp_path: Path) -> None:
    path = LAYOUTS["linz_netz_2023"].write(tmp_path)
    found = CliRunner().invoke(app, ["inspect", str(path)])
    assert found.exit_code == 0
    assert "reads as: linz_netz_2023 (LINZ NETZ, AT)" in found.output
    assert "identifier, channel" in found.output

    stated = ["--identifier", "M1", "--channel", "export"]
    named = CliRunner().invoke(app, ["inspect", str(path), "--mapping", "linz_netz_2023", *stated])
    assert (named.exit_code, "reads as" in named.output) == (0, False)
    proposed = CliRunner().invoke(app, ["inspect", str(path), "--suggest-mapping"])
    assert proposed.output.startswith("# A shipped mapping fits: linz_netz_2023 (LINZ NETZ, AT)\n")


def test_a_word_without_a_mapping_is_refused(tmp_path: Path) -> None:
    path = LAYOUTS["netz_noe"].write(tmp_path)
    assert CliRunner().invoke(app, ["inspect", str(path), "--identifier", "M1"]).exit_code == 2
