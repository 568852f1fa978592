"""Files in the layouts of senders around the world, invented beside their public descriptions.

As in `proposed_layouts`: the layout, and the answers to what a proposal leaves empty.
"""

from decimal import Decimal
from typing import Any

from tests.formats.sender_layout import Layout, day_row

_HOUR: dict[str, Any] = {"minutes": 60, "count": 48}
_QUARTER, _WH = Decimal("0.25"), Decimal("0.001")
_HOURS_ENDING = ",".join(f"HE{hour:02}" for hour in range(1, 25))

OUTSIDERS: dict[str, tuple[Layout, dict[str, str]]] = {
    "ComEd": (
        Layout(
            header=f"ACCOUNT NUMBER,METER NUMBER,USAGE DATE,INTERVAL LENGTH (MINUTES),{_HOURS_ENDING}",
            row="9876543210,230012345,{s:%m/%d/%Y},60," + day_row(24).replace(";", ","),
            channels=("import",) * 24,
            minutes=1440,
            decimal=".",
            zone="America/Chicago",
            count=8,
        ),
        {},
    ),
    "Emporia Vue": (
        Layout(
            header="Time Bucket (America/New_York),Home-Mains_A (kWhs),Home-Mains_B (kWhs),"
            "Home-Dryer-3 (kWhs)",
            row="{s:%m/%d/%Y %H:%M:%S},{v[0]},{v[1]},{v[2]}",
            channels=("import", "import", "other"),
            decimal=".",
            zone="America/New_York",
            **_HOUR,
        ),
        {
            "Home-Mains_A (kWhs)": "import",
            "Home-Mains_B (kWhs)": "import",
            "Home-Dryer-3 (kWhs)": "other",
        },
    ),
    "eGauge": (
        Layout(
            header='"Date & Time","Usage [kWh]","Generation [kWh]"',
            row='"{s:%Y-%m-%d %H:%M}",{v[0]},{v[1]}',
            channels=("consumption", "generation"),
            decimal=".",
            zone="America/Denver",
            is_dial=True,
            newest_first=True,
            **_HOUR,
        ),
        # Usage that never stands still is that of the site.
        {"Usage [kWh]": "consumption"},
    ),
    "Sunny Portal, energy balance": (
        Layout(
            above="sep=;\n",
            header="Zeitraum;Direktverbrauch [kWh];Netzeinspeisung [kWh];Gesamtertrag [kWh];Netzbezug [kWh]",
            row="{s:%d.%m.%Y};{v[0]};{v[1]};{v[2]};{v[3]}",
            channels=("other", "export", "generation", "import"),
            minutes=1440,
            zone="Europe/Berlin",
        ),
        {},
    ),
    "E3/DC": (
        Layout(
            header='"Zeitstempel";"Ladezustand [%]";"Netzeinspeisung [W]";"Netzbezug [W]";'
            '"Solarproduktion [W]"',
            row='"{s:%d.%m.%Y %H:%M:%S}";44;{v[0]};{v[1]};{v[2]}',
            channels=("export", "import", "generation"),
            factor=_QUARTER * _WH,
            zone="Europe/Berlin",
        ),
        {},
    ),
    "smart-me": (
        Layout(
            header="Date;Counter Reading Import;Counter Reading Export;Active Power;Temperature",
            row="{u:%Y-%m-%dT%H:%M:%SZ};{v[0]};{v[1]};1.2;0",
            channels=("import", "export"),
            decimal=".",
            zone="Europe/Zurich",
            is_dial=True,
        ),
        {},
    ),
    "ČEZ Distribuce": (
        Layout(
            header='Datum;"Profil +A (kW)";"Status";"Profil -A (kW)";"Status"',
            row="{e:%d.%m.%Y %H:%M:%S};{v[0]};naměřená data OK;{v[1]};naměřená data OK",
            channels=("import", "export"),
            factor=_QUARTER,
            zone="Europe/Prague",
            count=96,
        ),
        {"naměřená data OK": "actual"},
    ),
    "Tauron eLicznik": (
        Layout(
            header="Data;Wartość kWh;Rodzaj",
            row="{e:%Y-%m-%d %H:%M};{v[0]};pobór\n{e:%Y-%m-%d %H:%M};{v[1]};oddanie",
            channels=("import", "export"),
            zone="Europe/Warsaw",
            **_HOUR,
        ),
        {},
    ),
    "Elering": (
        Layout(
            header="Periood;Tarbitud energia (kWh);Börsihind (senti/kWh)",
            row="{s:%d.%m.%Y %H:%M};{v[0]};{v[1]}",
            channels=("import", None),
            zone="Europe/Tallinn",
            **_HOUR,
        ),
        {},
    ),
    "Caruna": (
        Layout(
            header="Aika;Kulutus kWh;Tuotanto kWh;Lämpötila",
            row="{s:%d.%m.%Y %H:%M};{v[0]};{v[1]};-1,5",
            channels=("import", "generation"),
            zone="Europe/Helsinki",
            **_HOUR,
        ),
        {"Kulutus kWh": "import"},
    ),
    "Moj elektro": (
        Layout(
            header="Časovna značka;Energija A+;Energija A-;P+ Prejeta delovna moč;P- Oddana delovna moč",
            row="{s:%Y-%m-%d %H:%M:%S};{v[0]};{v[1]};{v[2]};{v[3]}",
            channels=("import", "export", None, None),
            zone="Europe/Ljubljana",
            count=96,
        ),
        {},
    ),
    "Kansai, half-hours": (
        Layout(
            header="年月日,時刻,使用量(kWh)",
            row="{s:%Y/%m/%d},{s:%H:%M},{v[0]}",
            decimal=".",
            minutes=30,
            zone="Asia/Tokyo",
            count=96,
        ),
        {},
    ),
    "SP Group": (
        Layout(
            header="Date/Time,Usage(kWh)",
            row='"{s:%d %b %Y %I:%M %p}",{v[0]}',
            decimal=".",
            minutes=30,
            zone="Asia/Singapore",
            count=96,
        ),
        {},
    ),
    "Indian load survey": (
        Layout(
            header="S.No,Meter No,RTC,Avg. Voltage (V),Block energy kWh (Import),Block energy kVAh (Import),"
            "Block energy kWh (Export),Block energy kVAh (Export)",
            row="{n},SC10012345,{s:%d-%m-%Y %H:%M:%S},231.2,{v[0]},{v[1]},{v[2]},{v[3]}",
            channels=("import", None, "export", None),
            decimal=".",
            minutes=30,
            zone="Asia/Kolkata",
            count=96,
        ),
        {},
    ),
    "Powerpal": (
        Layout(
            header="datetime_utc,datetime_local,watt_hours,cost_dollars,is_peak",
            row="{u:%Y-%m-%d %H:%M:%S},{s:%Y-%m-%d %H:%M:%S},{v[0]},{v[1]},false",
            channels=("import", None),
            decimal=".",
            factor=_WH,
            minutes=1,
            zone="UTC",
        ),
        {},
    ),
    "Victron VRM": (
        Layout(
            header="timestamp,Grid to consumers,PV to grid,PV to battery,Battery to consumers\n"
            "Europe/Amsterdam (+02:00),kWh,kWh,kWh,kWh",
            row="{s:%Y-%m-%d %H:%M:%S},{v[0]},{v[1]},{v[2]},{v[3]}",
            channels=("import", "export", "other", "other"),
            decimal=".",
            zone="Europe/Amsterdam",
            **_HOUR,
        ),
        {},
    ),
}
