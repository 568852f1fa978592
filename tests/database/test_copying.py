"""Binary COPY: PostgreSQL reads every value as Arrow holds it."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from myproperty.database.copying import encode
from myproperty.database.session import transaction

pytestmark = pytest.mark.engine
INSTANTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))
TEXTS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8)
LONGEST = Decimal("99999999999.999999999")


def numbers(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


COLUMNS: dict[str, tuple[pa.DataType, str, st.SearchStrategy[Any]]] = {
    "a_text": (pa.string(), "text", TEXTS),
    "a_uuid": (pa.binary(16), "uuid", st.binary(min_size=16, max_size=16)),
    "a_flag": (pa.bool_(), "boolean", st.booleans()),
    "an_int2": (pa.int16(), "smallint", numbers(16)),
    "an_int4": (pa.int32(), "integer", numbers(32)),
    "an_int8": (pa.int64(), "bigint", numbers(64)),
    "a_float": (pa.float64(), "float8", st.floats(allow_nan=False)),
    "a_date": (pa.date32(), "date", st.dates()),
    "an_instant": (pa.timestamp("us", tz="UTC"), "timestamptz", INSTANTS),
    "an_energy": (pa.decimal128(20, 9), "numeric(20,9)", st.decimals(-LONGEST, LONGEST, places=9)),
    "an_amount": (pa.decimal128(38, 2), "numeric", st.decimals(-(10**35), 10**35, places=2)),
    "a_count": (pa.decimal128(18, 0), "numeric", st.decimals(-(10**17), 10**17, places=0)),
}
ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | values for name, (_, _, values) in COLUMNS.items()}), max_size=6
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_copied_rows_equal_the_sent_rows(oltp_dsn: str, rows: list[dict[str, Any]]) -> None:
    schema = pa.schema([(name, kind) for name, (kind, _, _) in COLUMNS.items()])
    table = pa.Table.from_pylist(rows, schema=schema)
    made = ", ".join(f"{name} {kind}" for name, (_, kind, _) in COLUMNS.items())
    with transaction(oltp_dsn) as session:
        session.execute(f"create temporary table sent ({made}) on commit drop")
        assert session.copy([table, table], "sent") == 2 * len(rows)
        found = session.rows(f"select {', '.join(COLUMNS)} from sent")
    received = [tuple(getattr(value, "bytes", value) for value in row) for row in found]
    assert received == [tuple(row[name] for name in COLUMNS) for row in 2 * rows]


def test_rows_with_fields_of_one_width(oltp_dsn: str) -> None:
    """The usual rows: texts of one length, and empty columns."""
    rows = pa.table(
        {
            "a_text": ["actual", "edited", "actual"],
            "nothing": pa.nulls(3, pa.string()),
            "an_int4": pa.array([1, -2, 3], pa.int32()),
            "no_energy": pa.nulls(3, pa.decimal128(20, 9)),
            "an_energy": pa.array(
                [Decimal("1.5"), Decimal(0), Decimal("-7.000000001")], pa.decimal128(20, 9)
            ),
        }
    )
    with transaction(oltp_dsn) as session:
        session.execute(
            "create temporary table sent (a_text text, nothing text, an_int4 integer, no_energy numeric, "
            "an_energy numeric) on commit drop"
        )
        assert session.copy([rows.slice(1), rows], "sent") == 5
        found = session.rows("select * from sent")
    expected = [tuple(row.values()) for row in rows.to_pylist()]
    assert found == [*expected[1:], *expected]


def test_rows_come_back_in_the_requested_schema(oltp_dsn: str) -> None:
    schema = pa.schema(
        [
            ("a", pa.string()), ("b", pa.string()), ("c", pa.bool_()), ("d", pa.decimal128(20, 9)),
            ("e", pa.timestamp("us", tz="UTC")), ("f", pa.date32()), ("g", pa.int64()),
        ]
    )  # fmt: skip
    query = (
        "select $1 as a, ''::text as b, true as c, 1.500000001 as d, "
        "timestamptz '2025-10-05 02:30:00.000001+10' as e, date '2024-02-29' as f, null::bigint as g"
    )
    with transaction(oltp_dsn) as session:
        found = session.arrow(query, schema, ('two\nlines, "quoted", $2',))
        assert session.arrow(f"select * from ({query}) as q where false", schema, ("x",)).num_rows == 0
        with pytest.raises(ValueError, match="the query gives"):
            session.arrow("select 1 as other", pa.schema([("a", pa.int64())]))
        with pytest.raises(pa.ArrowInvalid):
            session.arrow("select 'x' as a", pa.schema([("a", pa.int64())]))
        assert pa.concat_tables(session.stream(query, schema, ('two\nlines, "quoted", $2',))).equals(found)
        assert list(session.stream(f"select * from ({query}) as q where false", schema, ("x",))) == []
    at = datetime(2025, 10, 4, 16, 30, 0, 1, tzinfo=UTC)
    row = ('two\nlines, "quoted", $2', "", True, Decimal("1.500000001"), at, date(2024, 2, 29), None)
    assert [tuple(line.values()) for line in found.to_pylist()] == [row]


def test_a_stream_of_rows_comes_in_parts(oltp_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are wider than a part here and there, and a text may hold the end of a line."""
    monkeypatch.setattr("myproperty.database.session._BLOCK", 4096)
    schema = pa.schema([("n", pa.int64()), ("text", pa.string())])
    query = "select n, repeat(chr(10) || n::text, n % 200) as text from generate_series(1, 1000) as n"
    with transaction(oltp_dsn) as session:
        parts = list(session.stream(query, schema))
        assert len(parts) > 20 and pa.concat_tables(parts).equals(session.arrow(query, schema))
        assert next(session.stream(query, schema)).num_rows
        assert session.rows("select 1") == [(1,)], "the rest of a stream that nobody reads is left"


def test_a_type_that_cannot_be_copied_is_named() -> None:
    with pytest.raises(TypeError, match="list<item: int64>"):
        list(encode(pa.table({"a": pa.array([[1]])})))
