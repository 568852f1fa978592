"""Files in the layouts of Austrian senders, with invented values."""

from tests.formats.sender_layout import Layout

_GERMAN = "{s:%d.%m.%Y %H:%M};{e:%d.%m.%Y %H:%M};"
_METER = {"identifier": "M1"}
_EXPORT = {"identifier": "M1", "channel": "export"}
_POINT = "AT0099900000000000000000000000001"

AUSTRIAN: dict[str, Layout] = {
    "netz_noe": Layout(
        header="\ufeffMesszeitpunkt;Verbrauch (kWh);", row="{e:%d.%m.%Y %H:%M};{v[0]};", words=_METER
    ),
    "netz_noe_feed_in": Layout(
        header="\ufeffMesszeitpunkt;Einspeisung (kWh);",
        row="{e:%d.%m.%Y %H:%M};{v[0]};",
        channels=("export",),
        words=_METER,
    ),
    "netz_noe_quality": Layout(
        header="Messzeitpunkt;Verbrauch (kWh);Qualität;", row="{e:%d.%m.%Y %H:%M};{v[0]};G;", words=_METER
    ),
    "netz_noe_substitute": Layout(
        header="Messzeitpunkt;Gemessener Verbrauch (kWh);Ersatzwert;",
        row="{e:%d.%m.%Y %H:%M};{v[0]};;",
        words=_METER,
    ),
    "netz_noe_community": Layout(
        header="Messzeitpunkt;Verbrauch (kWh);Restnetzbezug (kWh);Eigendeckung (kWh);Ideeller Anteil (kWh);"
        "Eigendeckung erneuerb. Energie (kWh);",
        row="{e:%d.%m.%Y %H:%M};{v[0]};{v[1]};0,000;0,000;;",
        channels=("consumption", "import"),
        words=_METER,
    ),
    "netz_burgenland": Layout(
        header="Start;Ende;Verbrauch (kWh) - Gesamtverbrauch;Zählerstand (kWh) - Gesamtverbrauch",
        row=" {s:%d.%m.%Y %H:%M:%S}; {e:%d.%m.%Y %H:%M:%S};{v[0]};{n}24,5",
        encoding="cp1252",
        words=_METER,
    ),
    "clam_strom": Layout(
        header="Start;Ende;Vorschub (kWh) - Verbrauch;Zählerstand (kWh) - Verbrauch",
        row=" {s:%d.%m.%Y %H:%M:%S}; {e:%d.%m.%Y %H:%M:%S};{v[0]}000000000639;",
        encoding="cp1252",
        words=_METER,
    ),
    "netz_burgenland_status": Layout(
        above=f"Zählpunktbezeichnung;Kennzahl;Exportiere ab;Exportiere bis\n{_POINT};1.9.0;1;2\n",
        header="Startdatum;Startuhrzeit;Enddatum;Enduhrzeit;Verbrauch (in kWh); Status",
        row="{s:%d.%m.%Y;%H:%M};{e:%d.%m.%Y;%H:%M};{v[0]};Wahrer Wert",
        words=_METER,
    ),
    "netz_burgenland_dial": Layout(
        above=f"Zählpunktbezeichnung;Kennzahl;Exportiere ab;Exportiere bis\n{_POINT};1.9.0;1;2\n",
        header="Startdatum;Startuhrzeit;Enddatum;Enduhrzeit;Verbrauch (in kWh);"
        "Zählerstand um 24 Uhr (in kWh);Status",
        row="{s:%d.%m.%Y;%H:%M};{e:%d.%m.%Y;%H:%M};{v[0]};-;Wahrer Wert",
        words=_METER,
    ),
    "kaernten_netz": Layout(
        above=f"Kundennummer;1;;\nKundenname;N;;\nZP-Nummer;{_POINT};;\nEnergierichtung;Netzbezug;;\n;;;\n",
        header="Datum;Zeit;kWh;Status",
        row="{s:%d.%m.%Y;%H:%M:%S};{v[0]};Der Wert ist gültig",
        channels=("export",),
        encoding="cp1252",
        words=_EXPORT,
    ),
    "kaernten_netz_2025": Layout(
        header="Startdatum;Enddatum;Zählpunktbezeichnung;Name der Energiegemeinschaft;"
        "ID der Energiegemeinschaft;OBIS;OBIS Kurzbeschreibung;Wert;Einheit;Qualität;Qualität Beschreibung",
        row=_GERMAN + _POINT + ";;;;;{v[0]};kWh;L1;Echtwert gemessen",
        channels=("export",),
        encoding="cp1252",
        words={"channel": "export"},
    ),
    "energienetze_steiermark": Layout(
        above="\ufeffsep=;\n",
        header="Anlagennummer;Zaehlpunkt;Tarif;Verbrauchszeitraum Beginn;Verbrauchszeitraum Ende;Verbrauch;"
        "Einheit;Messwert: VAL...gemessen, EST...rechnerisch ermittelt",
        row=f"12345678;{_POINT};;{_GERMAN}{{v[0]}};KWH;VAL",
    ),
    "energienetze_steiermark_values": Layout(
        header="\ufeffAnlagennummer;Zählpunkt;Tarif;Statistikzeitraum Beginn;Statistikzeitraum Ende;Wert;"
        "Einheit;Messwert: VAL...gemessen, EST...rechnerisch ermittelt",
        row=f"12345678;{_POINT};;{_GERMAN}{{v[0]}};KWH;EST",
        channels=("export",),
        words={"channel": "export"},
    ),
    "vorarlberg_netz": Layout(
        above=f"Vertragskonto;1\nZählpunkt;{_POINT}\n\n",
        header="Beginn der Messreihe;Ende der Messreihe;Messwert in kWh",
        row=_GERMAN + "{v[0]}",
        channels=("export",),
        encoding="utf-16-le",
        words=_EXPORT,
    ),
    "salzburg_netz_profile": Layout(
        header='\ufeff"Datum und Uhrzeit";"Lastgänge (306,499 kWh)";"Status"',
        row='"{s:%Y-%m-%d %H:%M:%S}";{v[0]};"Wert ist gültig"',
        words={"identifier": "M1", "channel": "import"},
    ),
    "salzburg_netz_profile_point": Layout(
        header='\ufeff"Datum und Uhrzeit";"Lastgänge (6,499 kWh)";"Status"',
        row='"{s:%Y-%m-%d %H:%M:%S}";{v[0]};"Wert wurde geschätzt"',
        decimal=".",
        words={"identifier": "M1", "channel": "import"},
    ),
    "salzburg_netz_rest": Layout(
        header='\ufeff"Datum und Uhrzeit";"Restverbrauch (94,373 kWh)";"Status"',
        row='"{s:%Y-%m-%d %H:%M:%S}";{v[0]};"Wert ist gültig"',
        words=_METER,
    ),
    "salzburg_netz_rest_2024": Layout(
        header='"Datum";"Restverbrauch (kWh)";"Status"',
        row='"{s:%d.%m.%Y %H:%M:%S}";{v[0]};"Wert ist gültig(L1)"',
        words=_METER,
    ),
    "salzburg_netz_2026": Layout(
        header='"Datum";"Verbrauch (kWh)";"Status";"Zeitumstellung"',
        row='"{s:%d.%m.%Y %H:%M:%S}";{v[0]};"Wert ist gültig(L1)";""',
        words=_METER,
    ),
    "linz_netz": Layout(
        header="Datum von;Datum bis;Verbrauch in kWh;Ersatzwert", row=_GERMAN + "{v[0]};", words=_METER
    ),
    "linz_netz_2023": Layout(
        header="Datum von;Datum bis;Energiemenge in kWh;Ersatzwert",
        row=_GERMAN + "{v[0]}; ",
        channels=("export",),
        words=_EXPORT,
    ),
    "stromnetz_graz": Layout(
        header="Ablesezeitpunkt,Zaehlerstand Einheitstarif,Zaehlerstand Hochtarif,Zaehlerstand Niedertarif,"
        "Verbrauch Einheitstarif,Verbrauch Hochtarif,Verbrauch Niedertarif",
        row="{eo},284.{n},0,0,{v[0]},0,0",
        decimal=".",
        words=_METER,
    ),
    "wiener_netze": Layout(
        header=f"\ufeffDatum;Zeit von;Zeit bis;House - {_POINT} - Verbrauch [kWh];;",
        row="{s:%d.%m.%Y;%H:%M:%S};{e:%H:%M:%S};{v[0]};;",
        words=_METER,
    ),
    "wiener_netze_feed_in": Layout(
        header=f"\ufeffDatum;Zeit von;Zeit bis;{_POINT} (1111111111) - Einspeiser [kWh]",
        row="{s:%d.%m.%Y;%H:%M:%S};{e:%H:%M:%S};{v[0]}",
        channels=("export",),
        words=_METER,
    ),
    "wiener_netze_econtrol": Layout(
        header=f"\ufeffEnde Ablesezeitraum;Messintervall;Abrechnungsmaßeinheit;Flat - {_POINT} (0) - "
        "Verbrauch [kWh]",
        row="{e:%Y-%m-%dT%H:%M}+01:00;QH;KWH;{v[0]}",
        words=_METER,
    ),
    "stadtwerke_klagenfurt": Layout(
        header="Typ;Anlage;Zähler;Zählpunkt;OBIS-Code;DatumUhrzeit;Verbrauch;Einheit",
        row=f"Strom;1;;{_POINT};Lastprofil Wirk Lieferung;{{s:%d.%m.%Y %H:%M}};{{v[0]}};kWh",
        channels=("export",),
        encoding="cp1252",
        words={"channel": "export"},
    ),
    "tinetz": Layout(
        above=f"Street [{_POINT}];;;Street [{_POINT}];;\n{_POINT};;;{_POINT};;\n"
        "Strom - Wirkenergie (kWh);;;Strom - Wirkenergie (kWh);;\nkWh;;;kWh;;\n",
        header="DATE_FROM;DATE_TO;VALUE;DATE_FROM;DATE_TO;VALUE",
        row="{n:02}.03.2024 00:00:00;{n:02}.03.2024 23:59:59;{v[1]};{s:%d.%m.%Y %H:%M:%S};"
        "{s:%d.%m.%Y %H}:59:59;{v[0]}",
        channels=("import", None),
        words={"identifier": "M1", "channel": "import"},
    ),
    "tiwag": Layout(
        above=f"{_POINT};;\n{_POINT};;\nWirkenergie;;\nkWh;;\n",
        header="DATE_FROM;DATE_TO;VALUE",
        row="{s:%d.%m.%Y %H:%M:%S};{s:%d.%m.%Y %H}:59:59;{v[0]}",
        channels=("export",),
        words=_EXPORT,
    ),
    "netz_ooe": Layout(
        header="Datum|kWh|kW|Status",
        row="{s:%d.%m.%Y %H:%M}|{v[0]}|{v[1]}|VALID",
        channels=("import", None),
        decimal=".",
        words=_METER,
        is_workbook=True,
    ),
    "ebner_strom": Layout(
        header="Zeitstempel String|Obiscode|Wert (kWh)|Angezeigter Zeitraum\nZählpunkt: AT1|||",
        row="{e:%d.%m.%Y %H:%M}|1.8.0|{v[0]}|March\n{e:%d.%m.%Y %H:%M}|2.8.0|{v[1]}|March",
        channels=("import", "export"),
        decimal=".",
        words=_METER,
        is_workbook=True,
    ),
    "ime_profile": Layout(
        header="Datum|AT1 - 1 Verbrauch (IME, 1.3. - 2.3.) (Verbrauch - Einheit kWh)|"
        "AT1 - 1 Verbrauch (IME, 1.3. - 2.3.) (Zählerstand)",
        row="{s:%d.%m.%Y %H:%M} - {e:%d.%m.%Y %H:%M}|{v[0]}|",
        minutes=60,
        decimal=".",
        words=_METER,
        is_workbook=True,
    ),
}
