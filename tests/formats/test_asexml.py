"""aseXML: the NEM12 and NEM13 texts of a message are read like files, with the lines of the message."""

from decimal import Decimal
from pathlib import Path

import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats.file_mappings import parse_mapping
from data.ingest.formats.reading import read_file
from data.ingest.schema import ParsedFile
from tests.formats import example, test_nem12, test_nem13
from tests.formats.test_nem12 import HEADER, day, series, total

NEM12 = "\n".join([HEADER, series(), day(), "900", ""])
NEM13 = "\n".join([test_nem13.HEADER, test_nem13.record(), "900", ""])


def message(*transactions: str, prefix: str = "ase:", head: str = "") -> str:
    parts = "".join(f"<Transaction transactionID='T'>{inner}</Transaction>\n" for inner in transactions)
    name = f"{prefix}aseXML"
    space = f"xmlns:{prefix[:-1]}" if prefix else "xmlns"
    return (
        f'<?xml version="1.0"?>\n{head}<{name} {space}="urn:aseXML:r38">\n'
        f"<Header><From>MDP1</From></Header>\n<Transactions>\n{parts}</Transactions>\n</{name}>\n"
    )


def notification(text: str, element: str = "CSVIntervalData") -> str:
    body = f"<{element}>{text}</{element}>"
    return f"<MeterDataNotification version='r25'>{body}<ParticipantRole/></MeterDataNotification>"


def read(folder: Path, text: str, **mapping: str) -> ParsedFile:
    path = folder / "message.xml"
    path.write_text(text)
    declared = parse_mapping({"format": "asexml", **mapping}, "test") if mapping else None
    return read_file(path, mapping=declared)


def write_example(values: example.Values) -> bytes:
    return message(notification(test_nem12.write_example(values).decode())).encode()


EXAMPLE = example.Example(write_example)


@pytest.mark.parametrize("prefix", ["ase:", "a:", ""])
@pytest.mark.parametrize(
    "text", [NEM12, f"\n{NEM12}", f"<![CDATA[{NEM12}]]>", NEM12.replace("\n", "&#13;\n"), NEM12.rstrip()]
)
def test_a_message_is_read_like_its_text(tmp_path: Path, prefix: str, text: str) -> None:
    parsed = read(tmp_path, message(notification(text), prefix=prefix))
    assert (parsed.format, total(parsed), parsed.readings.num_rows) == ("asexml", Decimal(48), 48)
    assert parsed.rejected.num_rows == 0


def test_each_transaction_counts_and_lines_are_those_of_the_message(tmp_path: Path) -> None:
    other = "\n".join([HEADER, series("NMI2"), day(values=["x", *["2"] * 47]), "900", ""])
    text = message(notification(NEM12), "<Other/>", notification(""), notification(other))
    parsed = read(tmp_path, text)
    assert total(parsed) == 48 + 94
    (row,) = parsed.rejected.to_pylist()
    assert (row["rule"], text.splitlines()[row["line"] - 1][:13]) == ("ROW-VALUE", "300,20240201,")
    lines = set(parsed.readings["line"].to_pylist())
    assert all(text.splitlines()[line - 1].startswith("300,") for line in lines)


def test_a_later_transaction_supersedes_an_earlier_one(tmp_path: Path) -> None:
    later = NEM12.replace(day(), day(values=["2"] * 48))
    parsed = read(tmp_path, message(notification(NEM12), notification(later)))
    assert total(parsed) == 96
    assert set(parsed.rejected["rule"].to_pylist()) == {"VEE-SUPERSEDED"}


def test_accumulated_registers_are_read_with_their_reads(tmp_path: Path) -> None:
    text = message(notification(NEM13, "CSVConsumptionData"), notification(NEM12))
    parsed = read(tmp_path, text)
    assert sum(parsed.readings["value"].to_pylist()) == Decimal("800.2") + 48
    reads = set(parsed.register_reads["line"].to_pylist())
    assert [text.splitlines()[line - 1][:4] for line in reads] == ["250,"]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (message(notification(NEM12))[:-20], "FILE-CUT"),
        (message(notification(NEM12))[:300], "FILE-CUT"),
        (message(notification(NEM12.replace("900", ""))), "FILE-CUT"),
        (message(notification("<Row>1</Row>")), "XML-SYNTAX"),
        (message(notification(NEM12), head='<!DOCTYPE x [<!ENTITY a "b">]>'), "XML-DOCTYPE"),
        (message("<a>" * 100 + "</a>" * 100), "XML-SYNTAX"),
        (message(notification("Date,kWh\n1,2\n")), "NEM12-HEADER"),
        (message("<Acknowledgement/>"), "FILE-NO-DATA"),
    ],
)
def test_a_message_that_is_not_whole_is_refused(tmp_path: Path, text: str, rule: str) -> None:
    with pytest.raises(RefusedFile) as refusal:
        read(tmp_path, text)
    assert refusal.value.rule == rule
    assert refusal.value.line is None or 1 <= refusal.value.line <= text.count("\n") + 1


def test_the_line_of_a_refusal_is_that_of_the_message(tmp_path: Path) -> None:
    text = message("<Other/>", notification(NEM12.replace("NEM12", "NEM11")))
    with pytest.raises(RefusedFile, match="NEM11") as refusal:
        read(tmp_path, text)
    assert refusal.value.line is not None
    assert "NEM11" in text.splitlines()[refusal.value.line - 1]


def test_a_text_without_its_last_record_is_read_if_a_person_says_so(tmp_path: Path) -> None:
    text = message(notification(NEM12.replace("900", "")))
    parsed = read(tmp_path, text, incomplete="read")
    assert (total(parsed), parsed.rejected["rule"].to_pylist()) == (Decimal(48), ["NEM-INCOMPLETE"])
