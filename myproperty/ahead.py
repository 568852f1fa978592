"""Reading ahead: the next item is made by a thread while one is used."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def read_ahead(items: Generator[Item, None, None]) -> Generator[Item, None, None]:
    """Yield the items of a generator, of which one is made ahead; its errors are raised in their place."""
    with ThreadPoolExecutor(1) as thread:
        try:
            made = thread.submit(next, items, None)
            while (item := made.result()) is not None:
                made = thread.submit(next, items, None)
                yield item
        finally:
            try:
                thread.submit(items.close)
            except RuntimeError:  # this process ends, and its threads have ended
                items.close()
