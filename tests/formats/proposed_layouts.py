"""Files in the layouts of senders without a shipped mapping, and what a person answers to their proposals."""

from decimal import Decimal
from typing import Any

from tests.formats.sender_layout import Layout

_NL: dict[str, Any] = {"zone": "Europe/Amsterdam", "minutes": 1440}
_US: dict[str, Any] = {"zone": "America/Denver", "decimal": "."}
_HOUR: dict[str, Any] = {"minutes": 60, "count": 48, "decimal": "."}
_WH = Decimal("0.001")
_BOTH = ("import", "import", "export", "export")
# Two lines of header: the upper one has the medium, the direction and the unit of a group of columns.
_GROUPS = (
    "|Stroom [kWh]|||||Gas [m3]|||Stroom teruglevering[kWh]||||\n"
    "Datum|Meterstand laagtarief (El 1)|Meterstand hoogtarief (El 2)|Verbruik laag tarief|"
    "Verbruik hoog tarief|Geschat?|Meterstand|Verbruik|Geschat?|Meterstand laagtarief (El 3)|"
    "Meterstand hoogtarief (El 4)|Teruglevering laag tarief|Teruglevering hoog tarief|Geschat?"
)
_SMA = (
    "\ufeffsep=,\nVersion CSV3|Tool WebUI|Linebreaks CR/LF|Delimiter comma\n\n,STP,STP\n,SUNNY,SUNNY\n,1,1\n"
    ",Metering.TotWhOut,Metering.GridMs.TotWhOut\n,Analog,Analog\n"
)
_STEIERMARK = (
    "Anlagennummer|Zählpunkt|Tarif|Leistungszeitraum Beginn|Leistungszeitraum Ende|Leistung|Einheit|"
    "Messwert: VAL...gemessen, EST...rechnerisch ermittelt"
)
_GRAZ = ";".join(
    ["Ablesezeitpunkt"]
    + [
        f"{kind} {tariff}"
        for tariff in ("Gesamt - 1.8.0", "Hochtarif - 1.8.1", "Niedertarif - 1.8.2")
        for kind in ("Zaehlerstand", "Verbrauch", "Status")
    ]
)
_SGE = (
    "Identifiant PRM;Date de debut;Date de fin;Grandeur physique;Grandeur metier;Etape metier;Unite;"
    "Horodate;Valeur;Nature;Pas"
)
_SOLARMAN = (
    "Plant Name|Updated Time|Time Zone|Production-Today(kWh)|Consumption-Today(kWh)|"
    "Feed-in Power-Today(kWh)|Energy Purchased-Today(kWh)|Energy Charged-This Day(kWh)|"
    "Energy Discharged-This Day(kWh)|Self-used Ratio(%)|Anticipated Yield(EUR)"
)
_VANONS = (
    'datum;"afname stand dal";"afname stand normaal";"invoeding stand dal";"invoeding stand normaal";'
    '"afname minus invoeding stand totaal";"afname verbruik dal";"afname verbruik normaal";'
    '"invoeding productie dal";"invoeding productie normaal";"afname minus invoeding verbruik totaal"'
)
_FLUVIUS = (
    "Van datum;Van tijdstip;Tot datum;Tot tijdstip;EAN-code;Meter;Metertype;Register;Volume;Eenheid;"
    "Validatiestatus;Calorische Bovenwaarde"
)
_GAS = '{s:%d-%m-%Y;%H:%M:%S};{e:%d-%m-%Y;%H:%M:%S};="541999999999999999";7F1;Digitale Meter;Afname;'

# The layout, and the answers to what the proposal leaves empty: by column, word or field.
PROPOSED: dict[str, tuple[Layout, dict[str, str]]] = {
    "Netze BW": (
        Layout(
            header="Datum;Uhrzeit;Wert (kWh);Status",
            row="{e:%d.%m.%Y;%H:%M};{v[0]};gemessen",
            zone="Europe/Berlin",
            encoding="cp1252",
            count=96,
        ),
        {},
    ),
    "P1 Monitor": (
        Layout(
            header="time,Import T1 kWh,Import T2 kWh,Export T1 kWh,Export T2 kWh",
            row="{s:%Y-%m-%d %H:%M:%S},{v[0]},{v[1]},{v[2]},{v[3]}",
            channels=_BOTH,
            decimal=".",
            is_dial=True,
        ),
        {},
    ),
    "Hydro-Quebec": (
        Layout(
            header="Contrat;Date et heure;kWh;Code de consommation;Température moyenne (°C)",
            row="0301234567;{s:%Y-%m-%d %H:%M:%S};{v[0]};R;{n}",
            zone="America/Toronto",
            minutes=60,
            encoding="latin-1",
        ),
        {},
    ),
    "BC Hydro": (
        Layout(
            header='"Account Number","Meter Number","Interval Start Date/Time","Inflow (kWh)",'
            '"Outflow (kWh)","Net Consumption (kWh)","Demand (kW)"',
            row='"12345","\'3344556","{s:%Y-%m-%d %H:%M}","{v[0]}","{v[1]}","{v[2]}","N/A"',
            channels=("import", "export", None),
            **_US,
        ),
        {},
    ),
    "Southern California Edison": (
        Layout(
            header='"Energy Delivered time period","Usage(Real energy in kilowatt-hours)","Reading quality"',
            row='"{s:%Y-%m-%d %H:%M:%S}\u00a0to\u00a0{e:%Y-%m-%d %H:%M:%S}","{v[0]}",""',
            above='"Energy Usage Information"\n"For location:  1 MAIN ST"\n\n',
            **_US,
        ),
        {},
    ),
    "Eskom": (
        Layout(
            header="Date,Time,kWh,kVA",
            row="{s:%Y/%m/%d,%H:%M},{v[0]},{v[1]}",
            channels=("import", None),
            zone="Africa/Johannesburg",
            decimal=".",
            minutes=30,
            count=96,
        ),
        {},
    ),
    "Brazilian load profile": (
        Layout(
            header="Data;Hora;Demanda Ativa (kW);Energia Ativa (kWh);Energia Reativa (kVArh)",
            row="{s:%d/%m/%Y;%H:%M};{v[0]};{v[1]};{v[2]}",
            channels=(None, "import", "reactive_import"),
            zone="America/Sao_Paulo",
            count=96,
        ),
        {},
    ),
    "Fronius Solar.web": (
        Layout(
            header="Datum und Uhrzeit;Energie ins Netz eingespeist;Energie vom Netz bezogen;PV Produktion",
            row="{s:%d.%m.%Y %H:%M};{v[0]};{v[1]};{v[2]}",
            channels=("export", "import", "generation"),
            minutes=5,
            count=96,
        ),
        {},
    ),
    "inverter portal with a counter of the day": (
        Layout(
            header="Time,Pac(W),EacTotal(kWh)",
            row="{s:%Y-%m-%d %H:%M:%S},{n},{v[0]}",
            channels=("generation",),
            decimal=".",
            is_dial=True,
        ),
        {},
    ),
    "Agder Energi": (
        Layout(
            header="Fra;Til;KWH 60 Forbruk;Kvalitet",
            row="{s:%d.%m.%Y %H:%M};{e:%d.%m.%Y %H:%M};{v[0]};Målt",
            minutes=60,
            zone="Europe/Oslo",
            count=48,
        ),
        {},
    ),
    "a minus of typesetters": (
        Layout(
            header="Moment\tAfname (kWh)\tInjectie (kWh)",
            row="{s:%d-%m-%Y %H:%M}\t{v[0]}\t\u2212{v[1]}",
            channels=("import", "export"),
            zone="Europe/Brussels",
            encoding="utf-16",
        ),
        {},
    ),
    "IKB": (
        Layout(
            header='\ufeff"Datum","AT1 ab 15.03.2024 00:15"',
            row='"{e:%d.%m.%Y %H:%M}","{v[0]}"',
            count=96,
            decimal=".",
        ),
        {},
    ),
    "Stromnetz Graz, of 2024": (
        Layout(
            above="Lieferrichtung: Bezug;;;;;;;;;\n",
            header=_GRAZ,
            row="{eo};79{n:02}.828;{v[0]};VAL;;;;;;",
            count=96,
            decimal=".",
        ),
        {},
    ),
    "KWG": (
        Layout(
            header="Lastprofil|\nDaten 1:  Verbrauch lt. Messung IME|\nDatum|Daten 1",
            row="{e:%d.%m.%Y %H:%M}|{v[0]}",
            is_workbook=True,
            **_HOUR,
        ),
        {},
    ),
    "Energienetze Steiermark, average power": (
        Layout(
            header=_STEIERMARK,
            row="123456789|AT0099900000000000000000000000001||{s:%d.%m.%Y %H:%M}|{e:%d.%m.%Y %H:%M}|"
            "{v[0]}|KW|VAL",
            factor=Decimal("0.25"),
            decimal=".",
            is_workbook=True,
        ),
        {},
    ),
    "Fluvius, gas": (
        Layout(
            header=_FLUVIUS,
            row=_GAS + "{v[0]};kWh;Gevalideerd;Definitief\n" + _GAS + "{v[1]};m³;Gevalideerd;",
            channels=("other", "consumption"),
            minutes=60,
            zone="Europe/Brussels",
        ),
        {"kWh": "other", "Gevalideerd": "actual"},
    ),
    "Liander": (
        Layout(
            header="eancodeasn,meternummer,meterreadingdate,reading1,usage1,reading2,usage2,reading3,usage3",
            row="871999999999999999,E1,{s:%d-%m-%Y},{v[0]},,{v[1]},,0,,",
            channels=("import", "import"),
            decimal=".",
            is_dial=True,
            **_NL,
        ),
        {"channel": "import"},
    ),
    "GreenChoice": (
        Layout(
            header="OpnameDatum;StandNormaal;StandDal;TerugleveringNormaal;TerugleveringDal",
            row="{s:%Y-%m-%d};{v[0]};{v[1]};{v[2]};{v[3]}",
            channels=_BOTH,
            is_dial=True,
            newest_first=True,
            **_NL,
        ),
        {"StandNormaal": "import", "StandDal": "import"},
    ),
    "Oxxio, Eneco": (
        Layout(
            header=_GROUPS,
            row="{s:%Y-%m-%d}|156{n:02}.5|177{n:02}.5|{v[0]}|{v[1]}|N|110{n:02}.5|{v[2]}|N|0.0|0.0|{v[3]}|"
            "{v[4]}|N",
            channels=("import", "import", "consumption", "export", "export"),
            decimal=".",
            is_workbook=True,
            **_NL,
        ),
        {},
    ),
    "VanOns": (
        Layout(
            header=_VANONS,
            row="{s:%d-%m-%Y};13{n:02};1458;39;97;2689;{v[0]};{v[1]};{v[2]};{v[3]};15",
            channels=_BOTH,
            newest_first=True,
            **_NL,
        ),
        {},
    ),
    "NextEnergy": (
        Layout(
            header="Date Time UTC|Reading Start|Usage|Unit|Direction|Is Missing|Meter|Accesspoint EAN|"
            "Contract",
            row="\n".join(
                f"{{u:%Y-%m-%d %H:%M:%S}}|4330.311|{{v[{n}]}}|kWh|{way}|False|E99999|888888888888888888|"
                for n, way in enumerate(("levering", "teruglevering"))
            ),
            channels=("import", "export"),
            zone="Europe/Amsterdam",
            is_workbook=True,
            **_HOUR,
        ),
        {},
    ),
    "HomeWizard, gas": (
        Layout(
            header="time,Total gas used",
            row="{s:%Y-%m-%d %H:%M},{v[0]}",
            channels=("consumption",),
            zone="Europe/Amsterdam",
            decimal=".",
            is_dial=True,
        ),
        {"unit": "m3"},
    ),
    "Datadis, CSV": (
        Layout(
            header="cups;fecha;hora;consumo_kWh;metodoObtencion;energiaVertida_kWh;energiaGenerada_kWh;"
            "energiaAutoconsumida_kWh",
            row="ES1;{s:%Y/%m/%d};{n:02}:00;{v[0]};Real;{v[1]};;",
            channels=("import", "export"),
            minutes=60,
            zone="Europe/Madrid",
            count=24,
        ),
        {},
    ),
    "Enedis, by SGE": (
        Layout(
            header=_SGE,
            row="14999999999999;2024-03-15;2024-03-20;EA;CONS;BRUT;W;{eo};{v[0]};R;PT30M",
            minutes=30,
            count=48,
            zone="Europe/Paris",
            decimal=".",
            factor=Decimal("0.0005"),
        ),
        {},
    ),
    "PG&E, import and export": (
        Layout(
            above="Name,A\n\n",
            header="TYPE,DATE,START TIME,END TIME,IMPORT (kWh),EXPORT (kWh),COST,NOTES",
            row="Electric usage,{s:%Y-%m-%d,%H:%M},{s:%H}:59,{v[0]},{v[1]},$0.01,",
            channels=("import", "export"),
            minutes=60,
            **_US,
        ),
        {},
    ),
    "PG&E, gas": (
        Layout(
            above="Name,A\n\n",
            header="TYPE,DATE,START TIME,END TIME,USAGE (therms),COST,NOTES",
            row="Natural gas usage,{s:%Y-%m-%d},00:00,23:59,{v[0]},$1.0,",
            channels=("consumption",),
            minutes=1440,
            **_US,
        ),
        {},
    ),
    "United Power, received": (
        Layout(
            above=" ====\n Meter Reading Information\n ====\n",
            header=" Energy consumption time period,Usage(Real energy in kilowatt-hours),Events occurred",
            row=" {s:%Y-%m-%d %H:%M} to {e:%Y-%m-%d %H:%M},-{v[0]},,",
            channels=("export",),
            minutes=60,
            **_US,
        ),
        {"channel": "export"},
    ),
    "Grafana": (
        Layout(header='"Time","kWh.first"', row="{s:%Y-%m-%d %H:%M:%S},{v[0]}", is_dial=True, **_HOUR),
        {},
    ),
    "InfluxDB": (
        Layout(
            header='"time","kWh.first_value"',
            row='"{s:%Y-%m-%dT%H:%M:%S}.000+01:00","{v[0]}"',
            is_dial=True,
            **_HOUR,
        ),
        {},
    ),
    "SMA, days": (
        Layout(
            above=_SMA,
            header="DD.MM.YYYY hh:mm:ss,[Wh],[Wh]",
            row="{s:%d.%m.%Y %H:%M:%S},{v[0]},{v[1]}",
            channels=("generation", "export"),
            minutes=1440,
            decimal=".",
            factor=_WH,
        ),
        {"2": "generation", "3": "export"},
    ),
    "Solarman": (
        Layout(
            header=_SOLARMAN,
            row="Casa|{s:%Y/%m/%d}| UTC+01:00 |{v[0]}|{v[1]}|{v[2]}|{v[3]}|{v[4]}|{v[5]}|40.07|",
            channels=("generation", "consumption", "export", "import", "other", "other"),
            minutes=1440,
            decimal=".",
            is_workbook=True,
        ),
        {},
    ),
}

# The layout, and the rule or words by which it is refused.
REFUSED: dict[str, tuple[Layout, str]] = {
    "Xcel Energy, bills": (
        Layout(
            header="Bill Date,Electric Charges,Gas Charges,Electric Usage (kWh),Gas Usage (Therms),"
            "Total Charges",
            row='"{e:%m/%d/%Y}","89.45","23.32","{v[0]}","12","112.77"',
            minutes=1440 * 30,
            count=14,
            **_US,
        ),
        "totals of months or bills",
    ),
    "EnergyControl": (
        Layout(
            above="\ufeffWasser;19.09.24;\n;;\n",
            header="Datum;Zeit;Zählerstand",
            row="{s:%d.%m.%y};11:39;{v[0]}",
            minutes=1440,
            is_dial=True,
        ),
        "NOT USABLE",
    ),
    "United Power, received and delivered": (
        Layout(
            header=" Energy consumption time period,Usage(Real energy in kilowatt-hours),Events occurred",
            row=" {s:%Y-%m-%d %H:%M} to {e:%Y-%m-%d %H:%M},-{v[0]},,\n"
            " {s:%Y-%m-%d %H:%M} to {e:%Y-%m-%d %H:%M},{v[1]},,",
            channels=("export", "import"),
            minutes=60,
            **_US,
        ),
        "NOT USABLE: MAP-CONFLICT",
    ),
}
