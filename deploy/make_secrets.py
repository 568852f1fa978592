"""Make the secrets of a deployment, once: passwords, master key, the server's certificate.

Here: files for `deploy/compose/compose.yaml` or for the secrets of Kubernetes, from the declared logins. Not
here: settings that are no secret. It needs no connection; a folder that holds secrets already is refused.
"""

import argparse
import base64
import secrets
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlencode

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from myproperty.database.roles import (
    DEMO,
    OLTP_LOGINS,
    PIPELINE,
    WAREHOUSE_LOGINS,
    WAREHOUSE_READER,
    Login,
)
from myproperty.settings import PREFIX

# Where the containers find the certificate of the server's authority.
CA_IN_CONTAINERS = "/etc/myproperty/ca.pem"
# The name of the server in the compose file.
OF_COMPOSE = "database"
# The invented company is no job of a deployment.
JOBS = [login for login in OLTP_LOGINS if login is not DEMO]
YEARS = timedelta(days=3650)
PUBLIC = ("ca.pem", "server.crt")


class Server:
    """The PostgreSQL server, as the containers reach it; `warehouse` if it holds the warehouse too."""

    def __init__(self, host: str, admin: str, warehouse: bool) -> None:
        self.host, self.admin, self.warehouse = host, admin, warehouse
        self.logins = [*JOBS, *(WAREHOUSE_LOGINS if warehouse else ())]
        # Letters and digits: a password goes through SQL, URIs and files of variables.
        self.passwords = {login.name: secrets.token_hex(24) for login in self.logins}
        self.admin_password, self.dagster_password = secrets.token_hex(24), secrets.token_hex(24)

    def address(self, name: str, password: str, database: str) -> str:
        """Return the libpq URI of a login, by a verified connection."""
        options = urlencode({"sslmode": "verify-full", "sslrootcert": CA_IN_CONTAINERS}, safe="/")
        return f"postgresql://{quote(name)}:{password}@{self.host}:5432/{database}?{options}"

    def address_of(self, login: Login) -> str:
        """Return the libpq URI of a job."""
        database = "myproperty" if login in OLTP_LOGINS else "warehouse"
        return self.address(login.name, self.passwords[login.name], database)


def main(words: list[str] | None = None) -> int:
    """Write the files; return 1 if the folder has some already."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the files go; made, for you alone")
    parser.add_argument("--host", help="a server that has a certificate with this name; else compose's own")
    parser.add_argument("--admin", default="postgres", help="the login that migrates")
    parser.add_argument("--bigquery", action="store_true", help="the warehouse is BigQuery")
    given = parser.parse_args(words)
    folder: Path = given.folder
    if folder.is_dir() and any(folder.glob("*.env")):
        sys.stderr.write(f"{folder} holds secrets already: move them away first, or keep them\n")
        return 1
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    server = Server(given.host or OF_COMPOSE, given.admin, warehouse=not given.bigquery)
    files = list_files(server) | ({} if given.host else make_certificates(server.host))
    for name, text in files.items():
        path = folder / name
        # The containers' account reads the certificates; what is secret is read by you and by Docker.
        path.touch(mode=0o644 if name in PUBLIC else 0o600)
        path.write_text(text)
    sys.stdout.write(f"{len(files)} files in {folder}: {', '.join(sorted(files))}\n")
    return 0


def list_files(server: Server) -> dict[str, str]:
    """Return the files with passwords, by name."""
    return {
        "platform.env": _format_variables(_list_platform(server)),
        "migrate.env": _format_variables(_list_migrate(server)),
        "instance.env": _format_variables(
            {
                f"{PREFIX}DAGSTER_DB_HOST": server.host,
                f"{PREFIX}DAGSTER_DB_PORT": "5432",
                f"{PREFIX}DAGSTER_DB_NAME": "dagster",
                f"{PREFIX}DAGSTER_DB_USER": "dagster",
                f"{PREFIX}DAGSTER_DB_PASSWORD": server.dagster_password,
                "PGSSLMODE": "verify-full",
                "PGSSLROOTCERT": CA_IN_CONTAINERS,
            }
        ),
        "postgres_password": server.admin_password,
        "databases.sql": _create_databases(server),
        "logins.sql": "".join(_give_password(name, word) for name, word in server.passwords.items()),
    }


def make_certificates(host: str) -> dict[str, str]:
    """Return a new authority and the certificate and key that it gives the server; its own key is dropped."""
    authority_key, server_key = (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP256R1()),
    )
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "myproperty deployment")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)

    def begin(name: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(authority)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + YEARS)
        )

    root = (
        begin(authority, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
    )
    leaf = (
        begin(subject, server_key.public_key())
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    pem = serialization.Encoding.PEM
    return {
        "ca.pem": root.sign(authority_key, hashes.SHA256()).public_bytes(pem).decode(),
        "server.crt": leaf.sign(authority_key, hashes.SHA256()).public_bytes(pem).decode(),
        "server.key": server_key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    }


def _list_platform(server: Server) -> dict[str, str]:
    """Return what the jobs connect by. Without a login of its own a job would be the pipeline or a reader."""
    found = {f"{PREFIX}OLTP_DSN": server.address_of(PIPELINE)}
    if server.warehouse:
        found[f"{PREFIX}WAREHOUSE_DSN"] = server.address_of(WAREHOUSE_READER)
    for login in server.logins:
        if login.setting:
            found[f"{PREFIX}{login.setting.upper()}"] = server.address_of(login)
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    return found | {f"{PREFIX}MASTER_KEYS": f"{datetime.now(UTC):%Y}:{key}"}


def _list_migrate(server: Server) -> dict[str, str]:
    names = {"OLTP_DSN": "myproperty"} | ({"WAREHOUSE_DSN": "warehouse"} if server.warehouse else {})
    return {
        f"{PREFIX}{name}": server.address(server.admin, server.admin_password, database)
        for name, database in names.items()
    }


def _format_variables(variables: dict[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in variables.items())


def _create_databases(server: Server) -> str:
    names: Iterable[str] = ["warehouse"] if server.warehouse else []
    return (
        f"create role dagster login password '{server.dagster_password}';\n"
        "create database dagster owner dagster;\nrevoke connect on database dagster from public;\n"
        + "".join(f"create database {name};\n" for name in names)
    )


def _give_password(name: str, password: str) -> str:
    return f"alter role {name} login password '{password}';\n"


if __name__ == "__main__":
    sys.exit(main())
