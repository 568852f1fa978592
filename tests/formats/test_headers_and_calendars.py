"""Lines above columns, digits and years of other calendars, balances, days of a month, times of documents."""

import datetime
import json
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from data.ingest.formats.file_mappings import MappingError
from data.ingest.proposals import NOT_USABLE, propose_mapping
from tests.formats.mapped_csv_text import READING, mapping, read, rejections, rows, starts
from tests.formats.test_outsiders import DAY, Values, add_up, channels, draw, lay_out, load, propose

START = datetime.datetime(2024, 6, 3)
ARABIC = str.maketrans("0123456789.", "٠١٢٣٤٥٦٧٨٩٫")
WIDE = str.maketrans("0123456789.:", "０１２３４５６７８９．：")


def times(count: int = 2 * DAY, minutes: int = 15) -> list[datetime.datetime]:
    return [START + datetime.timedelta(minutes=minutes * n) for n in range(count)]


def table(*lines: str) -> str:
    return "\n".join([*lines, ""])


def add_reads(values: Values, first: int) -> Values:
    reads = [Decimal(first)]
    for value in values:
        reads.append(reads[-1] + value)
    return reads


# Meters.


def test_numbers_that_rise_with_the_time_name_no_meter(tmp_path: Path) -> None:
    """A dial that stands still at night has few numbers, each in many rows, as meters have."""
    sent = [Decimal(int(n % DAY > 40) * 40) for n in range(3 * DAY)]
    reads = add_reads([Decimal(7 + n % 5) for n in range(3 * DAY)], 48_123_525)[:-1]
    lines = [
        f"{at:%Y-%m-%d %H:%M};{own};{other}"
        for at, own, other in zip(times(3 * DAY), reads, add_reads(sent, 20_456_789), strict=False)
    ]
    proposal = propose(tmp_path, table("Clock;Energy +A total [Wh];Energy -A total [Wh]", *lines))
    document = load(tmp_path, proposal)
    assert add_up(document) == {
        "import": (reads[-1] - reads[0]) / 1000,
        "export": sum(sent[:-1], Decimal(0)) / 1000,
    }


def test_meters_one_below_the_other_stay_meters(tmp_path: Path) -> None:
    lines = [
        f"{meter};{at:%Y-%m-%d %H:%M};{value}"
        for meter in (100001, 100002, 100003, 100004)
        for at, value in zip(times(), draw(str(meter)), strict=True)
    ]
    document = load(tmp_path, propose(tmp_path, table("Number;Time;kWh", *lines)))
    assert {channel["meter"] for channel in document["channels"]} == {
        *("100001", "100002", "100003", "100004")
    }


@pytest.mark.parametrize(
    ("above", "name"),
    [
        ("Serial;ZB1234567\n", "ZB1234567"),
        ("Meter no : 60123456   Site: Mall   CT ratio applied: yes\n", "60123456"),
        ("# EAN 871600000000123456\n", "871600000000123456"),
        ("Load curve of May, POD IT001E12345678\n", "IT001E12345678"),
        ("電號;01-22\n電表編號;TW765432\n", "TW765432"),
        ("หมายเลขผู้ใช้ไฟ;020099\nมิเตอร์;88123456\n", "88123456"),
    ],
)
def test_a_meter_stands_behind_a_label_above_the_table(tmp_path: Path, above: str, name: str) -> None:
    proposal = propose(tmp_path, lay_out({"Import kWh": draw("a")}, above=above))
    assert yaml.safe_load(proposal)["identifier"] == name


def test_gas_and_electricity_have_the_meters_that_lines_above_name(tmp_path: Path) -> None:
    above = "# EAN elektriciteit 871600000000123456\n# EAN gas 871600000000654321\n"
    columns = {"Levering (kWh)": draw("a"), "Teruglevering (kWh)": draw("b"), "Gas (m3)": draw("c")}
    document = load(tmp_path, propose(tmp_path, lay_out(columns, above=above)))
    assert [(one["meter"][-6:], one["channel"]) for one in document["channels"]] == [
        ("123456", "import"),
        ("123456", "export"),
        ("654321", "consumption"),
    ]


def test_lines_above_the_names_tell_the_meter_of_each_column(tmp_path: Path) -> None:
    """The sums above the rows are no reading, and the times of the export no names."""
    used, own, made = draw("used"), draw("own"), draw("made")
    names = ["Gesamtverbrauch (bei Teilnahme gem. Erzeugung) [KWH]", "Eigendeckung [KWH]", "Erzeugung [KWH]"]
    points = ["AT00100000000000000000000000000A1"] * 2 + ["AT00100000000000000000000000000A2"]
    text = table(
        ";".join(["Point", *points]),
        "Owner;Anna;Anna;Bruno",
        ";".join(["From", *["03.06.2024 00:00"] * 3]),
        ";".join(["Code", *names]),
        ";".join(["Spaltensumme", *(str(sum(values)) for values in (used, own, made))]),
        *(
            ";".join([f"{at:%d.%m.%Y %H:%M}", *map(str, cells)])
            for at, *cells in zip(times(), used, own, made, strict=True)
        ),
    )
    document = load(tmp_path, propose(tmp_path, text, "Europe/Vienna"))
    found = {
        (one["meter"], one["register"]): (one["channel"], Decimal(one["total"]))
        for one in document["channels"]
    }
    assert found == {
        (points[0], names[0]): ("import", sum(used)),
        (points[0], names[1]): ("other", sum(own)),
        (points[2], names[2]): ("generation", sum(made)),
    }


def test_the_sum_of_many_meters_is_left_out(tmp_path: Path) -> None:
    flats = {f"WE {n:02}": draw(f"flat {n}") for n in range(1, 15)}
    total = [sum(values, Decimal(0)) for values in zip(*flats.values(), strict=True)]
    numbers = ";".join(["Zählernummer", *(f"1EMH00401{n:05}" for n in range(14)), ""])
    unit_line = ";" + ";".join(["kWh"] * 15)
    text = lay_out({**flats, "Summe": total}, above=f"{numbers}\n")
    header, _, rest = text.partition("\nTime;")
    text = f"{header}\nTime;{rest.replace(chr(10), f'{chr(10)}{unit_line}{chr(10)}', 1)}"
    document = load(tmp_path, propose(tmp_path, text))
    assert add_up(document) == {"import": sum(total)}
    assert len({channel["meter"] for channel in document["channels"]}) == 14


def test_pairs_of_label_and_name_are_no_groups_of_columns(tmp_path: Path) -> None:
    columns = {f"Rate {letter} (kWh)": draw(letter) for letter in "ABC"}
    text = lay_out(columns, above="Customer;020012345678;Meter no;9912345678\n")
    assert yaml.safe_load(propose(tmp_path, text))["identifier"] == "9912345678"


def test_tariffs_that_take_turns_are_not_taken_for_the_sun(tmp_path: Path) -> None:
    values = draw("tariffs")
    rates = {
        "Rate A kWh": [v if 9 * 4 <= n % DAY < 16 * 4 else Decimal(0) for n, v in enumerate(values)],
        "Rate B kWh": [Decimal(0) if 9 * 4 <= n % DAY < 16 * 4 else v for n, v in enumerate(values)],
    }
    assert add_up(load(tmp_path, propose(tmp_path, lay_out(rates)))) == {"import": sum(values)}


# Rows and headers.


@pytest.mark.parametrize("mark", [";", ";;"])
def test_marks_behind_the_last_field_do_not_hide_the_names(tmp_path: Path, mark: str) -> None:
    bought, sent = draw("bought"), draw("sent")
    header, *lines = lay_out({"Bezug kWh": bought, "Einspeisung kWh": sent}).rstrip("\n").split("\n")
    text = table(header, *(f"{line}{mark}" for line in lines))
    assert channels(propose(tmp_path, text)) == {"Bezug kWh": "import", "Einspeisung kWh": "export"}


def test_energy_of_a_capture_period_numbers_no_interval(tmp_path: Path) -> None:
    energy = draw("delta", places=0)
    reads = add_reads(energy, 9_000_000)[1:]
    text = lay_out({"Energy +A total": reads, "Energy delta over capture period 1 +A": energy}, above="Wh\n")
    assert add_up(load(tmp_path, propose(tmp_path, text))) == {"import": sum(energy) / 1000}


def test_a_balance_of_tariffs_is_left_out(tmp_path: Path) -> None:
    """As reads of dials and as energy of days, whichever sign the energy has that is sent."""
    low, high, sent = (
        [Decimal(n) for n in numbers]
        for numbers in zip(*((n % 5, n % 7, n % 11) for n in range(40)), strict=True)
    )
    dials = [add_reads(values, first)[:-1] for values, first in ((low, 1400), (high, 1500), (sent, 900))]
    lines = [
        ";".join(
            [
                f"{START + datetime.timedelta(days=n):%d-%m-%Y}",
                *(str(dial[n]) for dial in dials),
                str(dials[0][n] + dials[1][n] - dials[2][n]),
                *(str(value) for value in (low[n], high[n], -sent[n], low[n] + high[n] - sent[n])),
            ]
        )
        for n in range(40)
    ]
    kinds = ("stand laag", "stand hoog", "invoeding stand", "afname minus invoeding stand")
    names = (*kinds, "verbruik laag", "verbruik hoog", "invoeding", "afname minus invoeding totaal")
    proposal = propose(tmp_path, table(";".join(["datum", *names]), *lines), "Europe/Amsterdam")
    assert add_up(load(tmp_path, proposal)) == {"import": sum(low) + sum(high), "export": sum(sent)}


def test_a_scale_in_a_column_is_no_transformer(tmp_path: Path) -> None:
    reads = add_reads([Decimal(n % 90 + 1) for n in range(2 * DAY)], 35_000_000)[:-1]
    text = lay_out({"value": reads, "factor": [Decimal("0.001")] * len(reads)})
    content = yaml.safe_load(propose(tmp_path, text))
    assert content["values"][0]["factor"] == 0.001


def test_whole_numbers_of_many_kilowatts_are_asked_for(tmp_path: Path) -> None:
    """A home in W, or a works in kW."""
    power = [Decimal(80 + 17 * n % 3000) for n in range(2 * DAY)]
    assert (
        yaml.safe_load(propose(tmp_path, lay_out({"Power drawn (kW)": power})))["values"][0]["unit"] is None
    )
    small = [value / 100 for value in power]
    assert (
        yaml.safe_load(propose(tmp_path, lay_out({"Power drawn (kW)": small})))["values"][0]["unit"] == "kW"
    )


# Digits, years and marks.


@pytest.mark.parametrize(
    ("zone", "form", "write"),
    [
        ("Asia/Taipei", "%N/%m/%d", lambda at: f"{at.year - 1911}/{at:%m/%d}"),
        ("Asia/Bangkok", "%d/%m/%T", lambda at: f"{at:%d/%m}/{at.year + 543}"),
    ],
)
def test_years_of_other_calendars_are_read(
    tmp_path: Path, zone: str, form: str, write: Callable[[datetime.datetime], str]
) -> None:
    values = draw("years")
    lines = [f"{write(at)},{at:%H:%M},{value}" for at, value in zip(times(), values, strict=True)]
    proposal = propose(tmp_path, table("Date,Time,Import kWh", *lines), zone)
    assert yaml.safe_load(proposal)["date_format"] == form
    document = load(tmp_path, proposal)
    assert add_up(document) == {"import": sum(values)}
    assert document["channels"][0]["first"].startswith("2024-06-02T")


def test_a_year_of_another_calendar_is_declared(tmp_path: Path) -> None:
    text = rows("M1,04/07/2568 00:00,1.5", "M1,04/07/2025 00:30,2")
    parsed = read(tmp_path, text, timestamp_format="%d/%m/%T %H:%M", timezone="Asia/Bangkok")
    assert starts(parsed) == ["07-03 17:00"]
    assert parsed.readings["reading_ts"][0].as_py().year == 2025
    assert rejections(parsed) == [(3, "ROW-TIMESTAMP")]


@pytest.mark.parametrize("script", [ARABIC, WIDE])
def test_digits_of_other_scripts_are_read(tmp_path: Path, script: dict[int, str]) -> None:
    values = draw("digits")
    lines = [
        f"{at:%Y/%m/%d}\t{at:%H:%M}\t{value}".translate(script)
        for at, value in zip(times(), values, strict=True)
    ]
    text = table("Date\tTime\tImport (kWh)", *lines)
    assert add_up(load(tmp_path, propose(tmp_path, text, "Asia/Riyadh"))) == {"import": sum(values)}


def test_hours_from_one_to_another_in_wide_digits_are_read(tmp_path: Path) -> None:
    values = draw("hours", 48)
    lines = [
        f"{at:%Y}年{at.month}月{at.day}日,{at.hour}時～{at.hour + 1}時,{value}".translate(WIDE)
        for at, value in zip(times(48, 60), values, strict=True)
    ]
    text = table("日付,時刻,買電電力量（ｋＷｈ）", *lines)
    assert add_up(load(tmp_path, propose(tmp_path, text, "Asia/Tokyo"))) == {"import": sum(values)}


def test_numbers_with_two_marks_before_three_digits_are_refused(tmp_path: Path) -> None:
    cells = [str(value + 1).replace(".", ",."[n % 2]) for n, value in enumerate(draw("marks"))]
    lines = [f"{at:%Y-%m-%d %H:%M};{cell}" for at, cell in zip(times(), cells, strict=True)]
    with pytest.raises(MappingError, match="each mark may stand before decimals"):
        propose(tmp_path, table("Time;Import kWh", *lines))


def test_dates_that_change_their_order_are_refused(tmp_path: Path) -> None:
    days = [f"{day:02}/05/2024" for day in (11, 12)] + [f"05/{day}/2024" for day in (13, 14)]
    lines = [f"{day} {hour:02}:00,{hour}.5" for day in days for hour in range(24)]
    with pytest.raises(MappingError, match="change the order of day and month"):
        propose(tmp_path, table("Time,Import kWh", *lines), "Asia/Manila")


# Days of a month.


def lay_out_month(titles: dict[str, dict[tuple[int, int], Decimal]], title: str, days: int = 31) -> str:
    lines = [title]
    for name, values in titles.items():
        lines += [name, ";".join(["Ora", *map(str, range(1, days + 1)), "Total"])]
        for hour in range(1, 25):
            cells = [values.get((day, hour)) for day in range(1, days + 1)]
            total = sum((cell for cell in cells if cell is not None), Decimal(0))
            lines.append(";".join([str(hour), *("" if c is None else str(c) for c in cells), str(total)]))
        lines.append(";".join(["Total", *["9"] * days, "9"]))
    return table(*lines)


@pytest.mark.parametrize("title", ["Curba de sarcina - luna martie 2024", "Profil 03/2024"])
def test_days_of_a_month_stand_above_the_hours_of_several_tables(tmp_path: Path, title: str) -> None:
    """The clocks skip an hour on the last Sunday of March: its cell is empty."""
    places = [(day, hour) for day in range(1, 32) for hour in range(1, 25) if (day, hour) != (31, 4)]
    bought, sent = (dict(zip(places, draw(name, len(places)), strict=True)) for name in ("b", "s"))
    text = lay_out_month({"Energie consumata (kWh)": bought, "Energie livrata in retea (kWh)": sent}, title)
    proposal = propose(tmp_path, text, "Europe/Bucharest")
    content = yaml.safe_load(proposal)
    assert (content["month"], content["date_format"]) == ("2024-03", "%d")
    document = load(tmp_path, proposal, ignore_rows=["Total"])
    assert add_up(document) == {"import": sum(bought.values()), "export": sum(sent.values())}
    assert {channel["intervals"] for channel in document["channels"]} == {743}
    assert not document["rejected"]


@pytest.mark.parametrize("form", ["%d", "%d."])
def test_days_of_a_month_stand_in_front_of_hours(tmp_path: Path, form: str) -> None:
    """A leap year has 29 of them in February."""
    values = draw("days", 29 * 24)
    lines = [",".join([str(day + 1), *map(str, values[day * 24 : day * 24 + 24]), "1"]) for day in range(29)]
    header = ",".join(["Ziua", *(f"H{hour}" for hour in range(1, 25)), "Total"])
    title = "Consum orar (kWh) - februarie 2024\nLoc de consum: RO001E123456789"
    proposal = propose(tmp_path, table(title, header, *lines), "Europe/Bucharest")
    content = yaml.safe_load(proposal)
    assert (content["month"], content["identifier"]) == ("2024-02", "RO001E123456789")
    if form == "%d.":
        (tmp_path / "export.csv").write_text(
            table(title, header, *(line.replace(",", ".,", 1) for line in lines))
        )
    document = load(tmp_path, yaml.safe_dump(content | {"date_format": form}))
    assert add_up(document) == {"import": sum(values)}
    assert document["channels"][0]["first"] == "2024-01-31T22:00:00Z"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"date_format": "%d"}, "no whole date"),
        ({"month": "2024-02"}, "give month"),
        ({"date_format": "%d", "month": "2024-13"}, "month"),
    ],
)
def test_a_month_and_its_days_come_together(changes: dict[str, str], reason: str) -> None:
    columns = {"identifier": "meter", "date": "day", "period": "hour"}
    declared = {"timestamp_format": None, "label": None, "columns": columns, "date_format": "%d.%m.%Y"}
    with pytest.raises(MappingError, match=reason):
        mapping(READING, **declared | changes)


# Documents and archives.


def test_the_creation_of_a_document_is_no_time_of_its_values(tmp_path: Path) -> None:
    values = draw("points", DAY)
    points = "".join(
        f"<Point><Sequence>{n}</Sequence><Volume>{v}</Volume></Point>" for n, v in enumerate(values, 1)
    )
    path = tmp_path / "export.xml"
    path.write_text(
        '<?xml version="1.0"?><Doc><Header><Creation>2024-06-05T04:30:00Z</Creation></Header><Data>'
        "<Interval><StartDateTime>2024-06-02T22:00:00Z</StartDateTime>"
        "<EndDateTime>2024-06-03T22:00:00Z</EndDateTime></Interval><Meter>M1</Meter><Unit>KWH</Unit>"
        f"{points}</Data></Doc>"
    )
    assert "StartDateTime" in yaml.safe_load(propose_mapping(path, None))["columns"]["timestamp"]


def test_seconds_behind_a_start_may_begin_in_the_morning(tmp_path: Path) -> None:
    values = {str(21000 + 300 * n): float(value) for n, value in enumerate(draw("sun", DAY))}
    answer = {"Start": "2024-06-03T00:00:00+02:00", "Produced": {"Unit": "Wh", "Values": values}}
    path = tmp_path / "export.json"
    path.write_text(json.dumps({"Data": {"inverter": answer}}))
    content = yaml.safe_load(propose_mapping(path, "Europe/Vienna"))
    assert content["columns"]["seconds"] == "$key"
    assert content["interval_minutes"] == 5


def test_members_whose_units_differ_are_not_read_by_one_mapping(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for folder, unit in (("power", "kwh"), ("gas", "m³")):
            archive.writestr(f"{folder}/use.csv", lay_out({f"Consumption ({unit})": draw(unit)}))
    proposal = propose_mapping(path, "Europe/London")
    assert NOT_USABLE not in proposal
    assert "add --sheet 'gas/use.csv'" in proposal or "add --sheet 'power/use.csv'" in proposal


def test_the_name_of_a_customer_is_no_direction(tmp_path: Path) -> None:
    above = "Customer;Solar Ltd;Solar Ltd;Wind Ltd\nMeter;AB100001;AB100002;AB100003\n"
    columns = {f"Consumption {letter} kWh": draw(letter) for letter in "ABC"}
    document = load(tmp_path, propose(tmp_path, lay_out(columns, above=above)))
    assert {channel["channel"] for channel in document["channels"]} == {"import"}


def test_the_day_of_a_report_is_no_meter(tmp_path: Path) -> None:
    proposal = propose(tmp_path, lay_out({"Import kWh": draw("a")}, above="Contador principal: 2024-06-03\n"))
    assert yaml.safe_load(proposal)["identifier"] is None


def test_values_with_decimals_may_be_scaled_already(tmp_path: Path) -> None:
    values = draw("scaled")
    text = lay_out({"Import": values, "factor": [Decimal("0.001")] * len(values)})
    assert yaml.safe_load(propose(tmp_path, text))["values"][0]["factor"] is None


@pytest.mark.parametrize("names", [("Energy X kWh", "Energy Y kWh"), ("P1 [kW]", "P2 [kW]")])
def test_what_takes_turns_without_the_names_of_tariffs_may_be_the_sun(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    hill = [max(Decimal(24 - abs(n % DAY - 48)), Decimal(0)) / 10 for n in range(2 * DAY)]
    rest = [Decimal("0.3") if value == 0 else Decimal(0) for value in hill]
    proposal = propose(tmp_path, lay_out(dict(zip(names, (rest, hill), strict=True))))
    assert yaml.safe_load(proposal)["values"][1].get("channel") != "import"


def test_numbers_of_meters_above_rows_with_dates_are_no_days(tmp_path: Path) -> None:
    columns = {str(n): draw(str(n)) for n in range(1, 31)}
    proposal = propose(tmp_path, lay_out(columns, above="Report of June 2024 (kWh)\n"))
    assert "across" not in proposal
