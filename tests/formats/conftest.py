"""Real meter files that lie beside the checkout, where they do, and what an independent reading found."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "samples"


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real meter files; skips where it is absent."""
    if not (SAMPLES / "ORACLES.json").exists():
        pytest.skip(f"the real meter files are not at {SAMPLES}")
    return SAMPLES


@pytest.fixture(scope="session")
def oracles(samples: Path) -> dict[str, Any]:
    """By file: counts and totals of an independent reading, numbers as `Decimal`."""
    content: dict[str, Any] = json.loads(
        (samples / "ORACLES.json").read_text(), parse_float=Decimal, parse_int=Decimal
    )
    return content
