"""Several files at once: results in order, and the same readings as one file after the other."""

import threading
from decimal import Decimal
from pathlib import Path

import pytest

from data.ingest.readings import parallel
from data.ingest.readings.parallel import _overlap, _Turns, ingest_files, run_in_turns
from myproperty.database.session import Connections, transaction
from tests.ingest.conftest import Company, FileMaker, hours

pytestmark = pytest.mark.engine


def test_files_of_the_same_readings_are_loaded_in_the_order_given(
    company: Company, csv_file: FileMaker, tmp_path: Path
) -> None:
    """With equal rank and version the later file is current, although a large earlier file takes longer."""
    bad = tmp_path / "bad.csv"
    bad.write_text("<html>\n")
    first = csv_file("first.csv", hours(4000, "1"))
    paths = [first, bad, *(csv_file(f"{n}.csv", hours(3, str(n))) for n in range(2, 6)), first]
    results = list(ingest_files(paths, tenant=company.name, dsn=company.dsn, workers=2))
    assert [Path(result.path).name for result in results] == [path.name for path in paths]
    assert [result.status for result in results] == ["loaded", "refused", *["loaded"] * 4, "unchanged"]
    assert [result.new_versions for result in results[2:6]] == [3, 3, 3, 3]
    assert [row[1:4:2] for row in company.current()[:3]] == [(Decimal(v), 5) for v in hours(3, "5")]


def test_files_without_common_readings_do_not_wait() -> None:
    turns = _Turns()
    turns.begin(2)
    turns.wait(0, {("M1", "E1"): (0, 10)})
    turns.wait(1, {("M1", "E1"): (11, 20), ("M2", "E1"): (0, 5)})
    third = threading.Thread(target=turns.wait, args=(2, {("M1", "E1"): (20, 30)}))
    third.start()
    third.join(timeout=0.2)
    assert third.is_alive()
    turns.done(1)
    third.join(timeout=10)
    assert not third.is_alive()
    assert not _overlap({("M1", "E1"): (0, 1)}, {("M1", "E2"): (0, 1)})


def test_a_file_is_compared_with_those_that_are_open_and_not_with_all_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files, workers, compared = 300, 2, []

    def compare(*spans: object) -> bool:
        compared.append(spans)
        return False

    def ingest(place: int, turn: parallel.Turn) -> int:
        turn.turns.wait(place, {(f"M{place}", "E1"): (0, 1)})
        return place

    monkeypatch.setattr(parallel, "_must_wait", compare)
    assert list(run_in_turns(ingest, range(files), workers)) == list(range(files))
    # Each file looks once, and again when the other worker has read or loaded one.
    assert len(compared) <= 3 * files * (workers - 1)


def test_a_connection_is_reused_unless_it_failed_or_was_lost(company: Company) -> None:
    def backend(connections: Connections) -> int:
        with transaction(connections) as session:
            return int(session.rows("select pg_backend_pid()")[0][0])

    with Connections(company.dsn) as connections:
        first = backend(connections)
        assert backend(connections) == first
        with pytest.raises(ZeroDivisionError), transaction(connections):
            raise ZeroDivisionError
        second = backend(connections)
        assert second != first
        with transaction(company.dsn) as other:
            other.rows("select pg_terminate_backend($1, 10000)", (second,))
        third = backend(connections)
        assert third not in (first, second)
    with transaction(company.dsn) as session:
        alive = "select count(*) from pg_stat_activity where pid = any($1) and state <> 'idle'"
        assert session.rows(alive, ([first, second, third],)) == [(0,)]


def test_an_error_of_the_caller_is_raised(company: Company, csv_file: FileMaker) -> None:
    paths = [csv_file("a.csv", hours(1)), csv_file("b.csv", hours(2))]
    with pytest.raises(Exception, match="Nobody"):
        list(ingest_files(paths, tenant="Nobody", dsn=company.dsn, workers=2))
