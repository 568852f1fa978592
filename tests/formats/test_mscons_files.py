"""MSCONS: damaged interchanges, large files, real files, and energy that is never lost."""

import datetime
import random
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.ingest.errors import RefusedFile
from data.ingest.formats import container, mscons
from data.ingest.formats.reading import iter_batches, read_file
from data.ingest.inspect import inspect
from data.ingest.rules.energy import energy_balance
from data.ingest.rules.judge import judge
from data.ingest.schema import PARSED, REGISTERS, REJECTED, ParsedFile
from tests.formats.example import is_no_sentinel
from tests.formats.mscons_text import (
    QUARTER,
    START,
    UTC,
    Write,
    interchange,
    line,
    make_writer,
    message,
    quarters,
    refusal_of,
    rejections,
    stamp,
    total,
)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return make_writer(tmp_path)


SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "samples"
FIXTURES = Path(__file__).resolve().parent / "fixtures"
GOOD = message(*line(*quarters("5")))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (interchange([*GOOD[:-1], "UNT+99+1"]), "EDIFACT-COUNT"),
        (interchange([*GOOD[:-1], f"UNT+{len(GOOD)}+2"]), "EDIFACT-COUNT"),
        (interchange(GOOD[:-2] + GOOD[-1:]), "EDIFACT-COUNT"),
        (interchange(GOOD).replace("UNZ+1", "UNZ+2"), "EDIFACT-COUNT"),
        (interchange(GOOD).replace("UNZ+1+R1", "UNZ+1+R2"), "EDIFACT-COUNT"),
        (interchange(GOOD).split("UNZ")[0], "FILE-CUT"),
        (interchange(GOOD).rstrip("'"), "FILE-CUT"),
        (interchange(GOOD).split("UNZ")[0] + interchange(GOOD), "FILE-CUT"),
        (interchange(GOOD) + "junk", "EDIFACT-SYNTAX"),
        (interchange(GOOD) + "QTY+220:5'", "EDIFACT-SYNTAX"),
        (interchange(GOOD[:-1]), "EDIFACT-SYNTAX"),
        (interchange([]).replace("UNZ+1", "UNZ+0"), "FILE-NO-DATA"),
        (interchange(message()), "FILE-NO-DATA"),
        ("UNH+1+MSCONS:D:04B:UN:2.4c'UNT+2+1'", "EDIFACT-SYNTAX"),
        (interchange(GOOD).replace("QTY", "QTX"), "EDIFACT-SYNTAX"),
        (interchange(GOOD, una="UNA:+.: '"), "EDIFACT-SYNTAX"),
        (interchange(GOOD).replace("MSCONS", "UTILMD"), "FILE-FORMAT"),
        (interchange([*GOOD[:3], "CTA+" + "x" * (2 << 20), *GOOD[3:]]), "EDIFACT-SYNTAX"),
        ("UNA:+.? '", "FILE-CUT"),
        ("UNB", "FILE-CUT"),
    ],
)
def test_an_interchange_that_is_not_whole_is_refused_with_its_segment(
    write: Write, text: str, rule: str
) -> None:
    error = refusal_of(write(text))
    assert (error.rule, bool(error.line), error.format) == (rule, True, "mscons")


def test_a_file_cut_anywhere_is_refused(write: Write) -> None:
    whole = interchange(message(*line(*quarters("5", "6", "7")))).encode()
    for cut in range(1, len(whole), 3):
        refusal_of(write(whole[:cut]))


def test_flipped_bits_are_refused_or_rejected_without_a_crash(write: Write) -> None:
    whole = interchange(message(*line(*quarters("5", "6", "7")))).encode()
    chance = random.Random(7)
    for _ in range(80):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        try:
            parsed = read_file(write(bytes(damaged)))
        except RefusedFile as refusal:
            assert refusal.rule and refusal.remedy
        else:
            told = [rule for rule in rejections(parsed) if rule != "MSCONS-CANCELLATION"]
            assert parsed.readings.num_rows + len(told) >= 3


def test_one_long_line_is_read_in_batches(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mscons, "BATCH_ROWS", 500)
    monkeypatch.setattr(mscons, "MAX_SERIES_ROWS", 750)
    monkeypatch.setattr(container, "READ_BYTES", 1 << 17)
    short = [message(*line(*quarters(*range(125))), point=f"P{i}", number=i) for i in range(10)]
    long = message(*line(*quarters(*range(1_625))), point="LONG", number=10)
    path = write(interchange(*short, long))
    assert path.stat().st_size > 1 << 17
    sizes = [batch.readings.num_rows for _, batch in iter_batches(path)]
    # A batch ends with the text block that fills it: a value takes 70 characters or more.
    assert sum(sizes) == 2_875
    assert max(sizes) < 751 + (1 << 17) / 70 < 2_875
    assert total(read_file(path)) == 10 * sum(range(125)) + sum(range(1_625))


_PEAK = """
import sys
from pathlib import Path
from data.ingest.errors import RefusedFile
from data.ingest.formats.reading import iter_batches
try:
    for _ in iter_batches(Path(sys.argv[1])):
        pass
except RefusedFile as refused:
    print(refused.rule)
# Not ru_maxrss, which begins with the memory of the process that started this one.
(peak,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(peak.split()[1]) // 1024)
"""


def test_values_without_times_in_mass_do_not_fill_the_memory(write: Write) -> None:
    """Six megabytes of them took 1,100 MB and these three 700; 350 now, for both."""
    path = write(interchange(message(*line(*["QTY+220:1"] * 300_000))))
    child = [sys.executable, "-W", "ignore", "-c", _PEAK, str(path)]
    done = subprocess.run(child, capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) < 500, done.stdout


def test_the_hand_written_fixture_has_two_points_and_a_register_reading() -> None:
    document = inspect(FIXTURES / "mscons_two_points.txt")
    found = [
        (c["channel"], c["register"], c["intervals"], c["total"], c["quality"]) for c in document["channels"]
    ]
    assert found == [
        ("import", "1-1:1.29.0", 3, "1.75", {"220": 2, "67": 1}),
        ("export", "1-1:2.29.0", 1, "0.125", {"220": 1}),
    ]
    assert [(r["reason"].split(":")[0], r["first_line"]) for r in document["rejected"]] == [
        ("ROW-CUMULATIVE", 38)
    ]


def test_real_file_agrees_with_an_independent_reading(oracles: dict[str, Any]) -> None:
    name = "mscons/vdmitriyev_MSCONS_TL_SAMPLE01.txt"
    document = inspect(SAMPLES / name)
    [channel] = document["channels"]
    assert (channel["intervals"], Decimal(channel["total"])) == (oracles[name]["n"], oracles[name]["kwh"])
    assert (channel["channel"], channel["unit"], channel["interval_seconds"]) == ("import", "kWh", 900)
    # The period, and the undamaged labels, show the place of each value.
    assert (channel["first"], channel["last"]) == ("2015-11-30T23:00:00Z", "2015-12-31T22:45:00Z")
    assert {r["reason"].split(":")[0] for r in document["rejected"]} == {"MSCONS-PLACE"}


QUANTITIES = st.decimals(0, 10**6, places=3).filter(is_no_sentinel).map(str) | st.sampled_from(
    ["", "abc", "-5.5", "1.0000000001"]
)
CODES = st.sampled_from(["220", "67", "999"])
TIMES = st.integers(0, 60).map(lambda i: f"{stamp(START + i * QUARTER)}") | st.just("x:303")
VALUES = st.tuples(QUANTITIES, CODES, TIMES, st.sampled_from(["", ":KWH", ":WHR", ":MWH", ":XYZ"]))


@settings(max_examples=60, deadline=None)
@given(
    series=st.lists(
        st.tuples(st.sampled_from(["1.29.0", "2.29.0", "3.29.0"]), st.lists(VALUES, min_size=1, max_size=12)),
        min_size=1,
        max_size=4,
    ),
    mark=st.sampled_from([".", ","]),
    width=st.sampled_from([10_000, 70]),
)
def test_accepted_and_rejected_energy_add_up(
    tmp_path_factory: pytest.TempPathFactory,
    series: list[tuple[str, list[tuple[str, str, str, str]]]],
    mark: str,
    width: int,
) -> None:
    """What went in is summed from the generator, without the reader."""
    powers = {"": 0, ":KWH": 0, ":WHR": -3, ":MWH": 3}
    expected = Decimal(0)
    messages = []
    for number, (process, rows) in enumerate(series, 1):
        segments = []
        for quantity, code, start, unit in {row[2]: row for row in rows}.values():
            end = stamp(START + datetime.timedelta(days=9))
            segments += [
                f"QTY+{code}:{quantity.replace('.', mark)}{unit}",
                f"DTM+163:{start}",
                f"DTM+164:{start[:-8]}{end[-8:]}" if start == "x:303" else f"DTM+164:{_quarter_after(start)}",
            ]
            is_energy = unit in powers and not (process == "3.29.0" and unit == "")
            if is_energy and quantity not in ("", "abc", "1.0000000001"):
                expected += Decimal(quantity).scaleb(powers[unit])
        messages.append(
            message(*line(*segments, register=f"1-1?:{process}"), point=f"P{number}", number=number)
        )
    text = interchange(*messages, una=f"UNA:+{mark}? '")
    path = tmp_path_factory.mktemp("mscons") / "values.txt"
    path.write_text("\n".join(text[i : i + width] for i in range(0, len(text), width)))
    try:
        parsed = read_file(path)
    except RefusedFile as refusal:
        assert refusal.rejected.num_rows
        parsed = ParsedFile(path, "mscons", "", PARSED.empty_table(), refusal.rejected, None)
    judged = judge(parsed, REGISTERS.empty_table(), now=datetime.datetime(2026, 1, 1, tzinfo=UTC))
    balance = energy_balance(parsed, judged)
    assert balance.is_balanced
    assert balance.energy_in_kwh == expected
    assert parsed.rejected.schema == REJECTED


def _quarter_after(start: str) -> str:
    return stamp(datetime.datetime.strptime(start[:12], "%Y%m%d%H%M") + QUARTER)
