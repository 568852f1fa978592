"""The page of sizes and costs: prices, measured bytes, and the arithmetic between them.

A figure of the page is computed here, so the page cannot contradict itself. Prices change: correct `PRICES`.
"""

from dataclasses import dataclass
from typing import NamedTuple

from oltp_schema.pages import markdown_table as table

GIB, TIB = 2**30, 2**40
HOURS = 730
DAYS = 30
# Quarter-hours of a local day.
INTERVALS = 96


class Price(NamedTuple):
    """A price in US dollars, and who says so."""

    dollars: float
    unit: str
    source: str


PRICES = {
    "question": Price(
        6.25,
        "TiB that statements read, after the first of each month",
        "BigQuery, on demand, US; lecture notes of 2025-08",
    ),
    "active": Price(0.02, "GiB and month, changed within 90 days", "BigQuery, logical bytes, US; the same"),
    "long": Price(0.01, "GiB and month, unchanged for 90 days", "BigQuery, the same"),
    "cpu": Price(0.0413, "processor and hour", "Cloud SQL Enterprise, us-central1; usage.ai, May 2026"),
    "memory": Price(0.007, "GiB and hour", "Cloud SQL Enterprise, the same"),
    "disk": Price(0.17, "GiB and month", "Cloud SQL, SSD; list price, not confirmed in a page of 2026"),
    "backup": Price(0.08, "GiB and month", "Cloud SQL; list price, not confirmed in a page of 2026"),
    "cluster": Price(0.10, "hour; 74.40 a month are free", "GKE; its price page"),
    "pod_cpu": Price(0.0445, "processor and hour", "GKE Autopilot; toolstac.com, quoting the price page"),
    "pod_memory": Price(0.0049225, "GiB and hour", "GKE Autopilot, the same"),
    "file": Price(0.02, "GiB and month", "Cloud Storage, us-central1; its price page"),
    "way_out": Price(0.0014, "machine and hour", "Cloud NAT; its price page"),
    "door": Price(0.025, "hour", "load balancer of the login; its price page"),
}
FREE_TIB, FREE_CLUSTER = 1, 74.40

# Measured by `python -m benchmarks.sizes`: docs/benchmarks.md#bytes-of-a-reading.
OLTP_BYTES = 574
WAREHOUSE_BYTES = 309 + 169 + 210 + 11
READ_BYTES = 8_304
READ_TABLES = 569
# BigQuery bills at least this for each table that a statement reads.
LEAST_BYTES = 10 * 2**20
# A date is built on its night, and twice more on average: late files, corrections, acceptances.
BUILDS = 3
# Rows of days that a dashboard reads for a month of one meter, and how often somebody looks.
DAY_BYTES = 280
FACT_BYTES = 207
QUESTIONS = 2_000
FILE_BYTES = 40
OLTP_DAYS = 90


@dataclass(frozen=True)
class Size:
    """A size, and the machines that are chosen for it."""

    meters: int
    database: tuple[int, int]
    run: tuple[int, int]
    run_hours: float

    @property
    def readings(self) -> int:
        """Readings a day."""
        return self.meters * INTERVALS


SIZES = (
    Size(100, (2, 8), (2, 4), 2),
    Size(10_000, (4, 16), (2, 4), 4),
    Size(1_000_000, (32, 128), (16, 64), 16),
)


class Line(NamedTuple):
    """One line of the bill of a month: dollars and the arithmetic."""

    name: str
    dollars: float
    arithmetic: str


def list_lines(size: Size) -> list[Line]:
    """Return the bill of a month of a platform that has run for a year."""
    cpus, memory = size.database
    disk = max(100, 1.3 * size.readings * OLTP_DAYS * OLTP_BYTES / GIB)
    stored = size.readings * WAREHOUSE_BYTES / GIB
    active, old = 90 * stored, 275 * stored
    by_size, least = size.readings * READ_BYTES, READ_TABLES * LEAST_BYTES
    built = BUILDS * DAYS * max(by_size, least) / TIB
    asked = QUESTIONS * max(size.meters * DAYS * DAY_BYTES, 2 * LEAST_BYTES) / TIB
    files = size.readings * 365 * FILE_BYTES / GIB
    pods_cpu = 1.0 * HOURS + size.run[0] * size.run_hours * DAYS
    pods_memory = 4 * HOURS + size.run[1] * size.run_hours * DAYS
    price = {name: found.dollars for name, found in PRICES.items()}
    return [
        Line(
            "Cloud SQL, two zones",
            2 * HOURS * (cpus * price["cpu"] + memory * price["memory"]),
            f"2 x {HOURS} h x ({cpus} x {price['cpu']} + {memory} GiB x {price['memory']})",
        ),
        Line(
            "its disk and backups",
            disk * (2 * price["disk"] + price["backup"]),
            f"{disk:,.0f} GiB x (2 x {price['disk']} + {price['backup']})",
        ),
        Line(
            "BigQuery, storage",
            active * price["active"] + old * price["long"],
            f"{active:,.1f} GiB x {price['active']} + {old:,.1f} GiB x {price['long']}",
        ),
        Line(
            "BigQuery, builds and questions",
            max(0.0, built + asked - FREE_TIB) * price["question"],
            f"({built:,.2f} + {asked:,.2f} - {FREE_TIB} TiB, at least 0) x {price['question']}",
        ),
        Line(
            "Kubernetes",
            HOURS * price["cluster"]
            - FREE_CLUSTER
            + pods_cpu * price["pod_cpu"]
            + pods_memory * price["pod_memory"]
            + HOURS * 2 * price["way_out"],
            f"{HOURS} x {price['cluster']} - {FREE_CLUSTER} + {pods_cpu:,.0f} x {price['pod_cpu']} + "
            f"{pods_memory:,.0f} x {price['pod_memory']} + {HOURS} x 2 x {price['way_out']}",
        ),
        Line("Cloud Storage", files * price["file"], f"{files:,.1f} GiB x {price['file']}"),
        Line("the login in front", HOURS * price["door"], f"{HOURS} x {price['door']}"),
    ]


def costs_page() -> str:
    """Return the page."""
    bills = {size: list_lines(size) for size in SIZES}
    names = [line.name for line in bills[SIZES[0]]]
    rows = [
        (name, *(f"{found.dollars:,.0f}" for size in SIZES for found in bills[size] if found.name == name))
        for name in names
    ]
    totals = ("**all**", *(f"**{sum(line.dollars for line in bills[size]):,.0f}**" for size in SIZES))
    heads = [f"{size.meters:,} meters" for size in SIZES]
    parts = [
        "# Sizes and what they cost\n",
        "US dollars a month, after a year of quarter-hours of one channel for each meter, without taxes, "
        "discounts and support, in the regions that the prices name; australia-southeast1 costs 20 to 40 % "
        "more. Prices change: look at Google's before you decide. The largest size is arithmetic: the "
        "largest ones that were measured are in [benchmarks](benchmarks.md).\n",
        table(("What", *heads), [*rows, totals]),
        "## Sizes\n",
        table(
            ("", *heads),
            [
                ("readings a day", *(f"{size.readings:,}" for size in SIZES)),
                ("Cloud SQL: processors, GiB", *(f"{a}, {b}" for a, b in (size.database for size in SIZES))),
                ("pod of a run: processors, GiB", *(f"{a}, {b}" for a, b in (size.run for size in SIZES))),
                ("hours of runs a day", *(f"{size.run_hours:g}" for size in SIZES)),
            ],
        ),
        "## Arithmetic\n",
        f"Readings stay in PostgreSQL for {OLTP_DAYS} days (`MYPROPERTY_READINGS_RETENTION_DAYS`), with "
        f"{OLTP_BYTES} bytes each, their landing copy and indexes included, and a third more for everything "
        f"else. In BigQuery a reading takes {WAREHOUSE_BYTES:,} bytes in all layers together. A build of a "
        f"date reads at most {READ_BYTES:,} bytes for each reading, if every statement read all columns of "
        f"its tables, and at least {LEAST_BYTES >> 20} MiB for each of the {READ_TABLES} tables that its "
        f"statements name. A date is built {BUILDS} times. People and dashboards ask {QUESTIONS:,} questions "
        f"about a month, with {DAY_BYTES} bytes for each meter and day. A file has {FILE_BYTES} bytes a "
        "reading. [How the bytes were measured](benchmarks.md#bytes-of-a-reading).\n",
    ]
    for size in SIZES:
        parts += [
            f"### {size.meters:,} meters\n",
            table(
                ("What", "Dollars", "Computed"),
                [(line.name, f"{line.dollars:,.2f}", line.arithmetic) for line in bills[size]],
            ),
        ]
    parts += [
        "## Prices\n",
        table(
            ("Dollars", "For each", "Said by"),
            [(f"{each.dollars:g}", each.unit, each.source) for each in PRICES.values()],
        ),
        "Where builds and questions cost more than slots by the hour, BigQuery's editions are cheaper. One "
        "statement may read `MYPROPERTY_BIGQUERY_MAXIMUM_BYTES_BILLED` (100 GiB): at the largest size a date "
        f"of the largest table has {SIZES[-1].readings * FACT_BYTES / GIB:,.0f} GiB, so a run of many dates "
        "needs more.\n",
    ]
    return "\n".join(parts)
