"""One example of each registered format: a small valid file, from values that the caller chooses."""

import importlib

from data.ingest.formats.file_mappings import parse_mapping
from data.ingest.formats.mapping import FileMapping
from data.ingest.formats.registry import FORMATS
from tests.formats.example import Example, Values


def find_example(format: str) -> Example:
    """Return the `EXAMPLE` of `tests/formats/test_<format>.py`, which each format must have."""
    example = importlib.import_module(f"tests.formats.test_{format}").EXAMPLE
    assert isinstance(example, Example)
    return example


EXAMPLES = {format: find_example(format) for format in FORMATS}


def write_example(format: str, values: Values) -> bytes:
    """Write a file of the format with these values."""
    return EXAMPLES[format].write(values)


def declare_example(format: str) -> FileMapping | None:
    """Return the mapping that the example of the format needs, None if it needs none."""
    declared = EXAMPLES[format].mapping
    return parse_mapping({"format": format, **declared}, format) if declared else None
