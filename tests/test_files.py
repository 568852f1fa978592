"""Folders of the platform are its own; links and other names are tested with the inbox."""

import stat
from pathlib import Path

from myproperty.files import close_folder


def test_a_folder_is_made_for_this_account_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    close_folder(tmp_path / "home" / "logs")
    assert stat.S_IMODE((tmp_path / "home" / "logs").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) & 0o011, "the server's account passes through it"
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_folder_of_an_earlier_release_is_closed(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir(mode=0o755)
    (tmp_path / "logs" / "run.log").write_text("before")
    close_folder(tmp_path / "logs")
    assert stat.S_IMODE((tmp_path / "logs").stat().st_mode) == 0o700
    assert (tmp_path / "logs" / "run.log").read_text() == "before"
