"""Exports of many senders: their text, the expected fields of the proposed mapping, and the total."""

from typing import Any

from data.ingest.formats.mapping_values import Columns, Value


def table(header: str, row: str, days: tuple[int, ...] = (14, 15), first: int = 0, last: int = 23) -> str:
    """A header, and `row` for each hour of each day, with {day}, {hour} and {half} filled in."""
    hours = range(first, last + 1)
    rows = [
        row.format(day=day, hour=hour, half=f"{hour % 12 or 12}:00 {'AP'[hour > 11]}M")
        for day in days
        for hour in hours
    ]
    return "\n".join([header, *rows, ""])


def day_rows(header: str, before: str, cells: str, behind: str = "") -> str:
    """A header, and a row for each of two days with 24 values of 1.25."""
    values = ",".join(["1.25"] * 24)
    rows = [f"{before.format(day=day)}{values}{cells}{behind}" for day in (14, 15)]
    return "\n".join([header, *rows, ""])


CELLS = [f"{hour:02}:00" for hour in range(24)]
EXPORTS: dict[str, tuple[str | bytes, dict[str, Any], str]] = {
    "spanish": (
        table(
            "CUPS;Fecha;Hora;Consumo_kWh;Metodo",
            "ES1;{day}/01/2023;{hour:02}:00;0,{hour:03};R",
            (14, 15),
            1,
            24,
        ),
        {"interval_minutes": 60, "decimal": ",", "delimiter": ";", "label": "end", "date_format": "%d/%m/%Y"},
        "0.6",
    ),
    "preamble and totals": (
        "Report,,,\nSite: Example,,,\n\n"
        + table(
            "Start Time,Meter Serial,Import kWh,Export kWh",
            '2024-01-{day} {hour:02}:00:00,X9,"1,000.5",{hour}',
        )
        + "Total,,48024,552\n",
        {"interval_minutes": 60, "label": "start", "thousands": ",", "ignore_rows": ("Total",)},
        "48576",
    ),
    "american": (
        table("Meter ID,Date,Time,Usage (Wh)", "7,1/{day}/2024,{half},10"),
        {"interval_minutes": 60, "date_format": "%m/%d/%Y", "time_format": "%I:%M %p"},
        "480",
    ),
    "settlement periods": (
        table(
            "MPAN,Settlement Date,Settlement Period,kWh",
            "1200000000001,2024-01-{day},{hour},0.5",
            (14, 15),
            1,
            48,
        ),
        {"interval_minutes": 30, "label": None},
        "48",
    ),
    "day with flags, cp1252": (
        "\n".join(
            [
                "Zähler,Date," + ",".join(f"{cell},Flag" for cell in CELLS),
                *(f"Z1,{day}.01.2024," + ",".join("1.5,A" for _ in CELLS) for day in (14, 15)),
                "",
            ]
        ).encode("cp1252"),
        {"interval_minutes": 60, "encoding": "cp1252", "date_format": "%d.%m.%Y"},
        "72",
    ),
    "day with a total": (
        "\n".join(
            [
                "MPAN,Site,Date," + ",".join(f"HH{number:02}" for number in range(1, 49)) + ",Total",
                *(f"1200000000001,7,{day}/03/2023," + "1.25," * 48 + "60" for day in (14, 15)),
                "",
            ]
        ),
        {"interval_minutes": 30, "date_format": "%d/%m/%Y"},
        "120",
    ),
    "hours of the day": (
        table("Meter;Fecha;Hora;Activa (kWh)", "ES1;2023-01-{day};{hour};1,5", (14, 15), 1, 24),
        {"interval_minutes": 60, "label": None, "decimal": ","},
        "72",
    ),
    "no header": (
        table("", "1200000000001,15/{day:02}/2024 {hour:02}:00,0.5", (1, 2, 3))[1:],
        {"interval_minutes": 60, "has_header": False, "timestamp_format": "%d/%m/%Y %H:%M"},
        "36",
    ),
    "from here to there, a title above each day": (
        "Energy Usage Information\n\n"
        + "".join(
            f'"Data for period starting: 2024-01-{day} 00:00:00 for 24 hours"\n'
            + table(
                "Time period,Meter,Usage (kWh),Reading quality",
                '"2024-01-{day} {hour:02}:00:00 to 2024-01-{day} {hour:02}:59:59",X9,"0.5",""',
                (day,),
            )
            + "\n"
            for day in (14, 15)
        ),
        {
            "timestamp_format": "%Y-%m-%d %H:%M:%S to %*",
            "label": "start",
            "ignore_rows": ("Data for period starting",),
        },
        "24",
    ),
    "active and reactive energy side by side": (
        day_rows(
            "MPAN,Date," + ",".join(f"{unit}_{n}" for unit in ("kWh", "kVArh") for n in range(1, 25)),
            "1200000000001,{day}/12/2023,",
            "," * 24,
        ),
        {"interval_minutes": 60},
        "60",
    ),
    "midnight behind the date, the meter behind the values": (
        day_rows(
            "ID,Date,Units,Total Units," + ",".join(f"[{n:02}:00]" for n in range(1, 25)) + ",Code",
            "9f3a{day},Nov {day} 2023 12:00AM,kWh,30,",
            "",
            ",1200000000001",
        ),
        {"interval_minutes": 60, "date_format": "%b %d %Y%*", "timezone": "Europe/Madrid"},
        "60",
    ),
    "a row for each day and direction": (
        "\n".join(
            [
                "NMI,Con/Gen,Date," + ",".join(CELLS),
                *(
                    f"6000000001,{way},2024-01-{day}," + ",".join(["0.5"] * 24)
                    for day in (14, 15)
                    for way in ("Consumption", "Surplus")
                ),
                "",
            ]
        ),
        {"channels": {"Consumption": "import", "Surplus": "export"}},
        "48",
    ),
    "a column of average power": (
        table("Meter;Zeit;Leistung Bezug (kW)", "Z1;{day}.01.2024 {hour:02}:00;1,5"),
        {"decimal": ",", "label": "start"},
        "72",
    ),
    "a column that asks if the values are estimated": (
        "\n".join(
            [
                "NMI,Date,Estimated?," + ",".join(CELLS),
                *(
                    f"6000000001,2024-01-{day},{word}," + ",".join(["2"] * 24)
                    for day, word in ((14, "No"), (15, "Yes"))
                ),
                "",
            ]
        ),
        {"qualities": {"No": "actual", "Yes": "estimated"}},
        "96",
    ),
    "a date beside the times with their offset": (
        table(
            "Account Number,Meter,Type,Date,Start Time,End Time,Usage,Units",
            "1,X9,electric,2024-01-{day},2024-01-{day} {hour:02}:00:00-05:00,"
            "2024-01-{day} {hour:02}:59:59-05:00,0.5,kWh",
        ),
        {"timestamp_format": "iso8601", "timezone": None, "label": "start"},
        "24",
    ),
    "average power, told in words": (
        table(
            "MPRN,Serial,Read Value,Read Type,Read Date and End Time",
            "10000000001,9,0.5,Active Import Interval (kW),{day}-01-2024 {hour:02}:00",
        ),
        {"timestamp_format": "%d-%m-%Y %H:%M", "label": "end"},
        "24",
    ),
    "seconds since 1970": (
        "time,value,meter\n" + "".join(f"{1_704_067_200 + 3600 * n},0.5,A1\n" for n in range(48)),
        {"timestamp_format": "unix", "timezone": None, "interval_minutes": 60},
        "24",
    ),
    "the hour of the clock": (
        table("Meter,Date,Hour,Usage (kWh)", "A1,{day}/Jan/2024,{hour},0.5"),
        {"date_format": "%d/%b/%Y", "time_format": "%H", "label": "start"},
        "24",
    ),
    "long numbers that are no values": (
        table(
            "Målepunkt;Produkt;Fra;Mængde;Måleenhed;Kvalitet",
            "570000000000000001;8716860000000;{day}-01-2024 {hour:02}:00:00;0,5;KWH;A",
        ),
        {"timestamp_format": "%d-%m-%Y %H:%M:%S", "qualities": {"A": "actual"}},
        "24",
    ),
    "a row for each register, with its unit": (
        table(
            "Van;Tot;EAN;Register;Volume;Eenheid",
            '{day}-01-2024 {hour:02}:00;{day}-01-2024 {hour:02}:59;="541400000000000001";Afname;0,25;kWh\n'
            '{day}-01-2024 {hour:02}:00;{day}-01-2024 {hour:02}:59;="541400000000000001";Injectie;0,5;kWh',
        ),
        {"channels": {"Afname": "import", "Injectie": "export"}, "decimal": ","},
        "36",
    ),
    "the end of an interval on the next day": (
        "".join(
            ["Van (datum);Van (tijd);Tot (datum);Tot (tijd);Meter;kWh\n"]
            + [
                f"{day}-01-2024;{hour:02}:00;{day + hour // 23}-01-2024;{(hour + 1) % 24:02}:00;M1;0,5\n"
                for day in (14, 15)
                for hour in range(24)
            ]
        ),
        {"columns": Columns(identifier="Meter", date="Van (datum)", time="Van (tijd)"), "label": "start"},
        "24",
    ),
    "month first, as the days lie closest together": (
        table("ESIID,Date,Time,kWh", "'10000000000000001,03/0{day}/2024,{hour:02}:00,1", (1, 2)),
        {"date_format": "%m/%d/%Y"},
        "48",
    ),
    "import and export in turn, told in words, newest first": (
        "\n".join(
            [
                "MPRN,Meter Serial Number,Read Value,Read Type,Read Date and End Time",
                *(
                    f"10000000001,{9:018},0.5,Active {way} Interval (kW),{day}-01-2024 {hour:02}:30"
                    for day in (15, 14)
                    for hour in range(23, -1, -1)
                    for way in ("Import", "Export")
                ),
                "",
            ]
        ),
        {
            "order": "descending",
            "channels": {"Active Import Interval (kW)": "import", "Active Export Interval (kW)": "export"},
            "columns": Columns.model_validate(
                {"identifier": "MPRN", "timestamp": "Read Date and End Time", "register": "Read Type"}
            ),
        },
        "48",
    ),
    "rows that leave away a field that the header names": (
        "Name,JO\nService,Service 1\n\n"
        + table(
            "TYPE,DATE,START TIME,USAGE (kWh),COST,NOTES", "Electric,2024-01-{day},{hour:02}:00,0.5,$0.2"
        ),
        {"has_header": True, "date_format": "%Y-%m-%d"},
        "24",
    ),
    "a unit above the table": (
        "Point;Quantity;Unit\n12345678901234;Load curve;W\n"
        + table("Horodate;Valeur", "2024-01-{day}T{hour:02}:00:00+01:00;500"),
        {"timestamp_format": "iso8601"},
        "24000",
    ),
    "blanks that keep a time together": (
        table(
            "Meter,Period,kWh", '9,"2024-01-{day} {hour:02}:00:00\u00a0to 2024-01-{day} {hour:02}:59:59",1'
        ),
        {"timestamp_format": "%Y-%m-%d %H:%M:%S to %*"},
        "48",
    ),
    "import and export side by side in a row": (
        day_rows(
            "MPAN,Date," + ",".join(f"{way} {cell}" for way in ("Import", "Export") for cell in CELLS),
            "1200000000001,{day}/12/2023,",
            "," + ",".join(["0.25"] * 24),
        ),
        {"interval_minutes": 60, "label": None},
        "72",
    ),
    "the labels of a day twice": (
        day_rows(
            "MPAN,Date," + ",".join(CELLS * 2), "1200000000001,{day}/12/2023,", "," + ",".join(["0.25"] * 24)
        ),
        {"interval_minutes": 60},
        "72",
    ),
    "notes below the table": (
        table("Time,Meter,Import (kWh)", "2024-01-{day} {hour:02}:00,9,0.5")
        + "Average,,0.5\nMade by the portal on 2024-02-01,,\n",
        {"ignore_rows": ("Average", "Made by the portal on")},
        "24",
    ),
    "periods without a name, below a line of another kind": (
        "HDR,X,Y,Z,04/02/2024,96,kWh\n"
        + "".join(
            f"DET,0000438016MP0FD,{day}/01/2024,{number},0.25,0.5\n"
            for day in (14, 15)
            for number in range(1, 49)
        ),
        {"has_header": False, "skip_lines": 1, "interval_minutes": 30, "label": None},
        "72",
    ),
    "seven digits behind the second": (
        table("LCLid,DateTime,KWH/hh (per half hour) ", "MAC1,2024-01-{day} {hour:02}:00:00.0000000, 0.5 "),
        {"timestamp_format": "%Y-%m-%d %H:%M:%S.%f"},
        "24",
    ),
    "litres": (
        table("Meter,Time,Usage (Litres)", "W9,2024-01-{day} {hour:02}:00,10"),
        {"values": (Value(column="Usage (Litres)", channel="consumption", unit="l"),)},
        "480",
    ),
    "a value a day": (
        "Meter,Date,Usage (therms),Cost\n"
        + "".join(f"9,2024-01-{day},{day % 3},$1\n" for day in range(10, 30)),
        {"interval_minutes": 1440, "label": None, "columns": Columns(identifier="Meter", date="Date")},
        "21",
    ),
    "a zone in the name of a column": (
        table("timestamp (UTC),meter,energyConsumption (kWh)", "2024-01-{day} {hour:02}:00,9,0.5"),
        {"timezone": "UTC"},
        "24",
    ),
    "a blank before the offset": (
        table(
            "Meter,Date/Time,Energy Produced (Wh),Stored in Batteries (Wh)",
            "9,2024-01-{day} {hour:02}:00:00 -0800,2,1",
        ),
        {"timestamp_format": "iso8601"},
        "144",
    ),
    "a colon between date and time": (
        table("Meter;Zeitstempel;Wert (kWh)", "9;{day}.01.2024:{hour:02}:00;0,5"),
        {"timestamp_format": "%d.%m.%Y:%H:%M"},
        "24",
    ),
    "apostrophes between thousands": (
        table("Meter;Zeit;Bezug (kWh);Abgabe (kWh)", "9;{day}.01.2024 {hour:02}:00;1'000.5;0.5"),
        {"thousands": "'"},
        "48048",
    ),
    "no value in words, and a net column": (
        table(
            "Meter,Interval Start,Inflow (kWh),Outflow (kWh),Net Consumption (kWh),Estimated Usage",
            "9,2024-01-{day} {hour:02}:00,0.5,N/A,0.5,\n9,2024-01-{day} {hour:02}:30,0.5,N/A,0.5,Y",
            (14,),
        )
        + table(
            "9,2024-01-15 00:00,0.5,0.25,0.25,\n9,2024-01-15 00:30,0.5,0.25,0.25,Y",
            "9,2024-01-{day} {hour:02}:00,0.5,0.25,0.25,\n9,2024-01-{day} {hour:02}:30,0.5,0.25,0.25,Y",
            (15,),
            first=1,
        ),
        {"no_value": ("N/A",), "qualities": {"": "actual", "Y": "estimated"}},
        "60",
    ),
    "units side by side in a column": (
        table(
            "Meter,Time,Value,Unit Type",
            "E9,2024-01-{day} {hour:02}:00,1,kWh\nG9,2024-01-{day} {hour:02}:00,2,m³",
        ),
        {
            "columns": Columns(
                **{"identifier": "Meter", "register": "Unit Type"}, timestamp="Time", unit="Unit Type"
            )
        },
        "144",
    ),
    "a column of each meter, with its unit": (
        table("Time,Meter A (kWh),Gas (therms),Water (m³)", "2024-01-{day} {hour:02}:00,0.5,1,2", (14, 15)),
        {"label": "start"},
        "168",
    ),
    "offset": (
        table("meter,interval_end,value", "A,2024-01-{day}T{hour:02}:00:00+01:00,2", (14,)),
        {"timestamp_format": "iso8601", "label": "end", "timezone": None},
        "48",
    ),
}
