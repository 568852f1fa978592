"""Layouts of senders all over the world are read right by their proposals, with at most one answer."""

from pathlib import Path

import pytest
import yaml

from data.ingest.formats.file_mappings import parse_mapping
from data.ingest.inspect import inspect
from data.ingest.proposals import propose_mapping
from tests.formats.sender_layout import sum_channels
from tests.formats.test_senders import complete
from tests.formats.world_layouts import WORLD


@pytest.mark.parametrize("sender", WORLD)
def test_a_layout_is_read_with_one_answer(sender: str, tmp_path: Path) -> None:
    layout, answers = WORLD[sender]
    path = layout.write(tmp_path)
    proposal = propose_mapping(path, layout.zone)
    assert "NOT USABLE" not in proposal
    content = yaml.safe_load(proposal)
    values = content.get("values", [])
    empty = [value for value in values for field in ("channel", "unit") if value.get(field, "") is None]
    asked = len(empty) + ("unit" in content) + ("channel" in content) + len(answers)
    assert asked <= 1, proposal
    document = inspect(path, mapping=parse_mapping(complete(proposal, answers), sender))
    assert document["rejected"] == [], proposal
    assert sum_channels(document) == layout.totals, proposal
    assert min(channel["first"] for channel in document["channels"]) == layout.first, proposal
