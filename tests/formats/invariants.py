"""What is true for every file, even a damaged one: a rule refuses it, or every row is accounted for.

The tests of damaged files and the fuzzer (`tests/fuzz`) use it.
"""

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from data.ingest.errors import RefusedFile
from data.ingest.formats.mapping import FileMapping
from data.ingest.formats.reading import read_file
from data.ingest.formats.registry import FORMATS
from data.ingest.inspect import inspect
from data.ingest.rules.energy import EnergyBalance, energy_balance
from data.ingest.rules.judge import judge
from data.ingest.rules.table import RULES
from data.ingest.schema import PARSED, REGISTER_READ, REGISTERS, REJECTED, ParsedFile

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def read(
    path: Path, format: str | None = None, mapping: FileMapping | None = None
) -> ParsedFile | RefusedFile:
    """Read a file or return its refusal, and check both. Any other exception is a fault of a reader."""
    try:
        parsed = read_file(path, format, mapping)
    except RefusedFile as refused:
        assert RULES[refused.rule].severity == "terminate"
        assert refused.reason
        assert refused.remedy
        assert refused.line is None or refused.line > 0
        return refused
    assert parsed.format in FORMATS
    assert parsed.readings.schema == PARSED
    assert parsed.rejected.schema == REJECTED
    assert parsed.register_reads.schema == REGISTER_READ
    assert set(parsed.rejected["rule"].to_pylist()) <= set(RULES)
    if not parsed.readings.num_rows:
        # All registers have reads of a dial, which only the end of a file shows: it is refused then.
        assert "ROW-CUMULATIVE" in parsed.rejected["rule"].to_pylist()
        assert inspect(path, format=format, mapping=mapping)["status"] == "refused"
    assert not pc.any(pc.less(parsed.readings["interval_seconds"], 1)).as_py()
    keys = parsed.readings.group_by(["identifier", "register", "reading_ts"]).aggregate([([], "count_all")])
    assert keys.num_rows == parsed.readings.num_rows
    return parsed


def account(parsed: ParsedFile, *, every: int = 2) -> EnergyBalance:
    """Judge a file with every `every`-th register configured (0: none), and check that nothing is lost."""
    series = parsed.readings.group_by(["identifier", "register"]).aggregate([("channel", "min")])
    rows = sorted(series.to_pylist(), key=lambda row: (row["identifier"], row["register"]))
    rows = rows[::every] if every else []
    registers = [
        {
            "identifier": row["identifier"],
            "register": row["register"],
            "meter_id": f"m{number}",
            "channel": row["channel_min"],
            "timezone": "Europe/Berlin",
        }
        for number, row in enumerate(rows)
    ]
    judged = judge(parsed, pa.Table.from_pylist(registers, schema=REGISTERS), now=NOW)
    came = parsed.readings.num_rows + parsed.rejected.num_rows
    assert judged.readings.num_rows + judged.quarantined.num_rows == came
    balance = energy_balance(parsed, judged)
    assert balance.is_balanced
    return balance
