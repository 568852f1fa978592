"""The registry: each format is recognized, has an example, and has its row in docs/formats.md."""

from decimal import Decimal
from pathlib import Path

import pytest

from data.ingest.formats.detect import detect_format
from data.ingest.formats.file_mappings import list_undeclared
from data.ingest.formats.reading import read_parts
from data.ingest.formats.registry import FORMATS
from tests.formats.example import DAY
from tests.formats.gallery import EXAMPLES, declare_example, write_example

ROOT = Path(__file__).resolve().parents[2]
VALUES = [Decimal(number) / 8 for number in range(DAY)]


@pytest.mark.parametrize("format", FORMATS)
def test_the_example_of_a_format_is_recognized_unless_a_mapping_is_required(
    tmp_path: Path, format: str
) -> None:
    assert format in EXAMPLES, f"write EXAMPLE in tests/formats/test_{format}.py: docs/guides/add-a-format.md"
    path = tmp_path / "file"
    path.write_bytes(write_example(format, VALUES))
    use = FORMATS[format].mapping
    if use is None or not use.is_required:
        assert detect_format(path) == format
    mapping = declare_example(format)
    parsed = read_parts(path, mapping=mapping)
    assert (parsed.format, list_undeclared(parsed, mapping)) == (format, [])


def test_the_documentation_lists_each_format_in_the_order_of_detection() -> None:
    rows = [
        f"| `{format.name}` | {format.summary} | {_describe_mapping(format.name)} |"
        for format in FORMATS.values()
    ]
    page = (ROOT / "docs" / "formats.md").read_text()
    assert "\n".join(rows) in page, "write these rows into docs/formats.md:\n" + "\n".join(rows)


def _describe_mapping(name: str) -> str:
    use = FORMATS[name].mapping
    if use is None:
        return ""
    if use.is_required:
        return "required"
    return (
        f"required to ingest: {', '.join(f'`{field}`' for field in use.needs)}" if use.needs else "optional"
    )
