"""One figure of a benchmark, and how it is printed."""

from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True)
class Measurement:
    """One figure; `ratio_to` maps the name of a limit or peer to the ratio."""

    name: str
    rows_per_s: float | None = None
    seconds: float | None = None
    ratio_to: dict[str, float] | None = None


def as_table(found: list[Measurement]) -> Table:
    """Return the figures as a table."""
    table = Table("measurement", "rows or calls/s", "time", "ratio", title="make bench")
    for one in found:
        speed = f"{one.rows_per_s:,.0f}" if one.rows_per_s is not None else ""
        ratios = ", ".join(f"{share:.2f} of {name}" for name, share in (one.ratio_to or {}).items())
        table.add_row(one.name, speed, _duration(one.seconds), ratios)
    return table


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds * 1000:.3f} ms"
