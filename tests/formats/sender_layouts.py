"""Files in the layouts of senders that have a shipped mapping, with invented values."""

import datetime
import itertools
from decimal import Decimal

from tests.formats.austrian_layouts import AUSTRIAN
from tests.formats.sender_layout import Layout, day_row

_METER = {"identifier": "M1"}
_EXPORT = {"identifier": "M1", "channel": "export"}
_DAY = datetime.datetime(2024, 1, 1)
_CELLS = [_DAY + datetime.timedelta(minutes=15 * n) for n in range(97)]
_US = {"zone": "America/Denver", "decimal": ".", "words": {"identifier": "M1", "timezone": "America/Denver"}}
_ES = {"zone": "Europe/Madrid", "minutes": 60, "count": 24}
_ENPHASE = (
    "Date/Time,Energy Produced (Wh),Energy Consumed (Wh),Exported to Grid (Wh),Imported from Grid (Wh)",
    "{v[0]},{v[1]},{v[2]},{v[3]}",
    ("generation", "consumption", "export", "import"),
)
_OPOWER = 'Name,A. NAME\nAddress,"1 ROAD, TOWN"\nAccount Number,1\nService,Service 1\n\n'
_WH = Decimal("0.001")

LAYOUTS: dict[str, Layout] = {
    **AUSTRIAN,
    "fluvius_nl": Layout(
        header="\ufeffVan datum;Van tijdstip;Tot datum;Tot tijdstip;EAN;Meter;Metertype;Register;Volume;"
        "Eenheid;Validatiestatus",
        row="\n".join(
            '{s:%d-%m-%Y;%H:%M:%S};{e:%d-%m-%Y;%H:%M:%S};="541999999999999999";1SAG1;Digitale Meter;'
            f"{register};{value};kWh;{state}"
            for register, value, state in (
                ("Afname Nacht", "{v[0]}", "Gevalideerd"),
                ("Injectie Nacht", "{v[1]}", "Geschat"),
                ("Afname Dag", "", "Geen verbruik"),
            )
        ),
        channels=("import", "export"),
        zone="Europe/Brussels",
    ),
    "fluvius_en": Layout(
        header="\ufeffFrom (date);From (time);Until (date);Until (time);EAN code;Meter;Meter type;Register;"
        "Volume;Unit;Validation status;Description",
        row="\n".join(
            '{s:%d/%m/%Y;%H:%M:%S};{e:%d/%m/%Y;%H:%M:%S};="541999999999999999";1SAG1;Digital meter;'
            f"{register};{{v[{place}]}};kWh;Read;"
            for place, register in enumerate(("Offtake Day", "Injection Day"))
        ),
        channels=("import", "export"),
        zone="Europe/Brussels",
    ),
    "engie_nl": Layout(
        header='"Datum","EAN","Verbruik","Type","Piek"',
        row='"{so}","871999999999999999","{v[0]}","Elektriciteit","false"',
        minutes=60,
        zone="Europe/Amsterdam",
        decimal=".",
    ),
    "dsmr_reader": Layout(
        header="Hour Start,Electricity 1 (Dutch Users: Low Tariff),"
        "Electricity 2 (Dutch Users: Normal Tariff),"
        "Electricity 1 Returned (Dutch Users: Low Tariff),"
        "Electricity 2 Returned (Dutch Users: Normal Tariff),Gas",
        row="{so},{v[0]},{v[1]},{v[2]},{v[3]},{v[4]}",
        channels=("import", "import", "export", "export", "consumption"),
        minutes=60,
        zone="Europe/Amsterdam",
        decimal=".",
        words=_METER,
    ),
    "homewizard_p1": Layout(
        header="time,Import T1 kWh,Import T2 kWh,Export T1 kWh,Export T2 kWh",
        row="{s:%Y-%m-%d %H:%M},{v[0]},{v[1]},{v[2]},{v[3]}",
        channels=("import", "import", "export", "export"),
        zone="Europe/Amsterdam",
        decimal=".",
        words=_METER,
        is_dial=True,
    ),
    "homewizard_kwh_meter": Layout(
        header="time,Import kWh,Export kWh,L1 max W,L2 max W,L3 max W",
        row="{s:%Y-%m-%d %H:%M},{v[0]},{v[1]},0,-16,-18",
        channels=("import", "export"),
        zone="Europe/Amsterdam",
        decimal=".",
        words=_METER,
        is_dial=True,
    ),
    "slimmemeterportal": Layout(
        header="datum_tijd|levering_normaal|levering_laag|teruglevering_normaal|teruglevering_laag|"
        "buitentemperatuur",
        row="{e:%d-%m-%Y %H:%M:%S} {z}||{v[0]}||{v[1]}|-",
        channels=("import", "export"),
        zone="Europe/Amsterdam",
        words=_METER,
        is_workbook=True,
    ),
    "zonneplan": Layout(
        header="DateFrom|DateTo|ElectricityEpexPrice|ElectricityConsumptionUsageKwh|"
        "ElectricityConsumptionCostsWithTax|ElectricityProductionUsageKwh|ElectricityProductionCostsWithTax||"
        "GasTtfPrice|GasUsageKwh|GasCostsWithTax",
        row="{s:%Y-%m-%d %H:%M:%S}|{e:%Y-%m-%d %H:%M:%S}|0.034|{v[0]}|0.039|{v[1]}|0.0||0.307|{v[2]}|0.005",
        channels=("import", "export", None),
        minutes=60,
        zone="Europe/Amsterdam",
        decimal=".",
        words=_METER,
        is_workbook=True,
    ),
    "edc_cz": Layout(
        header="Datum;Cas od;Cas do;123456789987654321-987654321123456789",
        row="{s:%d.%m.%Y;%H:%M};{e:%H:%M};{v[0]};",
        channels=("export",),
        zone="Europe/Prague",
        words=_EXPORT,
    ),
    **{
        f"eloverblik_{minutes}": Layout(
            header="\ufeffMålepunktsID;Fra_dato;Til_dato;Mængde;Måleenhed;Kvalitet;Type",
            row="571999999999999999;{s:%d-%m-%Y %H:%M:%S};{e:%d-%m-%Y %H:%M:%S};{v[0]};KWH;Målt;Tidsserie",
            channels=("export",),
            minutes=minutes,
            zone="Europe/Copenhagen",
            words={"channel": "export"},
        )
        for minutes in (15, 60)
    },
    **{
        f"fingrid_datahub_{minutes}": Layout(
            header="MeteringPointGSRN;Product Type;Resolution;Unit Type;Reading Type;Start Time;Quantity;"
            "Quality",
            row=f"643999999999999999;8716867000030;{code};kWh;BN01;{{u:%Y-%m-%dT%H:%M:%SZ}};{{v[0]}};OK",
            minutes=minutes,
            zone="Europe/Helsinki",
            words={"channel": "import"},
        )
        for minutes, code in ((15, "PT15M"), (60, "PT1H"))
    },
    "enedis_load_curve": Layout(
        above="Identifiant PRM;Type de donnees;Date de debut;Date de fin;Grandeur physique;Grandeur metier;"
        "Etape metier;Unite\n1;Courbe de charge;1;2;Energie active;Consommation;Comptage Brut;W\n",
        header="Horodate;Valeur",
        row="{eo};{v[0]}",
        minutes=30,
        zone="Europe/Paris",
        decimal=".",
        factor=Decimal("0.0005"),
        words={"identifier": "M1", "channel": "import"},
    ),
    **{
        f"esb_networks_{unit.lower()}": Layout(
            header="MPRN,Meter Serial Number,Read Value,Read Type,Read Date and End Time",
            row="\n".join(
                f"10999999999,34999999,{{v[{place}]}},Active {way} Interval ({unit}),{{e:%d-%m-%Y %H:%M}}"
                for place, way in enumerate(("Import", "Export"))
            ),
            channels=("import", "export"),
            minutes=30,
            zone="Europe/Dublin",
            decimal=".",
            factor=Decimal(factor),
            newest_first=True,
        )
        for unit, factor in (("kWh", "1"), ("kW", "0.5"))
    },
    "e_distribuzione": Layout(
        header="Giorno;"
        + ";".join(f"{a:%H:%M}-{b:%H:%M}" for a, b in itertools.pairwise(_CELLS))[:-5]
        + "24:00",
        row="{s:%d/%m/%Y};" + day_row(96) + ";",
        channels=("import",) * 96,
        minutes=1440,
        zone="Europe/Rome",
        count=3,
        words=_METER,
    ),
    "e_redes": Layout(
        above="Dados Gerais||||\n||||\nCPE|PT0002||\nIntervalo|15 min|||\n||||\n",
        header="Contador|Data|Hora|Consumo registado, Ativa (kW)|Estado",
        row="C00001|{e:%Y/%m/%d}|{e:%H:%M}|{v[0]}|Real",
        zone="Europe/Lisbon",
        decimal=".",
        factor=Decimal("0.25"),
        is_workbook=True,
    ),
    **{
        name: Layout(header=f"CUPS;Fecha;Hora;{title}", row="ES1;{s:%d/%m/%Y};{n};{v[0]};R", **_ES)  # type: ignore[arg-type]
        for name, title in (
            ("cnmc", "Consumo_kWh;Metodo_obtencion"),
            ("cnmc_consumo", "Consumo;Metodo_obtencion"),
            ("e_distribucion", "AE_kWh;REAL/ESTIMADO"),
        )
    },
    "e_distribucion_surplus": Layout(
        header="CUPS;Fecha;Hora;AE_kWh;AS_kWh;AE_AUTOCONS_kWh;REAL/ESTIMADO",
        row="ES1;{s:%d/%m/%Y};{n};{v[0]};{v[1]};{v[2]};E",
        channels=("import", "export", None),
        **_ES,  # type: ignore[arg-type]
    ),
    "octopus_energy": Layout(
        header="Consumption (kwh), Estimated Cost Inc. Tax (p), Standing Charge Inc. Tax (p), Start, End",
        row="{v[0]}, 4.1, 0.78, {so}, {eo}",
        channels=("export",),
        minutes=30,
        zone="Europe/London",
        decimal=".",
        words=_EXPORT,
    ),
    "octopus_energy_plain": Layout(
        header="Consumption (kWh), Start, End",
        row="{v[0]}, {so}, {eo}",
        channels=("import",),
        minutes=30,
        zone="Europe/London",
        decimal=".",
        words={"identifier": "M1", "channel": "import"},
    ),
    "uk_row_a_reading": Layout(
        header="MPR,ReadDatetime,kWh,ReadType",
        row="1999999999999,{e:%d %b %Y %H:%M:%S},{v[0]},Actual",
        minutes=30,
        zone="Europe/London",
        decimal=".",
    ),
    "uk_row_a_day": Layout(
        header="Site Id,Meter Number,Reading Date," + ",".join(f"{cell:%H:%M}" for cell in _CELLS[:-1:2]),
        row="1,K1,{s:%d/%m/%y}," + day_row(48).replace(";", ","),
        channels=("import",) * 48,
        minutes=1440,
        zone="Europe/London",
        decimal=".",
        count=3,
    ),
    "myenergi_zappi": Layout(
        header="Serial Number,Timestamp,Diverter Energy (L1) (Wh),Diverter Energy (L2) (Wh),"
        "Diverter Energy (L3) (Wh)",
        row="10000001,{s:%Y-%m-%dT%H:%M:%S}.000Z,{v[0]},{v[1]},{v[2]}",
        channels=("consumption",) * 3,
        minutes=60,
        zone="Europe/London",
        decimal=".",
        factor=_WH,
        words={"timezone": "Europe/London"},
    ),
    **{
        f"opower_{minutes}{suffix}{'_net' if negative else ''}": Layout(
            above=_OPOWER,
            header=f"TYPE,DATE,START TIME,END TIME,USAGE (kWh),{extra}NOTES",
            row="Electric usage,{s:%Y-%m-%d,%H:%M},{s:%H}:59,{v[0]}" + (",$0.09" if extra else ""),
            minutes=minutes,
            negative=negative,
            **_US,  # type: ignore[arg-type]
        )
        for minutes in (15, 60)
        for suffix, extra in (("", "COST,"), ("_no_cost", ""))
        for negative in (None, "export")
    },
    "smart_meter_texas": Layout(
        header="ESIID,USAGE_DATE,REVISION_DATE,USAGE_START_TIME,USAGE_END_TIME,USAGE_KWH,ESTIMATED_ACTUAL,"
        "CONSUMPTION_SURPLUSGENERATION",
        row="\n".join(
            "'10999999999999999,{s:%m/%d/%Y},03/20/2024 07:00:00, {s:%H:%M}, {e:%H:%M},"
            f"{{v[{n}]}},A,{way}"
            for n, way in enumerate(("Consumption", "Surplus Generation"))
        ),
        channels=("import", "export"),
        zone="America/Chicago",
        decimal=".",
    ),
    "srp": Layout(
        header="Usage Date,Hour,kWh,Cost",
        row="{s:%m/%d/%Y},{s:%I:%M %p},{v[0]},$0.17",
        below="total\n",
        minutes=60,
        zone="America/Phoenix",
        decimal=".",
        words=_METER,
    ),
    "ameren": Layout(
        above="\ufeffName,A. NAME,,,,,,\nMeter Number,1,,,,,,\n,,,,,,,\n",
        header="Start Interval Date/Time,Meter Id,Usage,Units,Interval,Usage,Units,Interval",
        row="{s:%m/%d/%Y %H:%M},72999999,{v[1]},kwh,60min,{v[0]},kwh,15min",
        channels=("import", None),
        zone="America/Chicago",
        decimal=".",
    ),
    **{
        f"enphase_{order}_{minutes}": Layout(
            header=_ENPHASE[0],
            row=f"{{s:{day} %H:%M}},{_ENPHASE[1]}",
            channels=_ENPHASE[2],
            minutes=minutes,
            factor=_WH,
            **_US,  # type: ignore[arg-type]
        )
        for order, day in (("dmy", "%d/%m/%Y"), ("mdy", "%m/%d/%Y"))
        for minutes in (15, 60)
    },
    "isolarcloud_days": Layout(
        header="\ufeffTime,PV(kWh),Purchased Energy(kWh),Feed-in(kWh),Load(kWh)",
        row="{s:%Y-%m-%d},{v[0]},{v[1]},{v[2]},{v[3]}",
        channels=("generation", "import", "export", "consumption"),
        minutes=1440,
        count=20,
        **_US,  # type: ignore[arg-type]
    ),
    **{
        f"shelly_em3_{phase.lower()}": Layout(
            header=f"Date/time UTC,Active energy Wh ({phase}),Returned energy Wh ({phase})",
            row="{s:%Y-%m-%d %H:%M},{v[0]},{v[1]}",
            channels=("import", "export"),
            minutes=10,
            zone="Etc/UTC",
            decimal=".",
            factor=_WH,
            words=_METER,
        )
        for phase in "ABC"
    },
}
