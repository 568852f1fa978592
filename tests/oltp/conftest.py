"""Fixtures of the OLTP schema: two companies with a row in every table, and connections with a role."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString, Protocol

import psycopg
import pytest
from psycopg import sql
from psycopg.abc import Params

from myproperty.settings import Settings
from tests.oltp.company import DAY, SYSTEM_ROWS, Company, Row
from tests.oltp.office import Office
from tests.oltp.rights import CATALOGUE
from tests.oltp.sealed_company import SealedCompany, settings_of

Insert = Callable[[psycopg.Connection, str, Row], None]


class SignIn(Protocol):
    """Takes a role on, for one tenant and on behalf of one person, until the transaction ends."""

    def __call__(
        self, connection: psycopg.Connection, role: str, company: Company, user: uuid.UUID | None = None
    ) -> None: ...


@dataclass(frozen=True)
class Session:
    """A connection with a transaction open."""

    connection: psycopg.Connection

    def sign_in(self, role: str, company: Company, user: uuid.UUID | None = None) -> None:
        """Take a role on, for one tenant and on behalf of one person, until the transaction ends."""
        _sign_in(self.connection, role, company, user)

    def insert(self, table: str, row: Row) -> None:
        """Put one row into a table by its full name."""
        _insert(self.connection, table, row)

    def execute(self, query: LiteralString | sql.Composed, values: Params | None = None) -> psycopg.Cursor:
        """Execute one statement."""
        return self.connection.execute(query, values)

    def check(self) -> None:
        """Run the checks that would run at commit."""
        self.connection.execute("set constraints all immediate")
        self.connection.execute("set constraints all deferred")

    def refused(self, sqlstate: str, match: str) -> AbstractContextManager[None]:
        """A block that has to fail with this SQLSTATE and message, and is undone."""
        return _refused(self.connection, sqlstate, match)


def _insert(connection: psycopg.Connection, table: str, row: Row) -> None:
    statement = sql.SQL("insert into {} ({}) values ({})").format(
        sql.Identifier(*table.split(".")),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() * len(row)),
    )
    connection.execute(statement, list(row.values()))


def _sign_in(
    connection: psycopg.Connection, role: str, company: Company, user: uuid.UUID | None = None
) -> None:
    connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
    connection.execute("select set_config('app.tenant_id', %s, true)", (str(company.tenant),))
    connection.execute("select set_config('app.user_id', %s, true)", (str(user or ""),))


@contextmanager
def _refused(connection: psycopg.Connection, sqlstate: str, match: str) -> Iterator[None]:
    with pytest.raises(psycopg.Error, match=match) as caught, connection.transaction():
        yield
    assert caught.value.sqlstate == sqlstate


@pytest.fixture(scope="session")
def insert() -> Insert:
    """Puts one row into a table by its full name."""
    return _insert


@pytest.fixture(scope="session")
def sign_in() -> SignIn:
    """See `SignIn`."""
    return _sign_in


@pytest.fixture(scope="session")
def refused() -> Callable[[psycopg.Connection, str, str], AbstractContextManager[None]]:
    """A block that has to fail with this SQLSTATE and message, and is undone."""
    return _refused


@pytest.fixture(scope="session")
def system_rows() -> dict[str, Row]:
    """Table to a row, of the tables without a tenant."""
    return SYSTEM_ROWS


@pytest.fixture(scope="session")
def make_company() -> Callable[[str], Company]:
    """A company with new ids, in no database yet."""
    return Company


@pytest.fixture(scope="module")
def companies(oltp_dsn: str) -> tuple[Company, Company]:
    """Two companies with one row in every table, readings and landed readings on `DAY` among them."""
    pair = (Company("Acacia"), Company("Banksia"))
    with psycopg.connect(oltp_dsn) as connection:
        connection.execute("select myproperty.ensure_readings_partition(%s)", (DAY,))
        connection.execute("select warehouse_staging.ensure_readings_partition(%s)", (DAY,))
        for company in pair:
            for table, row in company.rows_in_order():
                _insert(connection, table, row)
    return pair


@pytest.fixture(scope="module")
def connection_of_module(oltp_dsn: str) -> Iterator[psycopg.Connection]:
    """One connection as superuser: a new one would load the catalogue anew for each test."""
    with psycopg.connect(oltp_dsn) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def db(connection_of_module: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """The connection of the module, whose transaction is rolled back after each test."""
    yield connection_of_module
    connection_of_module.rollback()


@pytest.fixture
def session(db: psycopg.Connection) -> Session:
    """The rolled-back connection with helpers for tests."""
    return Session(db)


@pytest.fixture
def app(session: Session, companies: tuple[Company, Company]) -> Session:
    """The rolled-back connection as the application, for Acacia."""
    session.sign_in("myproperty_app", companies[0])
    return session


@pytest.fixture
def other_app(oltp_dsn: str, companies: tuple[Company, Company]) -> Iterator[Session]:
    """The same on a second connection, which fails where it would have to wait."""
    with psycopg.connect(oltp_dsn) as connection:
        other = Session(connection)
        other.sign_in("myproperty_app", companies[0])
        other.execute("set local lock_timeout = '50ms'")
        yield other
        connection.rollback()


@pytest.fixture
def company_db(db: psycopg.Connection, companies: tuple[Company, Company]) -> psycopg.Connection:
    """The rolled-back connection to a database with rows of two companies, and views of its catalogue."""
    db.execute(CATALOGUE)
    return db


@pytest.fixture(scope="module")
def office(oltp_dsn: str, companies: Any, sign_in: Any, insert: Any) -> Office:
    """The first of two companies, with an account for its sales."""
    made = Office(oltp_dsn, companies[0], sign_in, insert)
    with psycopg.connect(oltp_dsn) as connection:
        made.of_new(connection, "ledger_accounts", code="sales", name="Sales", kind="income")
    return made


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_of(tmp_path_factory.mktemp("home"))


@pytest.fixture
def company(oltp_dsn: str, settings: Settings) -> SealedCompany:
    return SealedCompany(oltp_dsn, settings)
