"""A sender that may write to its folder of the inbox: what it puts there reaches no other file."""

import os
import stat
import time
from pathlib import Path
from unittest.mock import Mock

import pytest

from data.ingest.formats.file_mappings import MAX_MAPPING_BYTES, MappingError, read_mapping
from data.ingest.readings import inbox
from data.ingest.readings.own_files import open_inbox
from data.ingest.readings.results import IngestResult
from myproperty.files import UnsafeFile, make_private_folder, open_below
from myproperty.settings import Settings
from tests.ingest.conftest import Company, FileMaker, hours

SECRET = "the-master-key"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "keys" / "master.key"
    file.parent.mkdir(mode=0o700)
    file.write_text(SECRET)
    return file


@pytest.fixture
def settings(tmp_path: Path, oltp_dsn: str) -> Settings:
    return Settings(
        home=tmp_path / "home",
        oltp_dsn=oltp_dsn,
        inbox_url=str(tmp_path / "inbox"),
        archive_url=str(tmp_path / "archive"),
    )


def folder_of(settings: Settings, company: Company) -> Path:
    folder = Path(settings.inbox) / company.name
    folder.mkdir(parents=True)
    return folder


def ingest(settings: Settings) -> list[IngestResult]:
    return list(inbox.ingest_waiting(settings, str(settings.oltp_dsn)))


def texts_below(root: Path) -> str:
    return "\n".join(path.read_text(errors="replace") for path in root.rglob("*") if path.is_file())


@pytest.mark.engine
@pytest.mark.parametrize("kind", ["link", "link to a folder", "hard link", "pipe", "link to the inbox"])
def test_only_regular_files_of_the_sender_are_read(
    kind: str, settings: Settings, company: Company, csv_file: FileMaker, secret: Path
) -> None:
    folder = folder_of(settings, company)
    trap = folder / "trap.csv"
    if kind == "link":
        trap.symlink_to(secret)
    elif kind == "link to a folder":
        trap.symlink_to(secret.parent)
    elif kind == "hard link":
        os.link(secret, trap)
    elif kind == "pipe":
        os.mkfifo(trap)
    else:
        trap.symlink_to(folder.parent)
    (folder / "good.csv").write_bytes(csv_file("made.csv", hours(2)).read_bytes())
    results = {Path(result.path).name: result for result in ingest(settings)}
    assert {name: result.status for name, result in results.items()} == {
        "good.csv": "loaded",
        "trap.csv": "failed",
    }
    refusal = results["trap.csv"].refusal
    assert refusal is not None and refusal.rule == "FILE-UNSAFE"
    assert SECRET not in texts_below(Path(settings.archive))
    assert secret.read_text() == SECRET
    assert os.path.lexists(trap), "what a sender put there stays for a person to see"


@pytest.mark.engine
def test_the_archive_is_closed_to_others(settings: Settings, company: Company, csv_file: FileMaker) -> None:
    folder = folder_of(settings, company)
    (folder / "good.csv").write_bytes(csv_file("good.csv", hours(2)).read_bytes())
    ingest(settings)
    folders = [Path(settings.archive), *(path for path in Path(settings.archive).rglob("*") if path.is_dir())]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


def test_a_folder_that_becomes_a_link_while_it_is_read_ends_the_way(tmp_path: Path, secret: Path) -> None:
    """The list named a file; its folder is a link to another one when the file is opened, or removed."""
    root = tmp_path / "inbox"
    (root / "t" / "sub").mkdir(parents=True)
    (root / "t" / "sub" / "master.key").write_text("mine")
    filesystem, place = open_inbox(str(root))
    (path,) = filesystem.find(place)
    (root / "t" / "sub" / "master.key").unlink()
    (root / "t" / "sub").rmdir()
    (root / "t" / "sub").symlink_to(secret.parent)
    with pytest.raises(UnsafeFile), filesystem.open(path):
        pass
    with pytest.raises(UnsafeFile):
        filesystem.get_file(path, str(tmp_path / "copy"))
    with pytest.raises(UnsafeFile):
        filesystem.rm_file(path)
    assert secret.read_text() == SECRET


@pytest.mark.parametrize("path", ["../keys/master.key", "/etc/passwd", "t/../../keys/master.key"])
def test_a_path_does_not_leave_its_folder(tmp_path: Path, secret: Path, path: str) -> None:
    (tmp_path / "inbox").mkdir()
    with pytest.raises(UnsafeFile), open_below(tmp_path / "inbox", Path(path)):
        pass


def test_a_tenant_with_many_files_does_not_delay_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [f"a/{number:04}.csv" for number in range(inbox.MOST_WAITING + 5)] + ["b/1.csv", "b/2.csv"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    filesystem, root = open_inbox(str(tmp_path))
    asked = Mock(side_effect=filesystem.ukey)
    monkeypatch.setattr(filesystem, "ukey", asked)
    found = inbox.list_waiting(filesystem, root)
    assert [(file.tenant, file.name) for file in found[:4]] == [
        ("a", "0000.csv"),
        ("b", "1.csv"),
        ("a", "0001.csv"),
        ("b", "2.csv"),
    ]
    # The store is not asked about the others.
    assert len(found) == asked.call_count == inbox.MOST_WAITING + 2


def test_a_private_folder_leaves_an_existing_one_as_it_is(tmp_path: Path) -> None:
    before = stat.S_IMODE(tmp_path.stat().st_mode)
    make_private_folder(tmp_path / "a" / "b")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path, tmp_path / "a", tmp_path / "a" / "b")]
    assert modes == [before, 0o700, 0o700]


MERGED = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 30)
)
HOSTILE = {
    "merge keys": MERGED,
    "aliases": "a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "sexagesimal": "format: " + ":".join(["1"] * 20_000) + "\n",
    "tagged sexagesimal": "format: !!int " + ":".join(["1"] * 20_000) + "\n",
    "tagged float": "format: !!float " + ":".join(["1"] * 20_000) + ".5\n",
    "many digits": "format: " + "9" * 60_000 + "\n",
    "deep": "[" * 30_000,
    "deep block": "".join(f"{' ' * n}a:\n" for n in range(300)),
    "python object": "format: !!python/object/apply:os.system ['true']\n",
    "large": "a" * (MAX_MAPPING_BYTES + 1),
    "many keys": "".join(f"k{n}: 1\n" for n in range(6_000)),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("suffix", ["yaml", "toml"])
def test_a_hostile_mapping_is_refused_in_little_time(name: str, suffix: str) -> None:
    """Seconds of the processor, far above what the machine needs: a slow one took 24 s, or did not end."""
    before = time.process_time()
    with pytest.raises(MappingError):
        read_mapping(HOSTILE[name].encode(), f"m.{suffix}")
    assert time.process_time() - before < 10
