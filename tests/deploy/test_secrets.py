"""The secrets of a deployment: files for one person, a password for each login, a certificate that holds."""

import os
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography import x509
from psycopg.conninfo import conninfo_to_dict

from deploy import make_secrets
from myproperty.database.roles import DEMO, OLTP_LOGINS, WAREHOUSE_LOGINS, Login
from myproperty.sealing import master
from tests.deploy.support import COMPOSE, read_variables, secrets_of

SECRET = ("platform.env", "instance.env", "migrate.env", "logins.sql", "databases.sql", "postgres_password")


def test_secrets_are_readable_by_one_person_and_never_made_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = secrets_of(tmp_path / "secrets")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == dict.fromkeys([*SECRET, "server.key"], 0o600) | dict.fromkeys(
        ["ca.pem", "server.crt"], 0o644
    )
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert make_secrets.main(["--folder", str(folder)]) == 1
    assert "holds secrets already" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("words", "logins"),
    [((), (*OLTP_LOGINS, *WAREHOUSE_LOGINS)), (("--bigquery", "--host", "db.example"), OLTP_LOGINS)],
)
def test_each_login_gets_a_password_of_its_own(
    words: tuple[str, ...], logins: tuple[Login, ...], tmp_path: Path
) -> None:
    folder = secrets_of(tmp_path / "secrets", *words)
    given = (folder / "logins.sql").read_text().splitlines()
    names = {line.split()[2]: line.split("'")[1] for line in given}
    assert set(names) == {login.name for login in logins if login is not DEMO}
    assert len(set(names.values())) == len(names) and min(map(len, names.values())) >= 32
    for name, address in read_variables(folder / "platform.env").items():
        if name.endswith("_DSN"):
            parts = conninfo_to_dict(address)
            assert names[str(parts["user"])] == parts["password"]
            assert (parts["sslmode"], parts["sslrootcert"]) == ("verify-full", make_secrets.CA_IN_CONTAINERS)
    assert ("server.key" in {path.name for path in folder.iterdir()}) == (not words)
    keys = read_variables(folder / "platform.env")["MYPROPERTY_MASTER_KEYS"]
    assert len(master.parse(keys, "the file").keys) == 1


def test_the_account_of_the_server_makes_a_base_backup_by_its_socket(server: tuple[Path, int, Path]) -> None:
    _, port, home = server
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"))
    words = [str(programs / "pg_basebackup"), "-h", str(home), "-p", str(port), f"--pgdata={home}/backup"]
    execute(as_nobody([*words, "--checkpoint=fast"]))
    assert (home / "backup" / "PG_VERSION").is_file()


def test_the_certificate_is_for_the_server_of_the_compose_file_alone(tmp_path: Path) -> None:
    folder = secrets_of(tmp_path / "secrets")
    root, leaf = (
        x509.load_pem_x509_certificate((folder / name).read_bytes()) for name in ("ca.pem", "server.crt")
    )
    leaf.verify_directly_issued_by(root)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [make_secrets.OF_COMPOSE]
    assert not list(folder.glob("ca.key")), "the authority signs nothing more"


def as_nobody(words: list[str]) -> list[str]:
    """Return a command that runs as an account that PostgreSQL accepts: not as root."""
    nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    return [*nobody, *words] if os.geteuid() == 0 else words


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, int, Path]]:
    """A PostgreSQL with the certificate and the rules of the compose file, and what its guide lets psql do.

    The embedded one knows no TLS, so this is the machine's own. Yield the folder of the secrets, the port and
    the folder of the socket.
    """
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
    if programs is None:
        pytest.skip("no PostgreSQL with TLS here, so no connection was verified: apt-get install postgresql")
    folder = secrets_of(tmp_path / "secrets")
    # Below the system's /tmp: the account of the server may not pass through root's folders.
    with tempfile.TemporaryDirectory(prefix="myproperty-tls-", dir="/tmp") as home:
        yield from serve(programs, folder, Path(home))


def serve(programs: Path, folder: Path, home: Path) -> Iterator[tuple[Path, int, Path]]:
    for name in ("server.crt", "server.key", "databases.sql", "logins.sql", "postgres_password"):
        shutil.copy(folder / name, home / name)
        (home / name).chmod(0o600)
    shutil.copy(COMPOSE / "pg_hba.conf", home)
    if os.geteuid() == 0:
        for path in (home, *home.iterdir()):
            shutil.chown(path, "nobody", "nogroup")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    data = home / "data"
    options = {
        "ssl": "on",
        "ssl_cert_file": home / "server.crt",
        "ssl_key_file": home / "server.key",
        "hba_file": home / "pg_hba.conf",
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": home,
    }
    start = [
        str(programs / "postgres"),
        "-D",
        str(data),
        *(f"-c{name}={value}" for name, value in options.items()),
    ]
    execute(
        as_nobody(
            [
                str(programs / "initdb"),
                "-D",
                str(data),
                "--auth=scram-sha-256",
                f"--pwfile={home}/postgres_password",
            ]
        )
    )
    with (folder.parent / "log").open("w") as log:
        running = subprocess.Popen(as_nobody(start), stdout=log, stderr=log)
    try:
        psql = as_nobody([str(programs / "psql"), "-h", str(home), "-p", str(port), "-d", "postgres", "-qX"])
        wait_for(psql, folder.parent / "log")
        # `migrate` makes the logins; the database of the image is `myproperty`.
        made = [f"create role {login.name} nologin;" for login in [*make_secrets.JOBS, *WAREHOUSE_LOGINS]]
        execute([*psql, "-c", "create database myproperty", *(word for one in made for word in ("-c", one))])
        for name in ("databases.sql", "logins.sql"):
            execute([*psql, "-v", "ON_ERROR_STOP=1", "-f", str(home / name)])
        yield folder, port, home
    finally:
        running.terminate()
        running.wait(20)


def execute(words: list[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, cwd="/", check=False)
    assert done.returncode == 0, done.stderr


def wait_for(psql: list[str], log: Path) -> None:
    for _ in range(100):
        if (
            subprocess.run([*psql, "-c", "select 1"], capture_output=True, cwd="/", check=False).returncode
            == 0
        ):
            return
        time.sleep(0.2)
    raise AssertionError(log.read_text())


def test_each_login_of_a_deployment_connects_by_a_verified_connection(
    server: tuple[Path, int, Path],
) -> None:
    folder, port, _ = server
    here: dict[str, Any] = {"hostaddr": "127.0.0.1", "port": port, "sslrootcert": str(folder / "ca.pem")}
    addresses = {
        name: address
        for name, address in read_variables(folder / "platform.env").items()
        if name.endswith("_DSN")
    }
    for address in addresses.values():
        with psycopg.connect(address, **here) as connection:
            row = connection.execute("select ssl, current_user from pg_stat_ssl where pid = pg_backend_pid()")
            assert row.fetchone() == (True, conninfo_to_dict(address)["user"])
    some = next(iter(addresses.values()))
    with pytest.raises(psycopg.OperationalError, match='does not match host name "elsewhere"'):
        psycopg.connect(some, **{**here, "host": "elsewhere"})
    other = secrets_of(folder.parent / "others") / "ca.pem"
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(some, **{**here, "sslrootcert": str(other)})
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry .*no encryption"):
        psycopg.connect(some, **{**here, "sslmode": "disable"})
    instance = read_variables(folder / "instance.env")
    with psycopg.connect(
        dbname=instance["MYPROPERTY_DAGSTER_DB_NAME"],
        user=instance["MYPROPERTY_DAGSTER_DB_USER"],
        password=instance["MYPROPERTY_DAGSTER_DB_PASSWORD"],
        host=instance["MYPROPERTY_DAGSTER_DB_HOST"],
        sslmode=instance["PGSSLMODE"],
        **here,
    ) as connection:
        connection.execute("create table its_own (id int)")
