"""Reading ahead: the items and errors of a generator, which ends when nobody reads it any more."""

import subprocess
import sys
from collections.abc import Generator

import pytest

from myproperty.ahead import read_ahead
from myproperty.settings import CHECKOUT

ABANDONED = """
from myproperty.ahead import read_ahead

def count():
    try:
        yield from range(1, 9)
    finally:
        print("closed")

items = read_ahead(count())
print(next(items))
"""


def test_items_and_errors_come_in_their_place() -> None:
    def count() -> Generator[int, None, None]:
        yield from (1, 2)
        raise ValueError("third")

    items = read_ahead(count())
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(ValueError, match="third"):
        next(items)


def test_a_generator_that_is_left_is_closed() -> None:
    closed: list[str] = []

    def count() -> Generator[int, None, None]:
        try:
            yield from range(9)
        finally:
            closed.append("closed")

    items = read_ahead(count())
    next(items)
    items.close()
    assert closed == ["closed"]


def test_a_process_that_ends_before_its_generator_says_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ABANDONED], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("1\nclosed\n", "")
