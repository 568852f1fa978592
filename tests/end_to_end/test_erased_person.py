"""A person is erased on the platform on which the demo ran: every store is searched for their word.

The word was written before the pipeline ran, so it had every way into the warehouse, files and logs.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from commands.main import app
from myproperty import engines
from myproperty.personal import FIELDS, Protection
from myproperty.settings import Settings, get_settings
from tests.end_to_end.marked import (
    ELSEWHERE,
    find_in_data_files,
    find_in_files,
    find_in_tables,
)
from tests.end_to_end.support import Platform
from tests.oltp.sealed_company import MASTER, master_setting

pytestmark = pytest.mark.engine
COLUMNS = {
    protection: {f.column for f in FIELDS if f.protection is protection} - ELSEWHERE
    for protection in Protection
}
BOOKS = COLUMNS[Protection.BOOKS]
IN_CLEAR = (COLUMNS[Protection.CLEARED] | COLUMNS[Protection.MENTIONS] | BOOKS) - {
    "myproperty.agent_audit.input_hash"
}


@pytest.fixture
def command(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    """Runs commands with the settings of the platform."""
    settings = platform.settings
    values = {
        "HOME": str(settings.home), "OLTP_DSN": settings.oltp_dsn, "WAREHOUSE_DSN": settings.warehouse_dsn,
        "KEYS_DSN": settings.keys_dsn, "MASTER_KEYS": master_setting(a=MASTER).get_secret_value(),
    }  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(f"MYPROPERTY_{name}", str(value))
    get_settings.cache_clear()
    yield CliRunner()
    get_settings.cache_clear()


def without_statistics(columns: set[str]) -> set[str]:
    return {column for column in columns if not column.startswith("pg_catalog.")}


def test_nothing_of_a_person_is_left_but_what_the_map_says(
    platform: Platform, command: CliRunner, postgres_settings: Settings
) -> None:
    marked = platform.marked
    oltp, warehouse = engines.dsn(platform.settings), engines.dsn(platform.settings, "warehouse")
    data = postgres_settings.home / "postgres" / "data"
    archive = Path(platform.settings.archive) / str(marked.tenant)
    archive.mkdir(exist_ok=True)
    letter, packed = archive / f"letter of {marked.name}.csv", archive / "letters.csv.gz"
    letter.write_text("a\n")
    packed.write_bytes(gzip.compress(f"a,b\n{marked.name},1\n".encode()))

    # Autovacuum takes samples once a minute: the run before may have been faster.
    platform.oltp("analyze")
    # Before: in the columns of the map and nowhere else; the warehouse has nothing to erase.
    found = find_in_tables(oltp, marked.word)
    assert without_statistics(found) == IN_CLEAR
    assert found != IN_CLEAR, "the statistics have samples of the texts"
    assert find_in_tables(warehouse, marked.word) == set()
    assert find_in_data_files(oltp, data, marked.word) >= {"myproperty.users", "myproperty.service_tickets"}
    homes = [platform.settings.home, postgres_settings.home / "logs"]
    assert find_in_files(homes, marked.word) == {letter, packed}
    server_log = (postgres_settings.home / "logs" / "postgres.log").read_text()
    assert "duplicate key value violates unique constraint" in server_log

    words = ["--tenant", str(marked.tenant), "--user", str(marked.user), "--because", "asked", "--yes"]
    first = command.invoke(app, ["keys", "erase", *words])
    assert first.exit_code == 0, first.output
    assert "1 people erased, 1 keys destroyed." in first.output
    assert letter.name in first.output and packed.name in first.output
    letter.unlink()
    packed.unlink()
    second = command.invoke(app, ["keys", "erase", *words])
    assert second.exit_code == 0 and "0 people erased, 0 keys destroyed." in second.output

    assert without_statistics(find_in_tables(oltp, marked.word)) == BOOKS
    assert find_in_tables(warehouse, marked.word) == set()
    assert find_in_files(homes, marked.word) == set()
    tables = {column.rpartition(".")[0] for column in BOOKS}
    left = find_in_data_files(oltp, data, marked.word)
    # Statistics of the books quote them too.
    log = {path for path in left if path.startswith("pg_wal/")}
    assert left - log <= tables | {"pg_statistic"}
    assert log, "the write-ahead log is the store that keeps it for a time"
    with psycopg.connect(oltp) as connection:
        query = "select distinct schemaname || '.' || tablename from pg_stats where pg_stats::text ~ %s"
        samples = connection.execute(query, (marked.word,))
        assert {row[0] for row in samples} <= tables
