"""One example of each registered format: a small valid file, from values that the caller chooses."""

import importlib
import importlib.util

from data.ingest.formats.file_mappings import parse_mapping
from data.ingest.formats.mapping import FileMapping
from data.ingest.formats.registry import FORMATS
from tests.formats.example import Example, Values


def find_example(format: str) -> Example | None:
    """Return the `EXAMPLE` of `tests/formats/test_<format>.py`, None if there is no such file or name."""
    name = f"tests.formats.test_{format}"
    if importlib.util.find_spec(name) is None:
        return None
    example = getattr(importlib.import_module(name), "EXAMPLE", None)
    return example if isinstance(example, Example) else None


# A format without an example fails in test_registry.py, which says what to write.
EXAMPLES = {format: example for format in FORMATS if (example := find_example(format)) is not None}


def write_example(format: str, values: Values) -> bytes:
    """Write a file of the format with these values."""
    return EXAMPLES[format].write(values)


def declare_example(format: str) -> FileMapping | None:
    """Return the mapping that the example of the format needs, None if it needs none."""
    declared = EXAMPLES[format].mapping
    return parse_mapping({"format": format, **declared}, format) if declared else None
