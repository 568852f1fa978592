"""Commands for the keys that seal personal fields, and for erasing people."""

import uuid
from typing import TYPE_CHECKING, Annotated

import typer

from commands import console
from commands.options import AsJson, OneTenant, OnlyTenant, reports_errors
from myproperty.database.roles import BILLING
from myproperty.settings import get_settings

if TYPE_CHECKING:
    from myproperty.sealing import Keyring

app = typer.Typer(no_args_is_help=True, help="The keys that seal personal fields; erasing people.")


@app.command("list")
@reports_errors
def list_(tenant: OnlyTenant = None, json: AsJson = False) -> None:
    """Show every key: its owner, its status and the key that wraps it, never the key itself."""
    with _open_keyring() as keys:
        rows = keys.inventory(_find_tenant(tenant) if tenant else None)
    if json:
        console.print_json(rows)
    else:
        console.print_table("Keys", rows, empty="none; a key is made when its first value is sealed")


@app.command()
@reports_errors
def rotate(
    tenant: Annotated[
        str | None, typer.Option(help="Make new data keys for this tenant: name or id.")
    ] = None,
    master: Annotated[
        bool, typer.Option("--master", help="Wrap the tenants' keys with the first master key instead.")
    ] = False,
) -> None:
    """Make new keys active; values sealed by the old keys stay readable."""
    from myproperty.sealing import rotate_keys, rotate_master

    if tenant is None and not master:
        raise typer.BadParameter("give --tenant for new data keys, or --master for a new master key")
    with _open_keyring() as keys:
        tenant_id = _find_tenant(tenant) if tenant else None
        if master:
            count = rotate_master(keys, tenant_id)
            console.out.print(f"{count} keys are now wrapped by the master key {keys.masters.first}.")
        elif tenant_id is not None:
            console.out.print(f"{rotate_keys(keys, tenant_id)} new keys are active.")


@app.command()
@reports_errors
def erase(
    tenant: OneTenant,
    because: Annotated[str, typer.Option(help="The reason; it is kept, so it must not name anyone.")],
    user: Annotated[
        str | None,
        typer.Option(help="Only this person: e-mail address or id. Without it, everyone of the tenant."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Erase a person, or everyone of a tenant, for good by destroying their keys."""
    from myproperty.sealing import erase_tenant, erase_user

    with _open_keyring() as keys:
        tenant_id = _find_tenant(tenant)
        user_id = keys.user_id(tenant_id, user) if user is not None else None
        who = f"person {user_id}" if user_id else "EVERYONE"
        if not yes:
            typer.confirm(f"Erase {who} of tenant {tenant} for good? This cannot be undone", abort=True)
        if user_id is None:
            done = erase_tenant(keys, tenant_id, because)
        else:
            done = erase_user(keys, tenant_id, user_id, because)
    console.out.print(f"{done.people} people erased, {done.key_files} keys destroyed.")


@app.command()
@reports_errors
def replay() -> None:
    """Repeat the erasures made since a backup, after the database or the key store was restored from it."""
    from myproperty.sealing import replay as replay_erasures

    with _open_keyring() as keys:
        done = replay_erasures(keys)
    console.out.print(f"{done.people} people erased again, {done.key_files} keys destroyed again.")


def _find_tenant(wanted: str) -> uuid.UUID:
    """Find a tenant, suspended or not: its people may ask to be erased."""
    from myproperty import engines
    from myproperty.tenants import find_tenant

    return find_tenant(engines.login_dsn(get_settings(), BILLING), wanted, may_be_suspended=True).id


def _open_keyring() -> "Keyring":
    from myproperty import engines
    from myproperty.sealing import Keyring

    settings = get_settings()
    return Keyring(engines.login_dsn(settings, BILLING), settings)
