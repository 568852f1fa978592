"""What a killed process leaves on the disk is removed by the next one, and nobody takes it for whole."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from myproperty import files
from myproperty.settings import CHECKOUT

HOLD = """
import os, signal, sys
from myproperty.files import temporary_folder
with temporary_folder("chaos") as folder:
    (folder / "copy.csv").write_text("a reading")
    os.utime(folder, (0, 0))
    print(folder, flush=True)
    sys.stdin.read()
"""
HALF = """
import os, signal, shutil, sys
from pathlib import Path
from myproperty.files import copy_whole
def half(source, target):
    target.write(source.read()[:3])
    target.flush()
    os.kill(os.getpid(), signal.SIGKILL)
shutil.copyfileobj = half
copy_whole(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_temporary_folder_is_removed_once_its_process_was_killed(temporary: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "TMPDIR": str(temporary)},
    )
    assert holder.stdout is not None and holder.stdin is not None
    folder = Path(holder.stdout.readline().strip())
    assert files.remove_left_folders("chaos") == [], "its process lives"
    assert (folder / "copy.csv").exists()
    holder.kill()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    assert files.remove_left_folders("another") == []
    assert files.remove_left_folders("chaos") == [folder]
    assert not folder.exists()


def test_a_young_folder_stays_since_its_process_may_not_have_locked_it_yet(temporary: Path) -> None:
    young = temporary / "myproperty-chaos-x"
    young.mkdir()
    assert files.remove_left_folders("chaos") == []
    assert young.exists()


def test_a_copy_that_was_killed_has_no_name_and_the_next_one_takes_it_over(tmp_path: Path) -> None:
    source, target = tmp_path / "source.csv", tmp_path / "archive" / "source.csv"
    source.write_text("a whole file")
    target.parent.mkdir()
    words = [sys.executable, "-c", HALF, str(source), str(target)]
    killed = subprocess.run(words, env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, check=False)
    assert killed.returncode == -9
    assert [path.read_text() for path in target.parent.iterdir()] == ["a w"]
    assert not target.exists()
    files.copy_whole(source, target)
    assert {path.name: path.read_text() for path in target.parent.iterdir()} == {"source.csv": "a whole file"}


def test_copies_to_one_name_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    sources = [tmp_path / f"{number}.csv" for number in range(4)]
    for source in sources:
        source.write_text(source.name * 200_000)
    target = tmp_path / "archive" / "readings.csv"
    target.parent.mkdir()
    threads = [threading.Thread(target=files.copy_whole, args=(source, target)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.name for path in target.parent.iterdir()] == ["readings.csv"]
    assert target.read_text() in [source.read_text() for source in sources]
