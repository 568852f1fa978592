"""Commands for the keys that seal personal fields, and for erasing people."""

from typing import TYPE_CHECKING, Annotated

import typer

from commands import console
from commands.options import AsJson, OneTenant, OnlyTenant, reports_errors
from myproperty.database.roles import KEYS
from myproperty.settings import get_settings

if TYPE_CHECKING:
    from myproperty.sealing import Erased, Keyring
    from myproperty.tenants import Tenant

app = typer.Typer(no_args_is_help=True, help="The keys that seal personal fields; erasing people.")


@app.command("list")
@reports_errors
def list_(tenant: OnlyTenant = None, json: AsJson = False) -> None:
    """Show every key: its owner, its status and the key that wraps it, never the key itself."""
    with _open_keyring() as keys:
        rows = keys.inventory(_find_tenant(tenant).id if tenant else None)
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
        tenant_id = _find_tenant(tenant).id if tenant else None
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
    word: Annotated[
        list[str] | None,
        typer.Option(
            help="Another text that names the person: a former name, a number as people write it. Texts with "
            "it are erased too. May be repeated."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Erase a person, or everyone of a tenant: keys, fields and texts. Say what stays until when."""
    from myproperty.sealing import erase_tenant, erase_user

    with _open_keyring() as keys:
        found = _find_tenant(tenant)
        user_id = keys.user_id(found.id, user) if user is not None else None
        who = f"person {user_id}" if user_id else "EVERYONE"
        if not yes:
            typer.confirm(f"Erase {who} of tenant {tenant} for good? This cannot be undone", abort=True)
        if user_id is None:
            done = erase_tenant(keys, found.id, because, word or [])
        else:
            done = erase_user(keys, found.id, user_id, because, word or [])
    console.out.print(f"{done.people} people erased, {done.key_files} keys destroyed.")
    _show_texts(done)
    # Run again, the command completes what was interrupted: then any table may have dead rows.
    _write_anew(done, of_all=done.people == 0)
    _show_files(found, done)
    _show_stores()


@app.command()
@reports_errors
def replay() -> None:
    """Repeat the erasures made since a backup, after the database or the key store was restored from it."""
    from myproperty.sealing import replay as replay_erasures

    with _open_keyring() as keys:
        done = replay_erasures(keys)
    console.out.print(f"{done.people} people erased again, {done.key_files} keys destroyed again.")
    _show_texts(done)
    if done.people or done.texts:
        _write_anew(done, of_all=False)


def _show_texts(done: "Erased") -> None:
    rows = [{"table": table, "texts": count} for table, count in sorted(done.texts.items())]
    console.print_table("Erased texts", rows)
    if done.unread:
        console.out.print(
            f"{done.unread} sealed names could not be read: texts with them were not searched. "
            f"Run the command again with --word NAME."
        )
    kept = [{"column": column, "texts": count} for column, count in sorted(done.in_books.items())]
    if kept:
        console.print_table("Kept with the books, until the law lets you delete them", kept)


def _write_anew(done: "Erased", *, of_all: bool) -> None:
    """Write the changed tables anew, and say what the disk still holds and until when."""
    from myproperty import engines
    from myproperty.sealing.remains import PEOPLE, tables_with_texts, write_anew

    tables = tables_with_texts() if of_all else dict.fromkeys([*PEOPLE, *done.texts])
    with console.step(f"{len(tables)} tables are written anew"):
        remains = write_anew(engines.login_dsn(get_settings(), KEYS), tables)
    for table, reason in remains.kept.items():
        console.err.print(
            f"{table}: its pages still hold the former texts, because {reason}. Run the same command again."
        )
    if remains.log_until is not None:
        console.out.print(f"The write-ahead log holds the former texts until position {remains.log_until}.")


def _show_files(tenant: "Tenant", done: "Erased") -> None:
    """Name the files of the tenant that name the person."""
    from data.ingest.readings.named_files import find_files_naming
    from myproperty.sealing import pattern_of

    if not done.names:
        return
    with console.step("files in inbox and archive are searched"):
        files = list(find_files_naming(get_settings(), tenant, pattern_of(done.names)))
    rows = [{"file": path, "why": why} for path, why in files]
    console.print_table("Files that name the person: delete them, nothing else does", rows)


def _show_stores() -> None:
    from myproperty.personal import STORES

    console.print_table("Where copies stay", [{"store": s.name, "until": s.until} for s in STORES])
    console.out.print("docs/personal-data.md says what each holds, and what to do.")


def _find_tenant(wanted: str) -> "Tenant":
    """Find a tenant, suspended or not: its people may ask to be erased."""
    from myproperty import engines
    from myproperty.tenants import find_tenant

    return find_tenant(engines.login_dsn(get_settings(), KEYS), wanted, may_be_suspended=True)


def _open_keyring() -> "Keyring":
    from myproperty import engines
    from myproperty.sealing import Keyring

    settings = get_settings()
    return Keyring(engines.login_dsn(settings, KEYS), settings)
