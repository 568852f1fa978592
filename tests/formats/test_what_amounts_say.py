"""What the amounts of a file say where its names do not: channels, totals, rhythms; and what is asked."""

import datetime
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from data.ingest.errors import RefusedFile
from data.ingest.formats.file_mappings import MappingError, parse_mapping
from data.ingest.formats.reading import read_file
from data.ingest.formats.suggest.shapes import Series, follows_sun
from data.ingest.proposals import NOT_USABLE, propose_mapping
from tests.formats.test_outsiders import Values, add_up, channels, draw, lay_out, load, propose
from tests.formats.workbook_text import DATE, INSTANT, Cell, Rows, write_xlsx

DAYS = 4
COUNT = DAYS * 24
START = datetime.datetime(2024, 6, 3)
USED = [value + Decimal("0.05") for value in draw("used", COUNT)]
# A hill from six to nineteen o'clock.
SUN = [
    (Decimal(max(0, 42 - (n % 24 - 12) ** 2)) / 20 + draw("sun", COUNT)[n] / 9) * (abs(n % 24 - 12) < 7)
    for n in range(COUNT)
]
BOUGHT = [max(used - sun, Decimal(0)) for used, sun in zip(USED, SUN, strict=True)]
SENT = [max(sun - used, Decimal(0)) for used, sun in zip(USED, SUN, strict=True)]


def lay(columns: dict[str, Values]) -> str:
    rounded = {name: [round(v, 4) for v in values] for name, values in columns.items()}
    return lay_out(rounded, minutes=60)


def test_what_stands_still_while_the_rest_goes_out_is_the_import(tmp_path: Path) -> None:
    net = [one - other for one, other in zip(BOUGHT, SENT, strict=True)]
    proposal = propose(
        tmp_path, lay({"Consumption (kWh)": BOUGHT, "Generation (kWh)": SENT, "Net (kWh)": net})
    )
    assert channels(proposal) == {"Consumption (kWh)": "import", "Generation (kWh)": "export"}


def test_a_consumption_that_never_stands_still_may_be_that_of_the_site(tmp_path: Path) -> None:
    proposal = propose(tmp_path, lay({"Consumption (kWh)": USED, "Generation (kWh)": SUN}))
    assert channels(proposal) == {"Consumption (kWh)": None, "Generation (kWh)": "generation"}


def test_the_sun_beside_the_import_of_the_grid_is_generation(tmp_path: Path) -> None:
    columns = {"PV production (kWh)": SUN, "From grid (kWh)": BOUGHT, "To grid (kWh)": SENT}
    proposal = propose(tmp_path, lay(columns))
    assert list(channels(proposal).values()) == ["generation", "import", "export"]


def test_registers_and_rows_of_days_tell_it_too(tmp_path: Path) -> None:
    times = [START + datetime.timedelta(hours=n) for n in range(COUNT)]
    kinds = {"Consumption": BOUGHT, "Generation": SENT}
    rows = [
        f"{time:%Y-%m-%d %H:%M};{kind};{round(values[n], 4)}"
        for kind, values in kinds.items()
        for n, time in enumerate(times)
    ]
    text = "\n".join(["Time;Type;Value (kWh)", *rows, ""])
    assert yaml.safe_load(propose(tmp_path, text))["channels"] == {
        "Consumption": "import",
        "Generation": "export",
    }
    days = [
        ";".join([f"{times[24 * day]:%Y-%m-%d}", kind, *(str(round(v, 4)) for v in values[24 * day :][:24])])
        for kind, values in kinds.items()
        for day in range(DAYS)
    ]
    header = ";".join(["Date", "CON/GEN", *(f"H{n}" for n in range(1, 25))])
    proposal = propose(tmp_path, "\n".join([header, *days, ""]))
    assert yaml.safe_load(proposal)["channels"] == {"Consumption": "import", "Generation": "export"}


@pytest.mark.parametrize("name", ["Power(kW)", "Value (kWh)", "Counter kWh"])
def test_what_is_zero_at_night_and_most_at_noon_is_asked_for(tmp_path: Path, name: str) -> None:
    reads = [sum(SUN[:n], Decimal(4000)) for n in range(COUNT)]
    values = reads if name.startswith("Counter") else SUN
    assert channels(propose(tmp_path, lay({name: values}))) == {name: None}
    # What is used at night is no sun, and a name that says import needs none.
    assert channels(propose(tmp_path, lay({name: USED}))) == {name: "import"}
    assert channels(propose(tmp_path, lay({"Import (kWh)": SUN}))) == {"Import (kWh)": "import"}


@pytest.mark.parametrize("shift", [0, 7, 15])
def test_the_sun_rises_in_every_zone(shift: int) -> None:
    hour = 3_600_000_000
    amounts = {(n + shift) * hour: float(value) for n, value in enumerate(SUN)}
    assert follows_sun(Series("Power", amounts))
    # An office has an edge in the morning, and a heater has no middle.
    office = {n * hour: float(8 <= n % 24 < 18) for n in range(COUNT)}
    heater = {n * hour: float(n % 24 in (5, 6, 20, 21)) for n in range(COUNT)}
    assert not follows_sun(Series("Value", office))
    assert not follows_sun(Series("Value", heater))


def test_the_net_of_the_grid_is_not_left_out_for_what_it_is_the_difference_of(tmp_path: Path) -> None:
    columns = {"PV(kW)": SUN, "Load(kW)": USED, "Grid(kW)": [a - b for a, b in zip(USED, SUN, strict=True)]}
    proposal = propose(tmp_path, lay(columns))
    assert channels(proposal) == {"PV(kW)": "generation", "Load(kW)": "consumption", "Grid(kW)": "import"}
    totals = add_up(load(tmp_path, proposal))
    rounded = [round(used, 4) - round(sun, 4) for used, sun in zip(USED, SUN, strict=True)]
    assert abs(totals["import"] - sum(v for v in rounded if v > 0)) < Decimal("0.01")


def test_a_row_that_has_one_of_two_amounts_has_a_part_of_the_import(tmp_path: Path) -> None:
    rows = [
        f"{START + datetime.timedelta(hours=n):%Y-%m-%d %H:%M};{v if n < 40 else ''};{'' if n < 40 else v}"
        for n, v in enumerate(USED)
    ]
    proposal = propose(tmp_path, "\n".join(["Time;Usage billed (kWh);Usage not yet billed (kWh)", *rows, ""]))
    assert add_up(load(tmp_path, proposal)) == {"import": sum(USED)}


def write_registers(reads: int) -> str:
    """Return the hours of a register, and so many daily reads of the dial behind it."""
    hours = [f"{START + datetime.timedelta(hours=n):%d.%m.%Y %H:%M};+A;{v}" for n, v in enumerate(USED)]
    dial = [
        f"{START + datetime.timedelta(days=n):%d.%m.%Y %H:%M};1.8.0;{31000 + sum(USED[: 24 * n])}"
        for n in range(reads)
    ]
    return "\n".join(["Time;Variable;Value [kWh]", *hours, *dial, ""])


def test_a_register_with_few_values_far_apart_does_not_count(tmp_path: Path) -> None:
    proposal = propose(tmp_path, write_registers(DAYS))
    assert yaml.safe_load(proposal)["channels"] == {"+A": "import", "1.8.0": "other"}
    document = load(tmp_path, proposal)
    assert add_up(document)["import"] == sum(USED)
    counted = proposal.replace('"1.8.0": other', '"1.8.0": import')
    refused = load(tmp_path, counted)
    assert (refused["status"], refused["refusal"]["rule"]) == ("refused", "MAP-INTERVAL")


def test_a_meter_with_hours_beside_quarter_hours_has_hours(tmp_path: Path) -> None:
    rows = [f"A;{START + datetime.timedelta(minutes=15 * n):%Y-%m-%d %H:%M};{v}" for n, v in enumerate(USED)]
    rows += [f"B;{START + datetime.timedelta(hours=n):%Y-%m-%d %H:%M};{v}" for n, v in enumerate(USED[:24])]
    proposal = propose(tmp_path, "\n".join(["meter;time;kWh", *rows, ""]))
    assert NOT_USABLE not in proposal and yaml.safe_load(proposal)["lengths"] == {"B": 60}
    without = "\n".join(line for line in proposal.split("\n") if not line.startswith("lengths:"))
    refused = load(tmp_path, without)
    assert "the values are 60 minutes apart" in refused["refusal"]["reason"]


WHOLE = [int(value * 1000) + 7 for value in USED]


@pytest.mark.parametrize(
    ("printed", "is_right"),
    [
        (f"{sum(WHOLE):,}", True),
        (f"{sum(WHOLE):,}".replace(",", "."), True),
        (f"{sum(WHOLE):,}".replace(",", " "), True),
        (f"{sum(WHOLE) + 2000:,}", False),
        (f"{sum(WHOLE) + 2000:,}".replace(",", "."), False),
        (f"{sum(WHOLE) + 2000:,}".replace(",", " "), False),
    ],
)
def test_a_printed_total_of_thousands_contradicts_too(tmp_path: Path, printed: str, is_right: bool) -> None:
    text = lay_out({"Energy kWh": [Decimal(v) for v in WHOLE]}, minutes=60)
    proposal = propose(tmp_path, f'Total kWh;"{printed}"\n' + text)
    assert (NOT_USABLE in proposal) is not is_right


def test_decimals_of_the_rows_tell_the_mark_of_a_printed_total(tmp_path: Path) -> None:
    # As thousands the total would be right, but the rows show what a point means.
    rows = lay_out({"Energy kWh": [Decimal(v) + Decimal("0.5") for v in WHOLE]}, minutes=60)
    total = sum(WHOLE) + COUNT // 2
    assert NOT_USABLE in propose(tmp_path, f"Total kWh;{Decimal(total) / 1000}\n" + rows)


def test_totals_of_all_sheets_are_the_total(tmp_path: Path) -> None:
    sheets: dict[str, Rows] = {}
    for month, name in ((1, "Jan"), (2, "Feb")):
        rows = [(45292.0 + 31 * (month - 1) + n, float(USED[n + 20 * month])) for n in range(10)]
        cells: list[list[Cell]] = [[(day, DATE), value] for day, value in rows]
        sheets[name] = [
            ["Date", "kWh imported"],
            *cells,
            ["Total", round(sum(value for _, value in rows), 3)],
        ]
    path = write_xlsx(tmp_path / "caretaker.xlsx", sheets)
    assert NOT_USABLE not in propose_mapping(path, "Europe/London")


def test_a_unit_is_asked_once_and_told_by_words_of_rows(tmp_path: Path) -> None:
    both = yaml.safe_load(propose(tmp_path, lay({"Import": USED, "Export": SENT})))
    assert (both["unit"], [value.get("unit", "none") for value in both["values"]]) == (None, ["none", "none"])
    with pytest.raises(MappingError, match="unit is empty"):
        parse_mapping(both | {"identifier": "M"}, "proposal")
    rows = [
        f"{START + datetime.timedelta(hours=n):%Y-%m-%d %H:%M};MWh consumed;{v}" for n, v in enumerate(USED)
    ]
    told = yaml.safe_load(propose(tmp_path, "\n".join(["Time;Kind;Amount", *rows, ""])))
    assert told["values"][0]["unit"] == "MWh"


def test_one_channel_answers_for_columns_of_unknown_names(tmp_path: Path) -> None:
    names = ("Attic kWh", "Garden kWh", "Cellar kWh")
    proposal = propose(tmp_path, lay({name: draw(name, COUNT) for name in names}))
    assert channels(proposal) == dict.fromkeys(names)
    content = yaml.safe_load(proposal)
    with pytest.raises(MappingError, match="channel is empty"):
        parse_mapping(content | {"identifier": "M"}, "proposal")
    total = sum(round(v, 4) for name in names for v in draw(name, COUNT))
    assert add_up(load(tmp_path, proposal, channel="import")) == {"import": total}


@pytest.mark.parametrize("name", ["Voltage", "Current", "Line intensity", "Frequency", "Power factor", "kVA"])
def test_other_quantities_are_no_energy(tmp_path: Path, name: str) -> None:
    proposal = propose(tmp_path, lay({"Energy kWh": USED, name: [v + 230 for v in USED]}))
    assert channels(proposal) == {"Energy kWh": "import"}
    with pytest.raises(MappingError, match="holds no energy of a meter"):
        propose(tmp_path, lay({name: [v + 230 for v in USED]}))


def test_power_is_kept_beside_columns_that_say_nothing(tmp_path: Path) -> None:
    columns = {"Active_power": USED, "Sub_metering_1": draw("sub", COUNT), "Sub_metering_2": SENT}
    assert channels(propose(tmp_path, lay(columns))) == {"Active_power": "import"}


def test_electricity_that_heats_water_is_no_water(tmp_path: Path) -> None:
    proposal = propose(tmp_path, lay({"Strom Warmwasser (kWh)": USED}))
    assert channels(proposal) == {"Strom Warmwasser (kWh)": "import"}


def test_a_meter_is_not_called_by_the_state_of_its_reading(tmp_path: Path) -> None:
    text = lay({"kWh": USED}).replace("kWh", "kWh;Meter reading status", 1)
    lines = text.strip().split("\n")
    content = yaml.safe_load(
        propose(tmp_path, "\n".join([lines[0], *(f"{line};Actual" for line in lines[1:]), ""]))
    )
    assert content["identifier"] is None
    assert content["columns"]["quality"] == "Meter reading status"


def test_the_span_above_a_table_is_no_date_of_its_rows(tmp_path: Path) -> None:
    rows = [
        f"{START + datetime.timedelta(hours=n):%d.%m.%Y %H:%M};{v};{s}"
        for n, (v, s) in enumerate(zip(BOUGHT, SENT, strict=True))
    ]
    text = "\n".join(["Period: 03.06.2024 - 06.06.2024", "Start;Bezug (kWh);Einspeisung (kWh)", *rows, ""])
    proposal = propose(tmp_path, text.replace(".", ",").replace(",06,2024", ".06.2024"))
    assert channels(proposal) == {"Bezug (kWh)": "import", "Einspeisung (kWh)": "export"}


def test_one_value_at_the_begin_of_a_block_is_no_lone_one(tmp_path: Path) -> None:
    """A block of a large file may begin with the last row of a meter."""
    times = [START + datetime.timedelta(days=n) for n in (0, 3)]
    rows = [f"M0,{START + datetime.timedelta(hours=n):%Y-%m-%d %H:%M},1" for n in range(40)]
    rows += [f"M{m},{times[m - 1]:%Y-%m-%d %H:%M},9" for m in (1, 2)]
    (tmp_path / "export.csv").write_text("\n".join(["meter,time,kWh", *rows, ""]))
    declared = {
        "format": "mapped_csv",
        "timezone": "UTC",
        "interval_minutes": 60,
        "timestamp_format": "%Y-%m-%d %H:%M",
        "label": "start",
        "columns": {"identifier": "meter", "timestamp": "time"},
        "values": [{"column": "kWh", "channel": "import", "unit": "kWh"}],
    }
    try:
        read_file(tmp_path / "export.csv", mapping=parse_mapping(declared, "m"))
    except RefusedFile as refusal:
        pytest.fail(refusal.reason)


def write_sheets(path: Path, names: tuple[str, ...]) -> Path:
    """Write a sheet of the same header and times for each name."""
    sheets: dict[str, Rows] = {}
    for name in names:
        cells: list[list[Cell]] = [
            [(45292.0 + n / 24, INSTANT), float(round(value, 3))] for n, value in enumerate(draw(name, 48))
        ]
        sheets[name] = [["Start", "Usage (kWh)"], *cells]
    return write_xlsx(path, sheets)


def test_sheets_of_gas_beside_electricity_are_no_import(tmp_path: Path) -> None:
    path = write_sheets(tmp_path / "home.xlsx", ("Electricity", "Gas"))
    content = yaml.safe_load(propose_mapping(path, "Europe/London"))
    assert content["columns"]["register"] == "$name"
    assert content["channels"] == {"Electricity": "import", "Gas": "consumption"}


@pytest.mark.parametrize("name", ["Gas", "natural gas", "Water"])
def test_the_name_of_a_sheet_tells_the_medium(tmp_path: Path, name: str) -> None:
    path = write_sheets(tmp_path / "home.xlsx", (name,))
    (value,) = yaml.safe_load(propose_mapping(path, "Europe/London"))["values"]
    assert value["channel"] == "consumption"


def test_the_name_of_a_file_tells_the_unit(tmp_path: Path) -> None:
    text = lay({"Consumption": USED})
    (value,) = yaml.safe_load(propose(tmp_path, text, name="half_hourly_kwh.csv"))["values"]
    assert value["unit"] == "kWh"


def test_a_number_of_all_rows_is_no_value(tmp_path: Path) -> None:
    columns = {"dataid": [Decimal(661)] * COUNT, "use": USED, "solar": [round(v, 3) for v in SUN]}
    proposal = propose(tmp_path, lay_out(columns, minutes=60))
    assert "dataid" not in channels(proposal)


def test_wide_digits_are_digits(tmp_path: Path) -> None:
    wide = str.maketrans("0123456789.", "０１２３４５６７８９．")
    text = lay({"使用量(kWh)": USED})
    head, *lines = text.strip().split("\n")
    rows = [f"{time};{value.translate(wide)}" for time, value in (line.split(";") for line in lines)]
    proposal = propose(tmp_path, "\n".join([head, *rows, ""]), "Asia/Tokyo")
    content = yaml.safe_load(proposal)
    content["values"][0]["channel"] = "import"
    assert add_up(load(tmp_path, yaml.safe_dump(content))) == {"import": sum(round(v, 4) for v in USED)}


@pytest.mark.parametrize("form", ["2024-W{:02}", "2024W{:02}", "KW {}/2024"])
def test_weeks_are_named(tmp_path: Path, form: str) -> None:
    rows = [f"{form.format(week)};{50 + week}" for week in range(20, 32)]
    with pytest.raises(MappingError, match="weeks instead of days"):
        propose(tmp_path, "\n".join(["Week;kWh", *rows, ""]))


def test_rows_of_other_units_are_not_energy(tmp_path: Path) -> None:
    lines = [f"{START + datetime.timedelta(hours=n):%Y-%m-%d %H:%M}" for n in range(COUNT)]
    rows = [
        f"ELEC;{time};{value};kWh\nTEMP;{time};19.5;degC" for time, value in zip(lines, USED, strict=True)
    ]
    proposal = propose(tmp_path, "\n".join(["Point;Time;Value;Unit", *rows, ""]))
    assert f"{NOT_USABLE}: {COUNT} rows are rejected" in proposal
    assert add_up(load(tmp_path, proposal)) == {"import": sum(USED)}


def test_columns_with_a_direction_beside_values_count(tmp_path: Path) -> None:
    reads = {
        name: [Decimal(4000) + sum(draw(name, 40)[:n], Decimal(0)) for n in range(40)]
        for name in ("T1 verbruik", "T2 verbruik", "T1 terug", "T2 terug")
    }
    proposal = propose(tmp_path, lay_out(reads, minutes=1440))
    assert [value["channel"] for value in yaml.safe_load(proposal)["values"]] == ["import"] * 2 + [
        "export"
    ] * 2
