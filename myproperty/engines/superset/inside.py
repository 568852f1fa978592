# mypy: disable-error-code="import-not-found,import-untyped"
"""Bring the state of Superset to the files of this release, or write its dashboards to files.

This program runs inside Superset's own environment, so it imports nothing of this project:

    python inside.py prepare FOLDER    # tables, roles, the assets of the folder, accounts, rules
    python inside.py export FOLDER     # the published dashboards and what they need, as Superset writes them
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import yaml
from flask import g
from flask_migrate import upgrade
from superset.app import create_app

STATE = json.loads((Path(os.environ["SUPERSET_HOME"]) / "state.json").read_text())
ADMIN = STATE["admin"]
EVERY_TENANT = "*"


def prepare(assets: Path) -> None:
    """Make or update tables, roles, accounts, assets and rules. A second run changes nothing."""
    from superset import appbuilder, db, security_manager

    upgrade()
    appbuilder.add_permissions(update_perms=True)
    security_manager.sync_role_definitions()
    g.user = write_account(ADMIN, [security_manager.find_role("Admin")])
    import_assets(assets)
    write_readers()
    db.session.commit()


def import_assets(folder: Path) -> None:
    """Import the files, with the warehouse of this home as their database."""
    from superset.commands.importers.v1.assets import ImportAssetsCommand

    contents = {
        path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*.yaml"))
    }
    for name, text in contents.items():
        document = yaml.safe_load(text)
        if name.startswith("databases/"):
            document["sqlalchemy_uri"] = STATE["address"]
        elif name.startswith("datasets/"):
            document["schema"] = STATE["schema"]
        else:
            continue
        contents[name] = yaml.safe_dump(document)
    ImportAssetsCommand(contents).run()


def write_account(name: str, roles: list[Any]) -> Any:
    """Make the account, or give it these roles and its password."""
    from superset import security_manager

    account = security_manager.find_user(name)
    if account is None:
        password = STATE["accounts"][name]["password"]
        return security_manager.add_user(name, name, "", f"{name}@localhost", roles, password=password)
    account.roles, account.active = roles, True
    security_manager.reset_password(account.id, STATE["accounts"][name]["password"])
    return account


def write_readers() -> None:
    """Make the accounts of readers, and the rules by which each sees its tenants; others see no row."""
    from superset import db, security_manager
    from superset.connectors.sqla.models import RowLevelSecurityFilter, SqlaTable

    tables = db.session.query(SqlaTable).all()
    of_tenants = [table for table in tables if any(c.column_name == "tenant_id" for c in table.columns)]
    of_all = [table for table in tables if table not in of_tenants]
    may_read = security_manager.add_role("Readers")
    may_read.permissions = [
        security_manager.add_permission_view_menu("datasource_access", table.perm) for table in tables
    ]
    for rule in db.session.query(RowLevelSecurityFilter).all():
        db.session.delete(rule)
    db.session.flush()

    def add_rule(name: str, kind: str, clause: str, on: list[Any], roles: list[Any]) -> None:
        rule = RowLevelSecurityFilter(name=name, filter_type=kind, clause=clause, tables=on, roles=roles)
        db.session.add(rule)

    known = [security_manager.find_role("Admin")]
    readers = {name: each for name, each in STATE["accounts"].items() if name != ADMIN}
    for name, reader in readers.items():
        own = security_manager.add_role(f"Reader {name}")
        known.append(own)
        write_account(name, [security_manager.find_role("Gamma"), may_read, own])
        if EVERY_TENANT not in reader["tenants"]:
            ids = ", ".join(f"'{tenant}'" for tenant in reader["tenants"])
            add_rule(f"Tenants of {name}", "Regular", f"tenant_id IN ({ids})", of_tenants, [own])
            add_rule(f"Rows of no tenant for {name}", "Regular", "1 = 0", of_all, [own])
    add_rule("Nobody else", "Base", "1 = 0", tables, known)
    for account in security_manager.get_all_users():
        account.active = account.username in STATE["accounts"]


def export(folder: Path) -> None:
    """Write the published dashboards, with their charts, datasets and the database, as Superset does."""
    from superset import db, security_manager
    from superset.commands.dashboard.export import ExportDashboardsCommand
    from superset.models.dashboard import Dashboard

    g.user = security_manager.find_user(ADMIN)
    published = [found for (found,) in db.session.query(Dashboard.id).filter_by(published=True)]
    for name, write in ExportDashboardsCommand(published).run():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(write())


def main() -> None:
    task, folder = {"prepare": prepare, "export": export}[sys.argv[1]], Path(sys.argv[2])
    with create_app().app_context():
        task(folder)


if __name__ == "__main__":
    main()
