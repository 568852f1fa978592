"""Sharing solar: the published vectors, the invariants, and a second computation of each method."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.billing.sharing import METHODS, Method, divide_by_largest_remainder, share_out_solar

# Section 4 of the domain's vectors: five intervals, shares .5/.3/.2, in tenths of a kWh here.
GENERATION = np.array([100, 60, 60, 0, 50])
LOADS = np.array([[20, 40, 0, 10, 0], [30, 60, 90, 10, 0], [10, 20, 10, 10, 0]])
SHARES = np.array([[5] * 5, [3] * 5, [2] * 5])
NAMES = ("a", "b", "c")


@pytest.mark.parametrize(
    ("method", "solar", "grid", "surplus"),
    [
        ("dynamic", [40, 114, 26], [30, 76, 24], 90),
        ("static", [50, 66, 32], [20, 124, 18], 122),
        ("hybrid", [50, 98, 32], [20, 92, 18], 90),
    ],
)
def test_vectors(method: Method, solar: list[int], grid: list[int], surplus: int) -> None:
    found = share_out_solar(method, GENERATION, LOADS, SHARES, NAMES)
    assert found.sum(axis=1).tolist() == solar
    assert (LOADS - found).sum(axis=1).tolist() == grid
    assert GENERATION.sum() - found.sum() == surplus


def test_netting_a_whole_period_at_once_would_overstate_solar() -> None:
    whole = min(GENERATION.sum(), LOADS.sum())
    by_interval = share_out_solar("dynamic", GENERATION, LOADS, SHARES, NAMES).sum()
    assert (whole, by_interval) == (270, 180)


@st.composite
def cases(draw: Any) -> tuple[Any, Any, Any]:
    participants, intervals = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    highest = draw(st.sampled_from([5, 1_000, 10**12]))
    energy = st.integers(0, highest)
    generation = draw(st.lists(energy, min_size=intervals, max_size=intervals))
    loads = [draw(st.lists(energy, min_size=intervals, max_size=intervals)) for _ in range(participants)]
    cuts = sorted(draw(st.lists(st.integers(0, 10**8), min_size=participants - 1, max_size=participants - 1)))
    shares = np.diff([0, *cuts, 10**8])
    return np.array(generation), np.array(loads), np.repeat(shares[:, np.newaxis], intervals, axis=1)


@pytest.mark.parametrize("method", METHODS)
@given(case=cases())
def test_invariants(method: Method, case: tuple[Any, Any, Any]) -> None:
    generation, loads, shares = case
    names = [f"unit-{number}" for number in range(len(loads))]
    solar = share_out_solar(method, generation, loads, shares, names)
    assert (solar >= 0).all() and (solar <= loads).all()
    assert (solar.sum(axis=0) <= generation).all()
    reversed_ = share_out_solar(method, generation, loads[::-1], shares[::-1], names[::-1])
    assert (reversed_[::-1] == solar).all()


@pytest.mark.parametrize("method", METHODS)
@given(case=cases())
def test_each_is_within_a_quantum_of_exact_fractions(method: Method, case: tuple[Any, Any, Any]) -> None:
    """Compare with fractions, one interval at a time; hybrid rounds once for each round of filling."""
    generation, loads, shares = case
    solar = share_out_solar(method, generation, loads, shares, [str(number) for number in range(len(loads))])
    oracle = {"static": exact_static, "dynamic": exact_dynamic, "hybrid": exact_hybrid}[method]
    tolerance = len(loads) if method == "hybrid" else 1
    for interval in range(generation.size):
        exact = oracle(
            int(generation[interval]),
            [int(load) for load in loads[:, interval]],
            [Fraction(int(share), 10**8) for share in shares[:, interval]],
        )
        assert all(abs(int(a) - e) <= tolerance for a, e in zip(solar[:, interval], exact, strict=True)), (
            solar[:, interval],
            exact,
        )


def exact_static(generation: int, loads: list[int], shares: list[Fraction]) -> list[Fraction]:
    return [min(share * generation, Fraction(load)) for share, load in zip(shares, loads, strict=True)]


def exact_dynamic(generation: int, loads: list[int], shares: list[Fraction]) -> list[Fraction]:
    total = sum(loads)
    return [Fraction(min(generation, total) * load, total or 1) for load in loads]


def exact_hybrid(generation: int, loads: list[int], shares: list[Fraction]) -> list[Fraction]:
    """Water filling: participants that want more have equal solar per share. Try each level."""
    levels = sorted({Fraction(load) / share for load, share in zip(loads, shares, strict=True) if share})
    given_at: list[Fraction | int] = [
        sum(
            (min(share * level, Fraction(load)) for load, share in zip(loads, shares, strict=True)),
            Fraction(),
        )
        for level in levels
    ]
    for position, spent in enumerate(given_at):
        if spent >= generation:
            below = given_at[position - 1] if position else Fraction(0)
            start = levels[position - 1] if position else Fraction(0)
            slope = (spent - below) / (levels[position] - start) if spent > below else Fraction(1)
            level = start + (generation - below) / slope
            break
    else:
        level = levels[-1] if levels else Fraction(0)
    return [min(share * level, Fraction(load)) for load, share in zip(loads, shares, strict=True)]


def test_a_tie_goes_by_name_not_by_position() -> None:
    found = share_out_solar("dynamic", np.array([1]), np.array([[1], [1]]), np.array([[1], [1]]), ("b", "a"))
    assert found.tolist() == [[0], [1]]


def test_largest_remainder() -> None:
    assert divide_by_largest_remainder(np.array([10]), np.array([[5], [3], [3]])).tolist() == [[4], [3], [3]]
    assert divide_by_largest_remainder(np.array([10]), np.array([[0], [0]])).tolist() == [[0], [0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "guess"}, "unknown method"),
        ({"loads": LOADS[:, :2]}, "a column for each"),
        ({"participants": ("a", "a", "b")}, "named twice"),
        ({"generation": -GENERATION}, "must not be negative"),
    ],
)
def test_wrong_input_is_refused(change: dict[str, Any], message: str) -> None:
    case: dict[str, Any] = {
        "method": "static", "generation": GENERATION, "loads": LOADS, "shares": SHARES, "participants": NAMES,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        share_out_solar(**{**case, **change})
