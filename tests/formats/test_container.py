"""What is refused before a format is even looked at: bombs, damage, strange archives, other content."""

import gzip
import zipfile
from pathlib import Path

import pytest

from data.ingest.errors import RefusedFile
from data.ingest.formats import container
from data.ingest.formats.detect import detect_format
from data.ingest.formats.reading import read_file

NEM12 = b"100,NEM12,202401011200,A,B\n200,N1,E1,1,E1,,,kWh,1440,\n300,20240101,5,A,,,,\n900\n"


def refusal_of(path: Path) -> RefusedFile:
    with pytest.raises(RefusedFile) as refusal:
        read_file(path)
    return refusal.value


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in members.items():
            target.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("content", "rule", "word"),
    [
        (b"", "FILE-EMPTY", "no content"),
        (b"\n\r\n ", "FILE-EMPTY", "blanks"),
        (b"<!DOCTYPE html><html><body>502</body></html>", "FILE-FORMAT", "HTML"),
        (b"<html>\nLogin\n</html>\n", "FILE-FORMAT", "HTML"),
        (b"<?xml version='1.0'?><feed/>", "FILE-FORMAT", "Green Button"),
        (b"100,NEM13,202401011200,A,B\n900\n", "FILE-NO-DATA", "no reading"),
        (b"UNA:+,? 'UNB+", "FILE-CUT", "ends without"),
        (b'{"results": []}', "FILE-FORMAT", "JSON"),
        (b"date,kwh\n2024-01-01,1\n", "FILE-FORMAT", "a table, which a mapping can describe"),
        (b"hello\nworld\n", "FILE-FORMAT", "not recognized; supported formats"),
        (b"7z\xbc\xaf\x27\x1c", "FILE-ARCHIVE", "archive"),
        (b"PK\x03\x04broken", "FILE-DAMAGED", "unpacked"),
        (gzip.compress(NEM12 * 9, mtime=0)[:-9], "FILE-DAMAGED", "unpacked"),
        (gzip.compress(gzip.compress(NEM12), mtime=0), "FILE-ARCHIVE", "inside"),
    ],
)
def test_content_other_than_a_meter_file_is_refused_by_its_kind(
    tmp_path: Path, content: bytes, rule: str, word: str
) -> None:
    path = tmp_path / "delivery.csv"
    path.write_bytes(content)
    refusal = refusal_of(path)
    assert refusal.rule == rule
    assert word in refusal.reason


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert refusal_of(tmp_path / "nowhere.csv").rule == "FILE-UNREADABLE"


@pytest.mark.parametrize(
    "name", ["../evil.csv", "/etc/evil.csv", "a/../../evil.csv", "..\\evil.csv", "C:\\evil.csv"]
)
def test_a_member_that_points_outside_is_refused(tmp_path: Path, name: str) -> None:
    refusal = refusal_of(archive(tmp_path / "evil.zip", {name: NEM12}))
    assert refusal.rule == "FILE-ARCHIVE"


def test_a_refusal_names_the_member(tmp_path: Path) -> None:
    refusal = refusal_of(archive(tmp_path / "two.zip", {"a.csv": NEM12, "notes.txt": b"see above"}))
    assert (refusal.rule, "member 'notes.txt'" in str(refusal)) == ("FILE-FORMAT", True)
    cut = refusal_of(archive(tmp_path / "cut.zip", {"a.csv": NEM12, "b.csv": NEM12[:-4]}))
    assert (cut.rule, cut.format, cut.line) == ("FILE-CUT", "nem12", 3)
    assert "member 'b.csv'" in str(cut)


def test_what_file_managers_add_is_passed_over(tmp_path: Path) -> None:
    path = archive(tmp_path / "folder.zip", {"a/Thumbs.db": b"\xd0\xcf", "a/usage.csv": NEM12})
    assert read_file(path).readings.num_rows == 1


def test_a_file_without_readings_tells_its_format(tmp_path: Path) -> None:
    for content, name in (
        (b"100,NEM12,202401011200,A,B\n900\n", "nem12"),
        (b'{"energyDetails":{}}', "solaredge_json"),
    ):
        path = tmp_path / "empty.txt"
        path.write_bytes(content)
        refusal = refusal_of(path)
        assert (refusal.rule, refusal.format) == ("FILE-NO-DATA", name)


def test_an_archive_in_an_archive_is_refused(tmp_path: Path) -> None:
    inner = archive(tmp_path / "inner.zip", {"a.csv": NEM12}).read_bytes()
    assert refusal_of(archive(tmp_path / "outer.zip", {"inner.csv": inner})).rule == "FILE-ARCHIVE"


@pytest.mark.parametrize("kind", ["zip", "gz"])
def test_a_file_that_unpacks_to_far_more_than_it_should_is_refused(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "RATIO_FREE_BYTES", 1 << 16)
    monkeypatch.setattr(container, "READ_BYTES", 1 << 16)
    bomb = NEM12 + b"500,,,,,\n" * (3 << 16)
    path = tmp_path / f"bomb.{kind}"
    if kind == "zip":
        archive(path, {"bomb.csv": bomb})
    else:
        path.write_bytes(gzip.compress(bomb, mtime=0))
    assert refusal_of(path).rule == "FILE-TOO-LARGE"


def test_what_unpacks_beyond_the_limit_is_refused_whatever_it_declares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "MAX_UNPACKED_BYTES", 100)
    assert refusal_of(archive(tmp_path / "two.zip", {"a": NEM12, "b": NEM12})).rule == "FILE-TOO-LARGE"


def test_a_flipped_bit_in_an_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "stored.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as target:
        target.writestr("a.csv", NEM12)
    content = path.read_bytes().replace(b"20240101,5", b"20240101,6", 1)
    path.write_bytes(content)
    assert refusal_of(path).rule == "FILE-DAMAGED"


def test_members_of_two_formats_or_of_none_are_refused(tmp_path: Path) -> None:
    assert (
        refusal_of(archive(tmp_path / "x.zip", {"a.csv": NEM12, "b.txt": b"hello\n"})).rule == "FILE-FORMAT"
    )
    assert refusal_of(archive(tmp_path / "y.zip", {})).rule in {"FILE-EMPTY", "FILE-DAMAGED"}


def test_folders_and_resource_forks_in_an_archive_are_passed_over(tmp_path: Path) -> None:
    path = archive(tmp_path / "mac.zip", {"d/": b"", "d/a.csv": NEM12, "__MACOSX/d/._a.csv": b"\0\5"})
    assert read_file(path).readings.num_rows == 1


def test_the_name_of_a_file_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(NEM12)
    assert detect_format(path) == "nem12"
    with pytest.raises(RefusedFile, match="'docx'"):
        read_file(path, format="docx")
