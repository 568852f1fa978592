"""Personal fields of the demo are sealed once, and never again for an erased person."""

import os
from uuid import UUID

import psycopg
import pytest

from data.demo import apply_company
from tests.demo.conftest import contents

pytestmark = pytest.mark.engine


class CountingSealer:
    """Returns readable values in the shape of sealed ones; each call differs, as a nonce does."""

    def __init__(self) -> None:
        self.sealed = 0

    def seal(
        self, text: str, *, tenant: UUID, user: UUID | None, table: str, column: str, row: UUID
    ) -> bytes:
        self.sealed += 1
        return b"\x01" + os.urandom(28) + text.encode() + bytes(16)


def test_a_field_is_sealed_once(oltp_dsn: str) -> None:
    apply_company(oltp_dsn)
    sealer = CountingSealer()
    apply_company(oltp_dsn, sealer=sealer)
    before, count = contents(oltp_dsn), sealer.sealed
    apply_company(oltp_dsn, sealer=sealer)
    assert contents(oltp_dsn) == before
    with psycopg.connect(oltp_dsn) as db:
        counts = db.execute(
            "select count(*) filter (where full_name is null), "
            "(select count(destination) from myproperty.notification_preferences), "
            "(select count(*) from myproperty.agent_messages) from myproperty.users"
        ).fetchone()
        names = {row[0] for row in db.execute("select substr(full_name, 30) from myproperty.users")}
    assert counts == (0, 4, 24)
    assert count == sealer.sealed == 21 + 4 + 24
    assert all(name.removesuffix(bytes(16)).endswith(b"(demo)") for name in names)


def test_an_erased_person_stays_erased(oltp_dsn: str) -> None:
    sealer = CountingSealer()
    apply_company(oltp_dsn, sealer=sealer)
    with psycopg.connect(oltp_dsn) as db:
        db.execute(
            "update myproperty.users "
            "set status = 'erased', full_name = null, email = 'erased-' || id || '@invalid' "
            "where email = 'caspian.moss@wattlebird.example'"
        )
    count = sealer.sealed
    apply_company(oltp_dsn, sealer=sealer)
    with psycopg.connect(oltp_dsn) as db:
        rows = db.execute(
            "select email = 'erased-' || id || '@invalid', full_name "
            "from myproperty.users where status = 'erased'"
        ).fetchall()
    assert (rows, sealer.sealed) == ([(True, None)], count)
