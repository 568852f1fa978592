"""How the solar energy of a property is shared out, interval by interval.

Pure functions on arrays of whole numbers: energies are counted in quanta (a billionth of a kWh, or whatever
the caller counts in), so that nothing is lost to rounding. The three methods and their invariants are those
of collective self-consumption: per interval 0 <= solar <= load, and solar + surplus = generation.
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

Method = Literal["static", "dynamic", "hybrid"]
METHODS: tuple[Method, ...] = get_args(Method)
Quanta = npt.NDArray[Any]


def allocate(
    method: Method, generation: Quanta, loads: Quanta, shares: Quanta, participants: Sequence[str]
) -> Quanta:
    """Solar of each participant (m, n), in the quanta of `generation` (n,) and `loads` (m, n).

    `shares` (m, n) are whole numbers, each column with the same sum, of which a participant has its part.
    static: everyone has their share of the generation, up to their load. dynamic: in proportion to load.
    hybrid: static, then what is left goes by share to those who can still use it. Whoever may get nothing, as
    a vacant unit, has load 0 here. What cannot be divided goes by largest remainder, a tie by the name of the
    participant: the order of rows does not matter. Raises `ValueError` for negative or misshapen input.
    """
    _check(method, generation, loads, shares, participants)
    order = np.argsort(np.asarray(participants, dtype=str), kind="stable")
    generation, loads, shares = _wide_enough(generation, loads[order], shares[order])
    sharing = {"static": _static, "dynamic": _dynamic, "hybrid": _hybrid}[method]
    solar = np.empty_like(loads)
    solar[order] = sharing(generation, loads, shares)
    return solar


def _static(generation: Quanta, loads: Quanta, shares: Quanta) -> Quanta:
    return np.minimum(divide(generation, shares), loads)


def _dynamic(generation: Quanta, loads: Quanta, shares: Quanta) -> Quanta:
    return divide(np.minimum(generation, loads.sum(axis=0)), loads)


def _hybrid(generation: Quanta, loads: Quanta, shares: Quanta) -> Quanta:
    solar = _static(generation, loads, shares)
    # Each round either spends all that is left or fills a participant: there are no more rounds than those.
    for _ in range(len(loads)):
        left = generation - solar.sum(axis=0)
        wanting = np.where(solar < loads, shares, 0)
        solar = np.minimum(solar + divide(np.where(wanting.any(axis=0), left, 0), wanting), loads)
    return solar


def divide(totals: Quanta, weights: Quanta) -> Quanta:
    """Divide `totals` (n,) in proportion to `weights` (m, n), exactly, by largest remainder.

    A column without any weight gets nothing. Ties go to the earlier row.
    """
    sums = weights.sum(axis=0)
    products, divisors = totals * weights, np.where(sums == 0, 1, sums)
    parts = products // divisors
    remainders = products - parts * divisors
    left = np.where(sums == 0, 0, totals - parts.sum(axis=0))
    by_remainder = np.argsort(-remainders, axis=0, kind="stable")
    rank = np.empty(by_remainder.shape, dtype=np.int64)
    np.put_along_axis(rank, by_remainder, np.arange(len(weights))[:, np.newaxis], axis=0)
    return np.asarray(parts + (rank < left))


def _wide_enough(*arrays: Quanta) -> tuple[Quanta, ...]:
    """The arrays as int64, or as Python's unbounded integers where a product would not fit."""
    generation, loads, shares = arrays
    highest = int(generation.max(initial=0)) * max(
        int(loads.sum(axis=0).max(initial=0)), int(shares.sum(axis=0).max(initial=0))
    )
    kind = np.int64 if highest < 2**62 else object
    return tuple(array.astype(kind) for array in arrays)


def _check(
    method: str, generation: Quanta, loads: Quanta, shares: Quanta, participants: Sequence[str]
) -> None:
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}: one of {', '.join(METHODS)}")
    if loads.shape != (len(participants), *generation.shape) or shares.shape != loads.shape:
        raise ValueError(
            f"loads {loads.shape} and shares {shares.shape} must have a row for each of {len(participants)} "
            f"participants and a column for each of {generation.size} intervals"
        )
    if len(set(participants)) < len(participants):
        raise ValueError("a participant is named twice")
    if min(int(array.min(initial=0)) for array in (generation, loads, shares)) < 0:
        raise ValueError("generation, loads and shares are never negative")
