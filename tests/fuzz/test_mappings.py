"""Broken mappings, always the same ones: each is refused, or what is read by it adds up."""

import random
from collections import Counter
from decimal import Decimal
from pathlib import Path

import yaml

from data.ingest.errors import IngestError, RefusedFile
from data.ingest.formats.file_mappings import read_mapping
from data.ingest.schema import ParsedFile
from tests.formats.example import DAY
from tests.formats.gallery import EXAMPLES, declare_example, write_example
from tests.formats.invariants import account, read

SHIPPED = Path(__file__).resolve().parents[2] / "data" / "ingest" / "mappings"
CASES = 1500
# The examples fit the files, so they come as often as the shipped mappings.
COPIES = 8
# What writes a mapping badly, by mistake or on purpose.
WORDS = (
    "null", "true", "-1", "0", "9" * 40, "1e400", ".nan", "''", '"\\u0000"', "[]", "{}", "[a, b]", "{a: b}",
    "&a", "*a", "<<", "!!int", "!!python/name:os.system", "Europe/Nowhere", "%Y-%m-%d", "%" * 50,
    "(?:a+)+$", "import", "../../etc/passwd", "\u202e", "\ufeff", "\x1b[2J", "kWh", "\t", "---", "...", "#",
    ":", "|", ">",
)  # fmt: skip


def break_text(chance: random.Random, text: str) -> str:
    """Change a text in one to four places: a word, a line, a cut, a swap."""
    for _ in range(chance.randint(1, 4)):
        lines = text.split("\n")
        place = chance.randrange(len(lines))
        kind = chance.randrange(5)
        if kind == 0:
            key, sign, _ = lines[place].partition(": ")
            lines[place] = f"{key}{sign or ': '}{chance.choice(WORDS)}"
        elif kind == 1:
            lines.insert(place, chance.choice(lines))
        elif kind == 2:
            del lines[place]
            lines = lines or [""]
        elif kind == 3:
            at = chance.randrange(len(lines[place]) + 1)
            lines[place] = lines[place][:at] + chance.choice(WORDS) + lines[place][at:]
        else:
            lines[place] = " " * chance.randrange(6) + lines[place].lstrip()
        text = "\n".join(lines)
    return text


def test_a_broken_mapping_is_refused_or_reads_nothing_wrong(tmp_path: Path) -> None:
    """A mapping that is still valid reads the example of its format: whatever comes out adds up."""
    chance = random.Random(1)
    sources = [path.read_text(encoding="utf-8") for path in sorted(SHIPPED.iterdir())]
    files = {}
    for format in EXAMPLES:
        if declare_example(format) is not None:
            files[format] = tmp_path / format
            files[format].write_bytes(write_example(format, [Decimal(n) / 8 for n in range(DAY)]))
            sources += [yaml.safe_dump({"format": format, **EXAMPLES[format].mapping})] * COPIES
    outcomes: Counter[str] = Counter()
    for _ in range(CASES):
        broken = break_text(chance, chance.choice(sources))
        try:
            mapping = read_mapping(broken.encode("utf-8", "surrogatepass"), "m.yaml")
        except IngestError as refused:
            assert str(refused)
            outcomes["refused"] += 1
            continue
        found = read(files[mapping.format], None, mapping)
        if isinstance(found, ParsedFile):
            account(found)
        outcomes["unreadable" if isinstance(found, RefusedFile) else "read"] += 1
    assert outcomes["refused"] > CASES / 5 and outcomes["read"] > 0, outcomes
