"""The files of the migrations: complete, in one line, never edited once applied, and linted."""

import ast
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from oltp_schema.migrate import MIGRATIONS, alembic_config, revisions

ROOT = Path(__file__).resolve().parents[2]
SQL = MIGRATIONS / "sql"
SQUAWK = Path(sys.executable).parent / "squawk"


def test_every_revision_has_its_files_and_one_parent() -> None:
    scripts = ScriptDirectory.from_config(alembic_config())
    assert scripts.get_heads() == [revisions()[-1]]
    assert revisions() == sorted(path.stem for path in SQL.glob("*.sql"))
    assert revisions() == sorted(path.stem for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


@pytest.mark.parametrize("revision", revisions())
def test_a_revision_says_what_it_does_and_goes_forward_only(revision: str) -> None:
    assert len(revision) <= 32, "alembic_version holds 32 characters"
    text = (MIGRATIONS / "versions" / f"{revision}.py").read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    assert [f.name for f in tree.body if isinstance(f, ast.FunctionDef)] == ["upgrade"]
    assert (SQL / f"{revision}.sql").read_text().startswith("-- ")


def test_an_applied_file_is_never_edited() -> None:
    """A new revision adds its line to checksums.txt: `sha256sum NAME.sql`, run in the folder of the files."""
    lines = [line.split() for line in (MIGRATIONS / "checksums.txt").read_text().splitlines()]
    recorded = {name: checksum for checksum, name in lines}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in SQL.glob("*.sql")}
    edited = sorted(name for name in found.keys() & recorded.keys() if found[name] != recorded[name])
    assert edited == [], "an applied file never changes: write the change as a new revision"
    assert found.keys() == recorded.keys()


def squawk(*files: Path) -> subprocess.CompletedProcess[str]:
    """The lint as `make lint` runs it."""
    command: list[str | Path] = [SQUAWK, "--config", ROOT / ".squawk.toml", "--reporter", "gcc", *files]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_migrations_pass_the_lint() -> None:
    run = squawk(*sorted(SQL.glob("*.sql")))
    assert (run.returncode, run.stdout) == (0, ""), run.stderr


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("alter table myproperty.units add column colour text not null;", "adding-required-field"),
        ("alter table myproperty.units alter column floor set not null;", "adding-not-nullable-field"),
        ("create index units_of_floor on myproperty.units (floor);", "require-concurrent-index-creation"),
        (
            "create index concurrently units_of_floor on myproperty.units (floor);",
            "ban-concurrent-index-creation-in-transaction",
        ),
        ("alter table myproperty.units alter column label type varchar(10);", "changing-column-type"),
        ("alter table myproperty.units drop column floor;", "ban-drop-column"),
        ("alter table myproperty.units rename column floor to storey;", "renaming-column"),
        ("drop table myproperty.units;", "ban-drop-table"),
        (
            "alter table myproperty.units add constraint floor_is_named check (floor <> '');",
            "constraint-missing-not-valid",
        ),
        (
            "alter table myproperty.units add foreign key (id) references myproperty.meters (id);",
            "adding-foreign-key-constraint",
        ),
        ("alter table myproperty.units add constraint b unique (floor);", "disallowed-unique-constraint"),
    ],
)
def test_a_planted_statement_is_found(tmp_path: Path, statement: str, rule: str) -> None:
    planted = tmp_path / "0099_planted.sql"
    planted.write_text(f"set local role myproperty_owner;\n{statement}\n")
    run = squawk(planted)
    assert run.returncode == 1
    assert f" {rule} " in run.stdout
