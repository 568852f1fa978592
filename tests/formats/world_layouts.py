"""Layouts of senders all over the world, with what a person answers to their proposals.

The template is that of `Layout`. An answer is the unit, or the channel of a column.
"""

from decimal import Decimal

from tests.formats.sender_layout import Layout

WORLD: dict[str, tuple[Layout, dict[str, str]]] = {
    "Green Mountain Power": (
        Layout(
            header="ServiceAgreement,IntervalStart,IntervalEnd,Quantity,UnitOfMeasure",
            row="4455,{s:%m/%d/%Y %H:%M:%S},{e:%m/%d/%Y %H:%M:%S},{v[0]},kWh",
            zone="America/New_York",
            decimal=".",
        ),
        {},
    ),
    "UtilityAPI": (
        Layout(
            header="meter_uid,utility,utility_meter_number,interval_start,interval_end,interval_kWh,interval_kW",
            row="123456,PGE,100,{s:%m/%d/%Y %H:%M},{e:%m/%d/%Y %H:%M},{v[0]},7.5",
            zone="America/Chicago",
            decimal=".",
        ),
        {},
    ),
    "Israel Electric": (
        Layout(
            above="שם לקוח,כתובת\nלקוח,רחוב 1\nמספר חוזה,מספר מונה\n12,34\n",
            header='תאריך,מועד תחילת הפעימה,"צריכה בקוט""ש"',
            row="{s:%d/%m/%Y},{s:%H:%M},{v[0]}",
            zone="Asia/Jerusalem",
            decimal=".",
        ),
        {},
    ),
    "CFE": (
        Layout(
            header="Fecha,Hora,kWh entregados,kWh recibidos",
            row="{s:%d/%m/%Y},{s:%H:%M},{v[0]},{v[1]}",
            channels=("import", "export"),
            zone="America/Mexico_City",
            decimal=".",
        ),
        {},
    ),
    "Chile, withdrawn and injected": (
        Layout(
            header="Fecha;Hora;Energía Activa Retirada [kWh];Energía Activa Inyectada [kWh]",
            row="{s:%d-%m-%Y};{s:%H:%M};{v[0]};{v[1]}",
            channels=("import", "export"),
            zone="America/Santiago",
            encoding="cp1252",
            minutes=60,
        ),
        {},
    ),
    "Romania, delivered": (
        Layout(
            header="Loc consum;Data;Ora;Energie activa consumata (kWh);Energie activa livrata (kWh)",
            row="RO1;{s:%d.%m.%Y};{s:%H:%M};{v[0]};{v[1]}",
            channels=("import", "export"),
            zone="Europe/Bucharest",
            minutes=60,
        ),
        {},
    ),
    "HEP": (
        Layout(
            header="Datum;Vrijeme;Energija primljena (kWh);Energija predana (kWh)",
            row="{s:%d.%m.%Y}.;{s:%H:%M};{v[0]};{v[1]}",
            channels=("import", "export"),
            zone="Europe/Zagreb",
        ),
        {},
    ),
    "E.ON (Hungary)": (
        Layout(
            header="Dátum/Idő|+A|-A",
            row="{s:%Y-%m-%d %H:%M}|{v[0]}|{v[1]}",
            below="MAXIMUM ÉRTÉK|1|1\nÖSSZEG||\n",
            channels=("import", "export"),
            zone="Europe/Budapest",
            is_workbook=True,
            decimal=".",
        ),
        {},
    ),
    "EKZ": (
        Layout(
            header="Zeitpunkt;Wirkenergie Bezug HT [kWh];Wirkenergie Bezug NT [kWh]",
            row="{s:%d.%m.%Y %H:%M:%S};{v[0]};{v[1]}",
            channels=("import", "import"),
            zone="Europe/Zurich",
            decimal=".",
        ),
        {},
    ),
    "Leneda": (
        Layout(
            header="Metering point,OBIS code,Unit,Start,Value,Calculated",
            row="LU1,1-1:1.29.0,kW,{s:%Y-%m-%d %H:%M:%S},{v[0]},false",
            zone="Europe/Luxembourg",
            factor=Decimal("0.25"),
            decimal=".",
        ),
        {},
    ),
    "Flick Electric": (
        Layout(
            header="icp_number,started_at,ended_at,units,unit_code,status",
            row="0000123456UN1A2,{so},{eo},{v[0]},kwh,final",
            zone="Pacific/Auckland",
            minutes=30,
            decimal=".",
        ),
        {"final": "actual"},
    ),
    "CLP": (
        Layout(
            header="Date,Time,Consumption (kWh)",
            row="{s:%Y/%m/%d},{s:%H:%M}-{e:%H:%M},{v[0]}",
            zone="Asia/Hong_Kong",
            minutes=30,
            decimal=".",
        ),
        {},
    ),
    "Meralco": (
        Layout(
            header="METER NO,DATE,TIME,KWH DEL,KW DEL",
            row="MER123,{s:%m/%d/%Y},{s:%H:%M},{v[0]},9.5",
            zone="Asia/Manila",
            decimal=".",
        ),
        {},
    ),
    "Kazakhstan": (
        Layout(
            header="Дата;Время;Активная прием, кВт*ч",
            row="{s:%d.%m.%Y};{s:%H:%M};{v[0]}",
            zone="Asia/Almaty",
            encoding="cp1251",
            minutes=30,
        ),
        {},
    ),
    "City Power": (
        Layout(
            header="Start Time,End Time,kWh,kVA",
            row="{s:%Y-%m-%d %H:%M},{e:%Y-%m-%d %H:%M},{v[0]},91.5",
            zone="Africa/Johannesburg",
            minutes=30,
            decimal=".",
        ),
        {},
    ),
    "Kamstrup READy (water)": (
        Layout(
            header="Serial number;Meter type;Date;Time;Volume [m3];Info code",
            row="6700;flowIQ;{s:%d-%m-%Y};{s:%H:%M};{v[0]};0",
            channels=("consumption",),
            zone="Europe/Copenhagen",
            is_dial=True,
            minutes=60,
        ),
        {},
    ),
    "a logger with parts of dates": (
        Layout(
            header="Year,Month,Day,Hour,Minute,Consumption kWh",
            row="{s.year},{s.month},{s.day},{s.hour},{s.minute},{v[0]}",
            zone="Europe/Dublin",
            decimal=".",
        ),
        {},
    ),
    "Fox ESS": (
        Layout(
            header="Time,generationPower(kW),feedinPower(kW),loadsPower(kW),gridConsumptionPower(kW),SoC(%)",
            row="{s:%Y-%m-%d %H:%M:%S},{v[0]},{v[1]},{v[2]},{v[3]},40",
            channels=("generation", "export", "consumption", "import"),
            zone="Europe/London",
            factor=Decimal("0.25"),
            decimal=".",
        ),
        {},
    ),
    "Tridium Niagara": (
        Layout(
            header="Timestamp,Trend Flags,Status,Value",
            row="{s:%Y-%m-%d %H:%M:%S},{{ }},{{{{ok}}}},{v[0]} kW-hr",
            zone="America/Denver",
            is_dial=True,
            decimal=".",
        ),
        {},
    ),
}
