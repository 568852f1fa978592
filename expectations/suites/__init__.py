"""The suites of the gates, each a declaration named `SUITE`.

Gate A has its modules in `oltp`, gate D in `warehouse`, one for each table. A module in `warehouse` is all
that a new table needs: Dagster adds its check. At gates B and C all tables have the same rules, made in
`copies` from the description of the entity. `load_suite` finds the suite of a table.
"""

import importlib
import pkgutil

from expectations.rules import GateSuite, WarehouseSuite
from expectations.suites import oltp, warehouse
from expectations.suites.copies import copy_suite


def load_suite(gate: str, table: str) -> GateSuite:
    """Return the suite of a table at a gate, A to D. Raises KeyError for an unknown gate or table."""
    if gate in ("B", "C"):
        return copy_suite(gate, table)
    package = {"A": oltp, "D": warehouse}[gate].__name__
    name = f"{package}.{table}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as missing:
        raise KeyError(
            f"gate {gate} has no suite for {table}: write {name.replace('.', '/')}.py"
        ) from missing
    suite: GateSuite = module.SUITE
    return suite


def warehouse_suites() -> list[WarehouseSuite]:
    """Return every suite of gate D, one for each module of `expectations.suites.warehouse`.

    Raises TypeError for a module whose `SUITE` is not a WarehouseSuite.
    """
    return [_warehouse_suite(module.name) for module in pkgutil.iter_modules(warehouse.__path__)]


def _warehouse_suite(table: str) -> WarehouseSuite:
    suite = load_suite("D", table)
    if not isinstance(suite, WarehouseSuite):
        raise TypeError(f"SUITE of expectations/suites/warehouse/{table}.py is not a WarehouseSuite")
    return suite
