"""Exports of portals that do not exist, composed at random: words, marks and times of five languages.

Beside the values stand figures that are no energy of their own: dials, costs, power, tariffs, row numbers.
The totals of a file are the plain sums of what was drawn for it.
"""

import datetime
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from zoneinfo import ZoneInfo

UTC = datetime.UTC
ZERO = Decimal(0)
Energy = dict[str, Decimal]


@dataclass(frozen=True)
class Words:
    """The words of a language, each with its choices, and how its people write dates and numbers."""

    zones: tuple[str, ...]
    dates: tuple[str, ...]
    comma: bool
    of_channels: dict[str, tuple[str, ...]]
    timestamp: str
    date: str
    time: str
    end: str
    meter: str
    total: str
    # Figures that are no energy of their own.
    row: str
    temperature: str
    dial: str
    power: str
    cost: str
    net: str
    high: str
    low: str


LANGUAGES = (
    Words(
        ("Europe/London", "America/New_York", "Australia/Sydney"),
        ("%Y-%m-%d", "%d/%m/%Y", "%d %b %Y"),
        False,
        {
            "import": ("Import (kWh)", "Consumption kWh", "Usage (kWh)"),
            "export": ("Export (kWh)", "Feed-in kWh"),
            "generation": ("Generation (kWh)", "Solar production kWh"),
        },
        *("Interval start", "Date", "Time", "Interval end", "Meter ID", "Total"),
        *("No.", "Temperature (°C)", "Meter reading (kWh)", "Power (kW)", "Cost ($)", "Net kWh"),
        *("Peak kWh", "Off-peak kWh"),
    ),
    Words(
        ("Europe/Berlin", "Europe/Vienna"),
        ("%d.%m.%Y", "%Y-%m-%d", "%d.%m.%y"),
        True,
        {
            "import": ("Bezug (kWh)", "Verbrauch kWh"),
            "export": ("Einspeisung (kWh)", "Lieferung kWh"),
            "generation": ("Erzeugung (kWh)",),
        },
        *("Zeitstempel", "Datum", "Uhrzeit", "Ende", "Zählernummer", "Summe"),
        *("Nr.", "Temperatur (°C)", "Zählerstand (kWh)", "Leistung (kW)", "Kosten (EUR)", "Saldo kWh"),
        *("HT kWh", "NT kWh"),
    ),
    Words(
        ("Europe/Paris",),
        ("%d/%m/%Y", "%Y-%m-%d"),
        True,
        {
            "import": ("Consommation (kWh)", "Soutirage kWh"),
            "export": ("Injection (kWh)",),
            "generation": ("Production (kWh)",),
        },
        *("Horodatage", "Date", "Heure", "Fin", "PRM", "Total"),
        *("N°", "Température (°C)", "Index (kWh)", "Puissance (kW)", "Coût (€)", "Net kWh"),
        *("Heures pleines kWh", "Heures creuses kWh"),
    ),
    Words(
        ("Europe/Amsterdam",),
        ("%d-%m-%Y", "%Y-%m-%d"),
        True,
        {
            "import": ("Verbruik (kWh)", "Afname kWh"),
            "export": ("Teruglevering (kWh)", "Invoeding kWh"),
            "generation": ("Opwek (kWh)",),
        },
        *("Tijdstip", "Datum", "Tijd", "Tot", "EAN", "Totaal"),
        *("Nr", "Temperatuur (°C)", "Meterstand (kWh)", "Vermogen (kW)", "Kosten (€)", "Netto kWh"),
        *("Hoog tarief kWh", "Laag tarief kWh"),
    ),
    Words(
        ("Europe/Madrid",),
        ("%d/%m/%Y", "%Y/%m/%d"),
        True,
        {
            "import": ("Consumo (kWh)",),
            "export": ("Excedentes (kWh)", "Vertido kWh"),
            "generation": ("Generación (kWh)",),
        },
        *("Fecha y hora", "Fecha", "Hora", "Fin", "CUPS", "Total"),
        *("Nº", "Temperatura (°C)", "Lectura (kWh)", "Potencia (kW)", "Importe (€)", "Neto kWh"),
        *("Punta kWh", "Valle kWh"),
    ),
)
STARTS = ("2024-01-14", "2024-03-28", "2024-10-24", "2025-06-25", "2024-04-04")
CHANNELS = (["import"], ["import"], ["import", "export"], ["import", "export", "generation"], ["generation"])
FIGURES = {
    "row": 0.2,
    "temperature": 0.15,
    "dial": 0.2,
    "power": 0.15,
    "cost": 0.2,
    "net": 0.15,
    "tariffs": 0.15,
}


@dataclass(frozen=True)
class Composed:
    """A file, the zone of its times, and the energy of each channel in kWh."""

    text: str
    zone: str
    totals: Energy


class Composer:
    """Draws one file."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        draw = self.chance.choice
        self.words = draw(LANGUAGES)
        self.zone = draw(self.words.zones)
        self.minutes = draw((15, 30, 60, 60, 1440))
        self.channels = draw(CHANNELS)
        self.names = {channel: draw(self.words.of_channels[channel]) for channel in self.channels}
        self.delimiter = draw((";", "\t", ","))
        self.decimal = (
            "," if self.words.comma and self.delimiter != "," and self.chance.random() < 0.7 else "."
        )
        self.places = draw((2, 3, 4))
        self.date = draw(self.words.dates)
        self.time = draw(("%H:%M", "%H:%M:%S"))
        kinds = ("start", "end", "both", "apart", "iso", "utc", "seconds")
        self.times = "date" if self.minutes == 1440 else draw(kinds)
        self.meters = draw((1, 1, 2, 3))
        self.figures = {name for name, share in FIGURES.items() if self.chance.random() < share}
        if not {"import", "export"} <= set(self.channels):
            self.figures.discard("net")
        if "import" not in self.channels:
            self.figures.discard("tariffs")
        marks = {",": (".", " ", "\u00a0"), ".": ("'",) if self.delimiter == "," else (",", "'")}
        self.thousands = draw(marks[self.decimal]) if self.chance.random() < 0.25 else ""
        self.missing = draw((0.0, 0.0, 0.03))
        self.has_status, self.is_quoted = self.chance.random() < 0.25, self.chance.random() < 0.2
        self.totals: Energy = dict.fromkeys(self.channels, ZERO)

    def compose(self) -> Composed:
        """Return the file."""
        columns = self._list_columns()
        rows = [row for meter in range(self.meters) for row in self._list_rows(meter, columns)]
        if self.chance.random() < 0.25:
            rows.sort(key=lambda row: row[0], reverse=True)
        lines = [f"Report;{self.chance.randint(1, 999)}".replace(";", self.delimiter)] * (
            self.chance.random() < 0.3
        )
        lines.append(self._join([name for _, name in columns]))
        lines += [self._join(cells) for _, cells in rows]
        if self.chance.random() < 0.3:
            below = [self._write(self.totals[key]) if key in self.totals else "" for key, _ in columns]
            lines.append(self._join([self.words.total, *below[1:]]))
        return Composed("\n".join([*lines, ""]), self.zone, self.totals)

    def _list_columns(self) -> list[tuple[str, str]]:
        """Return the key and the name of each column."""
        words = self.words
        times = {
            "date": [("date", words.date)],
            "end": [("end", words.end)],
            "both": [("start", words.timestamp), ("end", words.end)],
            "apart": [("date", words.date), ("time", words.time)],
            "seconds": [("start", "Unix time")],
        }.get(self.times, [("start", words.timestamp)])
        meter = [("meter", words.meter)]
        values = [(channel, self.names[channel]) for channel in self.channels]
        self.chance.shuffle(values)
        if "tariffs" in self.figures:
            place = [key for key, _ in values].index("import") + self.chance.randint(0, 1)
            values[place:place] = [("high", words.high), ("low", words.low)]
        front = [("row", words.row)] if "row" in self.figures else []
        front += [*meter, *times] if self.chance.random() < 0.6 else [*times, *meter]
        front += [("temperature", words.temperature)] if "temperature" in self.figures else []
        behind = [
            (key, getattr(words, key)) for key in ("net", "power", "dial", "cost") if key in self.figures
        ]
        behind += [("status", "Status")] if self.has_status else []
        return [*front, *values, *behind]

    def _list_rows(
        self, meter: int, columns: list[tuple[str, str]]
    ) -> Iterator[tuple[datetime.datetime, list[str]]]:
        dial = Decimal(self.chance.randint(1000, 90_000))
        for number, (start, end) in enumerate(self._list_intervals(), 1):
            energy = {channel: self._draw(channel, start.hour) for channel in self.channels}
            absent = {channel for channel in self.channels if self.chance.random() < self.missing}
            energy |= dict.fromkeys(absent, ZERO)
            for channel, value in energy.items():
                self.totals[channel] += value
            first = energy[self.channels[0]]
            used, sent = energy.get("import", ZERO), energy.get("export", ZERO)
            high = used if 7 <= start.hour < 21 else ZERO
            high = round(used * Decimal("0.6"), self.places) if self.minutes == 1440 else high
            dial += first
            numbers = {
                **energy,
                **{"high": high, "low": used - high, "net": used - sent, "dial": dial},
                "power": round(first * 60 / self.minutes, self.places),
                "cost": round(first * Decimal("0.2734"), 4),
                "temperature": Decimal(self.chance.randint(-50, 300)) / 10,
            }
            texts = {
                "row": str(number),
                "meter": f"M{1000 + meter}",
                "start": self._name(start),
                "end": self._name(end),
                "date": start.strftime(self.date),
                "time": start.strftime(self.time),
                "status": self.chance.choice("AAAE"),
                **dict.fromkeys(absent, ""),
            }
            cells = [texts[key] if key in texts else self._write(numbers[key]) for key, _ in columns]
            yield start.astimezone(UTC), cells

    def _list_intervals(self) -> list[tuple[datetime.datetime, datetime.datetime]]:
        """Return the start and the end of each interval in local time; some days change the clock."""
        zone, day = ZoneInfo(self.zone), datetime.timedelta(days=1)
        first = datetime.datetime.fromisoformat(self.chance.choice(STARTS))
        if self.minutes == 1440:
            midnights = [(first + n * day).replace(tzinfo=zone) for n in range(41)]
            return list(itertools.pairwise(midnights))
        step = datetime.timedelta(minutes=self.minutes)
        until = (first + self.chance.randint(3, 8) * day).replace(tzinfo=zone).astimezone(UTC)
        at, found = first.replace(tzinfo=zone).astimezone(UTC), []
        while at < until:
            found.append((at.astimezone(zone), (at + step).astimezone(zone)))
            at += step
        return found

    def _draw(self, channel: str, hour: int) -> Decimal:
        is_day = 8 <= hour < 17 or self.minutes == 1440
        most = 1.2 if channel == "import" else 2.5 * is_day
        hours = self.minutes / 60
        return round(Decimal(str(self.chance.uniform(most / 20, most) * hours)), self.places)

    def _name(self, at: datetime.datetime) -> str:
        if self.times == "iso":
            return at.isoformat()
        if self.times == "utc":
            return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        return (
            str(int(at.timestamp())) if self.times == "seconds" else at.strftime(f"{self.date} {self.time}")
        )

    def _write(self, number: Decimal) -> str:
        whole, _, rest = f"{number:,f}".partition(".")
        whole = whole.replace(",", self.thousands)
        return f"{whole}{self.decimal}{rest}" if rest else whole

    def _join(self, cells: list[str]) -> str:
        quoted = (f'"{cell}"' if self.is_quoted or self.delimiter in cell else cell for cell in cells)
        return self.delimiter.join(quoted)


def compose(seed: int) -> Composed:
    """Return the file of a seed."""
    return Composer(seed).compose()
