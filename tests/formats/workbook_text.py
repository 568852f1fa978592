"""Workbooks written by hand, for tests: xlsx and ods as the XML in a zip."""

import zipfile
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import ascii_uppercase

_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_ODF = "urn:oasis:names:tc:opendocument:xmlns"
# Numbers of styles: none, a date with a time, a date, a time of day, a duration.
PLAIN, INSTANT, DATE, TIME, DURATION = range(5)
_STYLES = (
    f'<styleSheet xmlns="{_MAIN}"><numFmts count="1"><numFmt numFmtId="170" formatCode="[h]:mm"/></numFmts>'
    f'<cellXfs count="5">{"".join(f"""<xf numFmtId="{n}"/>""" for n in (0, 22, 14, 20, 170))}</cellXfs>'
    "</styleSheet>"
)  # fmt: skip

# A text, a number, a number with a style, or the XML inside of a cell.
Cell = str | float | tuple[float, int] | bytes | None
Rows = Sequence[Sequence[Cell]]


def write_xlsx(
    path: Path, sheets: Mapping[str, Rows], *, merged: Sequence[str] = (), hidden: Sequence[str] = ()
) -> Path:
    """Write sheets of rows; `merged` are ranges of the first sheet, such as A2:A9."""
    states = {name: ' state="hidden"' if name in hidden else "" for name in sheets}
    listed = "".join(
        f'<sheet name="{escape(name)}" sheetId="{n}" r:id="rId{n}"{states[name]}/>'
        for n, name in enumerate(sheets, 1)
    )  # fmt: skip
    links = "".join(
        f'<Relationship Id="rId{n}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in range(1, len(sheets) + 1)
    )
    relations = "http://schemas.openxmlformats.org/package/2006/relationships"
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{relations}"><Relationship Id="rId1" '
        f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{listed}</sheets>'
        "</workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{relations}">{links}<Relationship Id="s" '
        f'Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": _STYLES,
    }
    for number, rows in enumerate(sheets.values(), 1):
        body = "".join(
            f'<row r="{n}">{"".join(_write_cell(cell, n, place) for place, cell in enumerate(row))}</row>'
            for n, row in enumerate(rows, 1)
        )
        spans = "".join(f'<mergeCell ref="{span}"/>' for span in merged) if number == 1 else ""
        parts[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{_MAIN}"><sheetData>{body}</sheetData>'
            + (f"<mergeCells>{spans}</mergeCells>" if spans else "")
            + "</worksheet>"
        )
    return pack(path, parts)


def _write_cell(cell: Cell, row: int, place: int) -> str:
    at = f'r="{ascii_uppercase[place]}{row}"'
    if cell is None:
        return ""
    if isinstance(cell, bytes):
        return cell.decode().replace("<c", f"<c {at}", 1)
    if isinstance(cell, str):
        return f'<c {at} t="inlineStr"><is><t>{escape(cell)}</t></is></c>'
    number, style = cell if isinstance(cell, tuple) else (cell, PLAIN)
    return f'<c {at} s="{style}"><v>{number!r}</v></c>'


def write_ods(path: Path, rows: Rows) -> Path:
    """Write one sheet; a text that starts with a year is a date."""

    def write_cell(cell: Cell) -> str:
        if isinstance(cell, str) and cell[:2] == "20":
            return f'<table:table-cell office:value-type="date" office:date-value="{cell}"/>'
        if isinstance(cell, str):
            shown = f"<text:p>{escape(cell)}</text:p>"
            return f'<table:table-cell office:value-type="string">{shown}</table:table-cell>'
        return f'<table:table-cell office:value-type="float" office:value="{cell!r}"/>'

    body = "".join(f"<table:table-row>{''.join(map(write_cell, row))}</table:table-row>" for row in rows)
    spaces = " ".join(f'xmlns:{name}="{_ODF}:{name}:1.0"' for name in ("office", "table", "text"))
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    return pack(
        path,
        {
            "mimetype": kind,
            "META-INF/manifest.xml": f'<manifest:manifest xmlns:manifest="{_ODF}:manifest:1.0">'
            f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/></manifest:manifest>',
            "content.xml": f"<office:document-content {spaces}><office:body><office:spreadsheet>"
            f'<table:table table:name="Values">{body}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
        },
    )  # fmt: skip


def pack(path: Path, parts: Mapping[str, str]) -> Path:
    """Write a zip of texts."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return path
