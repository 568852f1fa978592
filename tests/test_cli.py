"""The command from outside: one JSON document, errors on standard error, exit codes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from commands.engines import mask_password
from commands.main import app
from commands.views import unique_names
from data.ingest.rules.table import RULES
from myproperty.settings import get_settings

NEM12 = """100,NEM12,202511010000,MDP1,RET1
200,6102000001,E1,1,E1,N1,SN1,kWh,720,
300,20251030,1.5,2.25,A,,,20251031010000,
300,20251031,1.5,A,,,20251101010000,
900
"""


def myproperty(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MYPROPERTY_HOME": str(home)}
    command = [sys.executable, "-m", "commands.main", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def run_command(*arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home that does not exist yet, for commands in this process."""
    monkeypatch.setenv("MYPROPERTY_HOME", str(tmp_path / "empty"))
    get_settings.cache_clear()
    yield tmp_path / "empty"
    get_settings.cache_clear()


def test_inspect_prints_one_json_document(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(NEM12)
    done = run_command("inspect", str(file), "--json")
    report = json.loads(done.stdout)
    assert done.exit_code == 0
    assert report["status"] == "ok"
    assert [(c["meter"], c["register"], c["channel"], c["total"]) for c in report["channels"]] == [
        ("6102000001", "E1", "import", "3.75")
    ]
    assert report["rejected"] == [
        {"reason": "NEM12-VALUE-COUNT: the 300 record has 1 values, 2 expected", "count": 1, "first_line": 4}
    ]


def test_a_table_shows_every_figure_in_full(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(NEM12)
    shown = myproperty(tmp_path, "inspect", str(file)).stdout
    assert "3.75" in shown and "6102000001" in shown and "…" not in shown


def test_a_refused_file_exits_with_1_and_says_where_and_why(tmp_path: Path) -> None:
    file = tmp_path / "cut.csv"
    file.write_text(NEM12.replace("900\n", ""))
    done = run_command("inspect", str(file), "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["status"] == "refused"
    assert str(file) in done.stderr and "FILE-CUT" in done.stderr


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("", "FILE-EMPTY"),
        ("this is no meter file\n", "FILE-FORMAT"),
        (NEM12.replace("1.5,2.25", "x,y").replace("300,20251031,1.5,A", "300,20251031,x,A"), "FILE-NOTHING"),
        # The last one can be read, but its readings lie in the future.
        (NEM12.replace("2025103", "2065103"), "VEE-FUTURE"),
    ],
)
def test_a_refused_file_is_shown_with_its_rule_and_remedy(tmp_path: Path, content: str, rule: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text(content)
    shown = run_command("inspect", str(file))
    report = json.loads(run_command("inspect", str(file), "--json").stdout)
    refusal = report["refusal"]
    assert shown.exit_code == 1
    assert refusal["rule"].startswith(rule) and refusal["remedy"] == RULES[refusal["rule"]].remedy
    assert refusal["remedy"] in shown.stderr and refusal["reason"] in shown.stderr
    for text in (shown.stdout, shown.stderr):
        assert "None" not in text and "refused: refused" not in text


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["migrate"], "myproperty up"),
        (["gates"], "myproperty up"),
        (["query", "select 1"], "myproperty up"),
        (["run", "--from", "2025-10-02", "--to", "2025-10-01"], "before"),
        (["run", "--from", "2025-10-02"], "both"),
        (["demo", "--days", "8"], "--scale"),
    ],
)
@pytest.mark.usefixtures("empty_home")
def test_an_error_names_its_remedy(arguments: list[str], remedy: str) -> None:
    done = run_command(*arguments)
    assert done.exit_code != 0 and isinstance(done.exception, SystemExit)
    assert remedy in done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://me:secret@db.example:5432/oltp",
        "postgresql://me:se%2Fcret@db.example/oltp?sslmode=require",
        "postgresql://db.example/oltp?user=me&password=secret&sslmode=require",
        "host=db.example user=me password=secret dbname=oltp",
        r"host=db.example password='se\'cret with a space' dbname=oltp",
    ],
)
def test_an_address_is_shown_without_its_password(dsn: str) -> None:
    shown = mask_password(dsn)
    assert "cret" not in shown and "***" in shown
    assert "db.example" in shown and "oltp" in shown


@pytest.mark.usefixtures("empty_home")
def test_status_shows_passwords_only_if_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYPROPERTY_OLTP_DSN", "postgresql://me:secret@127.0.0.1:1/oltp")
    for words in (["status"], ["status", "--json"]):
        get_settings.cache_clear()
        assert "secret" not in run_command(*words).output
    get_settings.cache_clear()
    assert "secret" in run_command("status", "--passwords", "--json").output


def test_an_error_in_a_process_is_no_traceback(tmp_path: Path) -> None:
    done = myproperty(tmp_path / "empty", "migrate")
    assert done.returncode != 0
    assert "myproperty up" in done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""


def ends_of_ranges(command: Any) -> Iterator[Any]:
    """Every option `--to` of a command and of the commands below it."""
    yield from (option for option in command.params if "--to" in option.opts)
    for below in getattr(command, "commands", {}).values():
        yield from ends_of_ranges(below)


def test_each_command_includes_the_date_of_to() -> None:
    ends = list(ends_of_ranges(get_command(app)))
    dates = [option for option in ends if option.help.endswith(", included.")]
    assert len(dates) > 3
    assert [option.metavar for option in ends if option not in dates] == ["INSTANT|latest"]


def test_repeated_column_names_are_all_shown() -> None:
    assert unique_names(["count", "sum", "count", "count"]) == ["count", "sum", "count_2", "count_3"]
