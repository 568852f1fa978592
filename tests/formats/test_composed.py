"""Proposals for files that nobody has seen: never a wrong total, and nineteen of twenty are read.

`COMPOSED_FILES=500 pytest tests/formats/test_composed.py` tries more of them, `COMPOSED_SEED` others.
"""

import os
import re
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats.file_mappings import MappingError
from data.ingest.proposals import NOT_USABLE, propose_mapping
from tests.formats.composed_layouts import Composed, compose
from tests.formats.composed_tables import compose_table

FILES, SEED = int(os.environ.get("COMPOSED_FILES", "8")), int(os.environ.get("COMPOSED_SEED", "1"))
COMPOSERS = [compose, compose_table]
# A file in so many may be refused; then a reason says why.
READ = 20
_READ_LINE = re.compile(r"#   .*: (\w+) (-?[0-9.]+) kWh, [0-9]+ intervals of ")


def read_totals(proposal: str) -> dict[str, Decimal]:
    """Return the energy by channel that a proposal reads from its file."""
    totals: defaultdict[str, Decimal] = defaultdict(Decimal)
    for channel, total in _READ_LINE.findall(proposal):
        totals[channel] += Decimal(total)
    return totals


@pytest.mark.parametrize("compose", COMPOSERS)
def test_a_file_of_an_unknown_portal_gives_its_totals_or_none(
    tmp_path: Path, compose: Callable[[int], Composed]
) -> None:
    unread = []
    for seed in range(SEED * 10_000, SEED * 10_000 + FILES):
        composed = compose(seed)
        path = tmp_path / f"{seed}.csv"
        path.write_text(composed.text)
        try:
            proposal = propose_mapping(path, composed.zone)
        except (RefusedFile, MappingError) as refusal:
            unread.append((seed, str(refusal)))
            continue
        if NOT_USABLE in proposal:
            unread.append((seed, proposal.partition(NOT_USABLE)[2][:300]))
            continue
        found = read_totals(proposal)
        # What no name tells is left to a person.
        left_open = found.pop("other", None)
        wrong = {channel: total for channel, total in found.items() if composed.totals.get(channel) != total}
        assert not wrong, (seed, wrong, composed.totals, proposal)
        assert found.keys() == composed.totals.keys() or left_open in composed.totals.values(), (
            seed,
            proposal,
        )
    assert len(unread) * READ <= FILES, unread


@pytest.mark.parametrize("compose", COMPOSERS)
def test_a_seed_composes_one_file(compose: Callable[[int], Composed]) -> None:
    assert compose(1) == compose(1) != compose(2)
