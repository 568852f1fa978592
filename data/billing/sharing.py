"""Share the solar energy of a property among its participants, interval by interval.

Pure functions on arrays of whole numbers. Energies are counted in quanta (a billionth of a kWh, or another
unit of the caller), so rounding loses nothing. The three methods follow collective self-consumption: in
each interval 0 <= solar <= load, and solar + surplus = generation.
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

Method = Literal["static", "dynamic", "hybrid"]
METHODS: tuple[Method, ...] = get_args(Method)
Quanta = npt.NDArray[Any]


def share_out_solar(
    method: Method, generation: Quanta, loads: Quanta, shares: Quanta, participants: Sequence[str]
) -> Quanta:
    """Return the solar of each participant (m, n), in the quanta of `generation` (n,) and `loads` (m, n).

    `shares` (m, n) are whole numbers; every column has the same sum. static: each participant gets its share
    of the generation, up to its load. dynamic: in proportion to load. hybrid: static, then the rest goes by
    share to participants that can still use it. A participant that may get no solar, such as a vacant unit,
    has load 0 here. Remainders go by largest remainder, ties by participant name, so the order of rows does
    not matter. Raises `ValueError` for negative or misshapen input.
    """
    _check_input(method, generation, loads, shares, participants)
    order = np.argsort(np.asarray(participants, dtype=str), kind="stable")
    generation, loads, shares = _widen(generation, loads[order], shares[order])
    sharing = {"static": _share_static, "dynamic": _share_dynamic, "hybrid": _share_hybrid}[method]
    solar = np.empty_like(loads)
    solar[order] = sharing(generation, loads, shares)
    return solar


def _share_static(generation: Quanta, loads: Quanta, shares: Quanta) -> Quanta:
    return np.minimum(divide_by_largest_remainder(generation, shares), loads)


def _share_dynamic(generation: Quanta, loads: Quanta, shares: Quanta) -> Quanta:
    return divide_by_largest_remainder(np.minimum(generation, loads.sum(axis=0)), loads)


def _share_hybrid(generation: Quanta, loads: Quanta, shares: Quanta) -> Quanta:
    solar = _share_static(generation, loads, shares)
    # Each round uses up the rest or fills one participant, so `len(loads)` rounds are enough.
    for _ in range(len(loads)):
        left = generation - solar.sum(axis=0)
        wanting = np.where(solar < loads, shares, 0)
        solar = np.minimum(
            solar + divide_by_largest_remainder(np.where(wanting.any(axis=0), left, 0), wanting), loads
        )
    return solar


def divide_by_largest_remainder(totals: Quanta, weights: Quanta) -> Quanta:
    """Divide `totals` (n,) in proportion to `weights` (m, n), exactly, by largest remainder.

    A column whose weights are all 0 gets nothing. Ties go to the earlier row.
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


def _widen(*arrays: Quanta) -> tuple[Quanta, ...]:
    """Return the arrays as int64, or as Python's unbounded integers if a product would overflow."""
    generation, loads, shares = arrays
    highest = int(generation.max(initial=0)) * max(
        int(loads.sum(axis=0).max(initial=0)), int(shares.sum(axis=0).max(initial=0))
    )
    kind = np.int64 if highest < 2**62 else object
    return tuple(array.astype(kind) for array in arrays)


def _check_input(
    method: str, generation: Quanta, loads: Quanta, shares: Quanta, participants: Sequence[str]
) -> None:
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}: use one of {', '.join(METHODS)}")
    if loads.shape != (len(participants), *generation.shape) or shares.shape != loads.shape:
        raise ValueError(
            f"loads {loads.shape} and shares {shares.shape} must have a row for each of {len(participants)} "
            f"participants and a column for each of {generation.size} intervals"
        )
    if len(set(participants)) < len(participants):
        raise ValueError("a participant is named twice")
    if min(int(array.min(initial=0)) for array in (generation, loads, shares)) < 0:
        raise ValueError("generation, loads and shares must not be negative")
