"""Real meter files next to the checkout, if they are there, and the results of an independent reader."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "samples"


@pytest.fixture(scope="session")
def samples() -> Path:
    """Return the folder of real meter files; skip if it is absent."""
    if not (SAMPLES / "ORACLES.json").exists():
        pytest.skip(f"the real meter files are not at {SAMPLES}")
    return SAMPLES


@pytest.fixture(scope="session")
def oracles(samples: Path) -> dict[str, Any]:
    """Return by file the counts and totals of an independent reader, numbers as `Decimal`."""
    content: dict[str, Any] = json.loads(
        (samples / "ORACLES.json").read_text(), parse_float=Decimal, parse_int=Decimal
    )
    return content
