"""Exports of senders that nobody had seen: words of other languages, marks, pages, logs, cut files."""

import datetime
import io
import json
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.ingest.errors import RefusedFile
from data.ingest.formats import html_tables
from data.ingest.formats.file_mappings import MappingError, parse_mapping
from data.ingest.formats.reading import read_file
from data.ingest.inspect import inspect
from data.ingest.proposals import NOT_USABLE, propose_mapping
from tests.formats.answers import fill_units
from tests.formats.mapped_csv_text import READING, mapping, read, rows
from tests.formats.test_outsiders import DAY, add_up, draw, lay_out, load, propose
from tests.formats.workbook_text import write_xlsx

START = datetime.datetime(2024, 6, 3)


def times(count: int = 2 * DAY, minutes: int = 15) -> list[datetime.datetime]:
    return [START + datetime.timedelta(minutes=minutes * n) for n in range(count)]


def table(header: str, *lines: str) -> str:
    return "\n".join([header, *lines, ""])


# Names.


@pytest.mark.parametrize(
    "names", [("Arbeit R+", "Arbeit R-"), ("Q+ total", "Q- total"), ("Meddő +", "Meddő -")]
)
def test_reactive_energy_is_not_counted_as_active(tmp_path: Path, names: tuple[str, str]) -> None:
    bought, sent = draw("bought"), draw("sent")
    columns = {"Arbeit A+": bought, "Arbeit A-": sent, **{name: draw(name) for name in names}}
    document = load(tmp_path, propose(tmp_path, lay_out(columns)))
    assert add_up(document) == {"import": sum(bought), "export": sum(sent)}


@pytest.mark.parametrize("name", ["Mjerno mjesto", "Odběrné místo", "Tesisat No", "계기번호", "Счётчик"])
def test_a_meter_is_named_in_other_languages(tmp_path: Path, name: str) -> None:
    text = table(
        f"{name};Time;kWh", *(f"A7;{at:%Y-%m-%d %H:%M};{v}" for at, v in zip(times(), draw("v"), strict=True))
    )
    assert yaml.safe_load(propose(tmp_path, text))["columns"]["identifier"] == name


@pytest.mark.parametrize("total", ["Σύνολο", "Toplam", "Celkem", "합계", "المجموع", "Итого"])
def test_a_total_is_known_in_other_languages(tmp_path: Path, total: str) -> None:
    """A total that no sum gives is one of another unit, or of rows that are not there."""
    values = draw("total")
    text = lay_out({"kWh": values})
    assert NOT_USABLE not in propose(tmp_path, f"{text}{total};{sum(values)}\n")
    assert NOT_USABLE in propose(tmp_path, f"{text}{total};{2 * sum(values)}\n")


def test_a_printed_energy_that_is_the_sum_of_powers_is_not_believed(tmp_path: Path) -> None:
    values = draw("power")
    text = lay_out({"Load (kW)": values})
    assert NOT_USABLE not in propose(tmp_path, f"{text}Total;{sum(values)}\n")
    assert NOT_USABLE in propose(tmp_path, f"{text}Total (kWh);{sum(values)}\n")


def test_the_letters_of_new_zealand_are_directions(tmp_path: Path) -> None:
    lines = [
        f"{at:%d/%m/%Y %H:%M};{flow};{value}"
        for flow in "XI"
        for at, value in zip(times(), draw(flow), strict=True)
    ]
    document = load(tmp_path, propose(tmp_path, table("Period start;Flow;Units (kWh)", *lines)))
    assert add_up(document) == {"import": sum(draw("X")), "export": sum(draw("I"))}


def test_what_leaves_an_inverter_with_a_battery_is_no_generation(tmp_path: Path) -> None:
    columns = {
        name: draw(name) for name in ("PV yield (kWh)", "Inverter yield (kWh)", "Battery charge (kWh)")
    }
    document = load(tmp_path, propose(tmp_path, lay_out(columns)))
    assert add_up(document)["generation"] == sum(columns["PV yield (kWh)"])


def test_a_word_of_quality_without_any_value_is_null(tmp_path: Path) -> None:
    lines = [
        f"{at:%Y-%m-%d %H:%M};{'' if n % 9 == 4 else value};{'Absent' if n % 9 == 4 else 'OK'}"
        for n, (at, value) in enumerate(zip(times(), draw("q"), strict=True))
    ]
    content = yaml.safe_load(propose(tmp_path, table("Time;kWh;Status", *lines)))
    assert content["qualities"] == {"Absent": "null", "OK": "actual"}


def test_austrian_qualities_are_known(tmp_path: Path) -> None:
    lines = [
        f"{at:%Y-%m-%d %H:%M};{value};L{n % 3 + 1}"
        for n, (at, value) in enumerate(zip(times(), draw("q"), strict=True))
    ]
    content = yaml.safe_load(propose(tmp_path, table("Zeit;Verbrauch kWh;Qualität", *lines)))
    assert content["qualities"] == {"L1": "actual", "L2": "estimated", "L3": "estimated"}


def test_the_largest_number_of_a_register_is_none(tmp_path: Path) -> None:
    cells = [str(value) for value in draw("none")]
    cells[7], cells[70] = "-2147483648", "1E+99"
    text = table(
        "Time;kWh", *(f"{at:%Y-%m-%d %H:%M};{cell}" for at, cell in zip(times(), cells, strict=True))
    )
    known = sum(Decimal(cell) for n, cell in enumerate(cells) if n not in (7, 70))
    assert add_up(load(tmp_path, propose(tmp_path, text))) == {"import": known}


# Days.


@pytest.mark.parametrize("whole", ["합계", "Σύνολο", "Day sum"])
def test_a_total_before_the_cells_of_a_day_is_no_cell(tmp_path: Path, whole: str) -> None:
    values = draw("cells", 7 * 48)
    names = [f"{n // 2}:{n % 2 * 30:02}~{(n + 1) // 2}:{(n + 1) % 2 * 30:02}" for n in range(48)]
    lines = []
    for day in range(7):
        cells = values[day * 48 : day * 48 + 48]
        lines.append(",".join([f"2024-06-0{day + 1}", str(sum(cells)), *map(str, cells)]))
    proposal = propose(tmp_path, table(",".join(["Date", f"{whole} (kWh)", *names]), *lines), "Asia/Seoul")
    assert add_up(load(tmp_path, proposal)) == {"import": sum(values)}


@pytest.mark.parametrize("kinds", [("Electricity", "Natural gas"), None])
def test_gas_in_a_table_of_days_is_no_import(tmp_path: Path, kinds: tuple[str, str] | None) -> None:
    lines, totals = [], {}
    for meter, unit, kind in (("E100001", "kWh", 0), ("G100002", "m3", 1)):
        values = draw(meter, 7 * 24)
        totals["consumption" if kind else "import"] = sum(values)
        for day in range(7):
            cells = ",".join(map(str, values[day * 24 : day * 24 + 24]))
            lines.append(f"{meter},2024-06-0{day + 1},{unit}{f',{kinds[kind]}' if kinds else ''},{cells}")
    names = ",".join(f"{hour:02}:00" for hour in range(24))
    proposal = propose(tmp_path, table(f"Meter,Date,Units{',Fuel' if kinds else ''},{names}", *lines))
    assert add_up(load(tmp_path, proposal)) == totals


def test_sheets_of_days_are_meters(tmp_path: Path) -> None:
    names = [f"H{hour}" for hour in range(1, 25)]
    sheets: dict[str, list[list[Any]]] = {}
    for sheet in ("Site 4", "Site 5"):
        values = [float(value) for value in draw(sheet, 14 * 24)]
        days = [[f"2024-06-{day + 1:02}", *values[day * 24 : day * 24 + 24]] for day in range(14)]
        sheets[sheet] = [[f"Load of {sheet} (kWh)"], ["Date", *names], *days]
    path = write_xlsx(tmp_path / "export.xlsx", sheets)
    content = fill_units(yaml.safe_load(propose_mapping(path, "Europe/Sofia")))
    assert content["columns"]["identifier"] == "$name"
    content["day"]["channel"] = "import"
    document = inspect(path, mapping=parse_mapping(content, "proposal"))
    assert {one["meter"]: Decimal(one["total"]) for one in document["channels"]} == {
        sheet: sum(draw(sheet, 14 * 24)) for sheet in sheets
    }


# Times.


@pytest.mark.parametrize("mark", [" DST", " (DST)", "*"])
def test_times_of_summer_may_be_marked(tmp_path: Path, mark: str) -> None:
    """The clocks of Berlin are put forward in the night before the last day."""
    values = draw("dst", 3 * 24 - 1)
    at = [
        datetime.datetime(2024, 3, 29) + datetime.timedelta(hours=n + (n >= 50)) for n in range(len(values))
    ]
    lines = [
        f"{one:%Y-%m-%d %H:%M}{mark if n >= 50 else ''};{v}"
        for n, (one, v) in enumerate(zip(at, values, strict=True))
    ]
    document = load(tmp_path, propose(tmp_path, table("Time;kWh", *lines)))
    assert add_up(document) == {"import": sum(values)}
    assert not document["rejected"]


def jitter(count: int) -> list[datetime.datetime]:
    return [at + datetime.timedelta(seconds=n * 37 % 83 - 40) for n, at in enumerate(times(count, 5))]


def test_reads_some_seconds_off_are_those_of_their_interval(tmp_path: Path) -> None:
    dial = [Decimal(4100) + sum(draw("dial", 300)[: n + 1]) for n in range(300)]
    points = [
        {"at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "counter": float(v)}
        for at, v in zip(jitter(300), dial, strict=True)
    ]
    path = tmp_path / "export.json"
    path.write_text(json.dumps({"samples": points}))
    content = fill_units(yaml.safe_load(propose_mapping(path))) | {"identifier": "M1"}
    assert content["round_seconds"] == 60
    content["values"][0]["channel"] = "import"
    (channel,) = inspect(path, mapping=parse_mapping(content, "proposal"))["channels"]
    assert (Decimal(channel["total"]), channel["intervals"]) == (dial[-1] - dial[0], 299)


def test_times_are_rounded_as_far_as_the_mapping_says(tmp_path: Path) -> None:
    text = rows("M,2024-06-03 00:00:30,1", "M,2024-06-03 00:29:31,2", "M,2024-06-03 01:01:01,3")
    parsed = read(tmp_path, text, timestamp_format="%Y-%m-%d %H:%M:%S", round_seconds=60)
    assert [f"{at:%H:%M:%S}" for at in parsed.readings["reading_ts"].to_pylist()] == [
        *("23:00:00", "23:30:00", "00:01:01")
    ]


def test_times_are_not_rounded_to_another_interval() -> None:
    with pytest.raises(MappingError, match="less than half"):
        mapping(READING, round_seconds=900)


def test_the_date_of_a_whole_file_stands_in_its_head(tmp_path: Path) -> None:
    values = draw("head", DAY)
    above = "Daily profile,,\nMeter no,A-77,\nDay,2024-06-03,\nClock,kWh,\n"
    lines = [f"{n // 4:02}:{n % 4 * 15:02},{value}," for n, value in enumerate(values)]
    proposal = propose(tmp_path, above + "\n".join([*lines, ""]))
    document = load(tmp_path, proposal)
    assert (add_up(document), document["channels"][0]["first"]) == (
        {"import": sum(values)},
        "2024-06-02T22:00:00Z",
    )


@pytest.mark.parametrize("head", ["Day,2024-06-03,\nTo,2024-07-09,", "Printed on,2024-07-09,"])
def test_a_date_in_the_head_that_is_none_of_the_rows_is_not_taken(tmp_path: Path, head: str) -> None:
    above = f"{head}\nClock,kWh,\n"
    lines = [f"{n // 4:02}:{n % 4 * 15:02},{value}," for n, value in enumerate(draw("head", DAY))]
    with pytest.raises(MappingError, match="date"):
        propose(tmp_path, above + "\n".join([*lines, ""]))


@pytest.mark.parametrize("is_end", [True, False])
def test_the_dial_beside_the_energy_tells_its_time_and_its_factor(tmp_path: Path, is_end: bool) -> None:
    steps = draw("steps", 60)
    reads = [Decimal(1700) + sum(steps[: n + 1]) for n in range(60)]
    energy = [20 * (reads[n] - reads[n - 1]) if is_end else 20 * steps[(n + 1) % 60] for n in range(60)]
    cells = ["-" if n == (0 if is_end else 59) else str(value) for n, value in enumerate(energy)]
    lines = [f"{at:%Y-%m-%d %H:%M};{r};{c}" for at, r, c in zip(times(60, 60), reads, cells, strict=True)]
    proposal = propose(tmp_path, "Multiplier;20;\n" + table("Time;Register reading;Energy (kWh)", *lines))
    content = yaml.safe_load(proposal)
    assert content["label"] == ("end" if is_end else "start") and "factor" not in content["values"][0]
    assert add_up(load(tmp_path, proposal)) == {"import": 20 * (reads[-1] - reads[0])}


# Cut files.


@pytest.mark.parametrize(("lines", "is_cut"), [(192, True), (96, False)])
def test_a_file_that_states_more_rows_than_it_has_was_cut(tmp_path: Path, lines: int, is_cut: bool) -> None:
    text = f"Rows;{lines}\n" + lay_out({"kWh": draw("cut", DAY)})
    assert (NOT_USABLE in propose(tmp_path, text)) == is_cut


def test_a_file_that_ends_within_a_number_was_cut(tmp_path: Path) -> None:
    text = lay_out({"kWh": [Decimal(n % 9 + 1) / 1000 for n in range(DAY)]}).strip()
    assert NOT_USABLE not in propose(tmp_path, text)
    assert "it was cut" in propose(tmp_path, text[:-1])


# Archives.


def test_members_whose_headers_differ_by_a_letter_are_read_together(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as members:
        for phase in "RST":
            members.writestr(f"log_{phase}.csv", lay_out({f"Consumed {phase} (kWh)": draw(phase)}))
    path = tmp_path / "logs.zip"
    path.write_bytes(packed.getvalue())
    content = yaml.safe_load(propose_mapping(path, "Europe/Madrid"))
    assert content["values"][0]["column"] == "Consumed * (kWh)"
    document = inspect(path, mapping=parse_mapping(content, "proposal"))
    assert {one["meter"]: Decimal(one["total"]) for one in document["channels"]} == {
        f"log_{phase}": sum(draw(phase)) for phase in "RST"
    }


def test_a_pattern_that_fits_two_columns_is_refused(tmp_path: Path) -> None:
    text = rows("M,2024-06-03 00:00,1,2", header="meter,time,kWh a,kWh b")
    with pytest.raises(RefusedFile, match=r"MAP-COLUMNS.*stands twice"):
        read(tmp_path, text, values=[{"column": "kWh *", "channel": "import", "unit": "kWh"}])


# Pages.

SHEET_OF_2003 = (
    "<?xml version='1.0'?><Workbook xmlns:ss='urn:schemas-microsoft-com:office:spreadsheet'><Table><Row>"
)
PAGE = """<!DOCTYPE html><html><head><style>td {{ color: red }}</style><script>var a = "<td>7</td>";</script>
</head><body><table><tr><td><table>
<tr><th rowspan=2>Time<th colspan=2>Energy &amp; state
<tr><th>kWh<th>State
{rows}
</table></td></tr></table></body></html>"""


def write_page(folder: Path, content: str, encoding: str = "utf-8") -> Path:
    path = folder / "report.xls"
    path.write_text(content, encoding=encoding)
    return path


def test_the_table_of_a_page_is_read(tmp_path: Path) -> None:
    values = draw("page")
    cells = "\n".join(
        f"<tr><td>{at:%d.%m.%Y&nbsp;%H:%M}</td><td align='right'>\n{str(v).replace('.', ',')}</td><td>OK"
        for at, v in zip(times(), values, strict=True)
    )
    path = write_page(tmp_path, PAGE.format(rows=cells))
    content = fill_units(yaml.safe_load(propose_mapping(path, "Europe/Istanbul"))) | {"identifier": "M1"}
    document = inspect(path, mapping=parse_mapping(content, "proposal"))
    assert sum(Decimal(one["total"]) for one in document["channels"]) == sum(values)


def test_a_workbook_in_xml_is_read(tmp_path: Path) -> None:
    values = draw("sheet", DAY)
    lines = "".join(
        f'<Row><Cell><Data ss:Type="DateTime">{at:%Y-%m-%dT%H:%M:%S}.000</Data></Cell>'
        f'<Cell ss:Index="3"><Data ss:Type="Number">{value}</Data></Cell></Row>'
        for at, value in zip(times(DAY), values, strict=True)
    )
    header = "".join(f"<Cell><Data>{name}</Data></Cell>" for name in ("Time", "Note", "kWh"))
    path = write_page(
        tmp_path,
        '<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet" '
        'xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet"><Worksheet ss:Name="a"><Table>'
        f"<Row>{header}</Row>{lines}</Table></Worksheet></Workbook>",
    )
    content = yaml.safe_load(propose_mapping(path, "Europe/Istanbul")) | {"identifier": "M1"}
    (channel,) = inspect(path, mapping=parse_mapping(content, "proposal"))["channels"]
    assert (Decimal(channel["total"]), channel["intervals"]) == (sum(values), DAY)


def test_cells_over_rows_stand_in_each(tmp_path: Path) -> None:
    page = b"<table><tr><td rowspan=3>A</td><td>1<tr><td>2<tr><td colspan=2>3</td><td>4</table>"
    text = b"".join(html_tables.iter_tables([page], ","))
    assert text.decode().split("\n")[:3] == ["A,1", "A,2", "A,3,,4"]


@pytest.mark.parametrize(
    "content", ["<html><form><input name=user></form></html>", "<!doctype html><p>Log in</p>"]
)
def test_a_page_without_a_table_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(RefusedFile, match="HTML page"):
        read_file(write_page(tmp_path, content))


@pytest.mark.parametrize(
    "content",
    [
        "<table><tr><td>" + "x" * 3_000_000,
        "<table><tr><td " + "y" * 3_000_000,
        "<table><tr><td >1" + "<table>" * 1_000_000,
        "<table><tr><td >1" + "<tr><td colspan=10000>" * 100_000,
        "<table><tr><td >1" + "<tr><td rowspan=9999>" * 100_000,
        SHEET_OF_2003 + "<Row><Cell ss:Index='9999'>" * 100_000,
    ],
)
def test_a_page_is_read_in_bounded_memory(tmp_path: Path, content: str) -> None:
    with pytest.raises(RefusedFile, match=r"longer than|stand in each other|reach into"):
        read(tmp_path, content)


# Dials, registers and clocks.


def test_a_new_meter_that_does_not_begin_at_zero_has_no_energy_there(tmp_path: Path) -> None:
    steps = draw("exchanged", 60)
    reads = [Decimal("7400.5") + sum(steps[: n + 1]) for n in range(60)]
    reads = [value if n < 30 else value - reads[29] + Decimal("41.7") for n, value in enumerate(reads)]
    lines = [f"{at:%Y-%m-%d %H:%M};{value}" for at, value in zip(times(60, 60), reads, strict=True)]
    document = load(tmp_path, propose(tmp_path, table("Time;Meter reading kWh", *lines)))
    assert add_up(document) == {"import": reads[29] - reads[0] + reads[59] - reads[30]}
    assert "went down" in document["rejected"][0]["reason"]


def test_a_unit_at_the_end_of_a_joined_name_is_read(tmp_path: Path) -> None:
    samples = [
        {"at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "energyImportedWh": int(v * 1000)}
        for at, v in zip(times(), draw("camel"), strict=True)
    ]
    path = tmp_path / "export.json"
    path.write_text(json.dumps(samples))
    assert yaml.safe_load(propose_mapping(path))["values"][0]["unit"] == "Wh"


def test_a_date_stands_once_before_the_numbers_of_its_hours(tmp_path: Path) -> None:
    values = draw("once", 72)
    lines = [
        f"{START + datetime.timedelta(days=n // 24):%d.%m.%Y};{n % 24 + 1};{v}"
        if n % 24 == 0
        else f";{n % 24 + 1};{v}"
        for n, v in enumerate(values)
    ]
    document = load(tmp_path, propose(tmp_path, table("Datum;Ura;Poraba kWh", *lines)))
    assert (add_up(document), document["channels"][0]["intervals"]) == ({"import": sum(values)}, 72)


def test_the_suffixes_of_an_australian_meter_are_directions(tmp_path: Path) -> None:
    lines = [
        f"{at:%d/%m/%Y %H:%M},{suffix},{value}"
        for suffix in ("E1", "E2", "B1")
        for at, value in zip(times(), draw(suffix), strict=True)
    ]
    document = load(tmp_path, propose(tmp_path, table("Interval,Suffix,kWh", *lines), "Australia/Brisbane"))
    assert add_up(document) == {"import": sum(draw("E1")) + sum(draw("E2")), "export": sum(draw("B1"))}


@pytest.mark.parametrize("form", ["%H.%M", "%H:%M"])
def test_a_point_between_hours_and_minutes_is_no_decimal(tmp_path: Path, form: str) -> None:
    lines = [f"{at:%d/%m/%Y};{at.strftime(form)};{v}" for at, v in zip(times(), draw("point"), strict=True)]
    content = yaml.safe_load(propose(tmp_path, table("Data;Ora;Consumo kWh", *lines), "Europe/Rome"))
    assert (content["time_format"], content["interval_minutes"]) == (form, 15)


def test_the_strings_of_an_inverter_are_no_generation_beside_it(tmp_path: Path) -> None:
    columns = {name: draw(name) for name in ("String 1 (kWh)", "String 2 (kWh)", "Inverter (kWh)")}
    document = load(tmp_path, propose(tmp_path, lay_out(columns)))
    assert add_up(document)["generation"] == sum(columns["Inverter (kWh)"])
