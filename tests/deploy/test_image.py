"""The contents of the image, without a container engine: what the Dockerfile copies and starts.

Its account may read everything and write nothing but its home, as in a container that is read-only. The
libraries are those of this environment: installing them a second time would take minutes and 2 GB. That the
image installs the same ones is read from its steps and locks.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from myproperty.settings import CHECKOUT
from tests.conftest import DatabaseMaker
from tests.dagster.instances import production_variables
from tests.deploy.support import DEPLOY, secrets_of, variables_of_compose
from tests.test_supply_chain import pins

DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
FINAL = DOCKERFILE.rpartition("FROM ")[2]
ACCOUNT = re.search(r"^USER (\d+):(\d+)$", FINAL, re.MULTILINE)
# What the project's own .gitignore leaves out of a checkout.
NOT_COPIED = ("__pycache__", "*.egg-info", "target", "logs", "dbt_packages", ".user.yml")
PATIENCE_S = 180
PRODUCTION_IN_IMAGE = Path("opt") / "dagster_project" / "production"
# Another account may read this environment, which may be root's, and has no other right.
READS_ALL = "-all,+dac_read_search"


def list_copied() -> list[str]:
    """Return what the image copies from the checkout."""
    words = [line.split()[1:] for line in DOCKERFILE.splitlines() if line.startswith("COPY ")]
    return [name for each in words if not each[0].startswith("--") for name in each[:-1]]


def read_words(instruction: str) -> list[str]:
    """Return the words of the last CMD of the Dockerfile, or of its HEALTHCHECK."""
    words: list[str] = json.loads(FINAL.rpartition(instruction)[2].splitlines()[0])
    return words


@pytest.fixture
def image() -> Iterator[Path]:
    """The checkout of the image, which belongs to somebody else and cannot be written, beside its home."""
    folder = Path(tempfile.mkdtemp(prefix="myproperty-image-", dir="/tmp"))
    folder.chmod(0o755)
    opt = folder / "opt"
    opt.mkdir()
    for name in list_copied():
        source, target = CHECKOUT / name, opt / name
        target.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns(*NOT_COPIED))
        else:
            shutil.copy(source, target)
    for path in (opt, *opt.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    home = folder / "home"
    home.mkdir(mode=0o700)
    if os.geteuid() == 0:
        assert ACCOUNT is not None
        os.chown(home, int(ACCOUNT[1]), int(ACCOUNT[2]))
    yield folder
    for path in (opt, *opt.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


def as_the_account(words: list[str]) -> list[str]:
    """Return a command that runs as the account of the image; where this is not root, as oneself."""
    if os.geteuid() != 0:
        return words
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("no setpriv here, so nothing ran as another account: apt-get install util-linux")
    assert ACCOUNT is not None
    caps = [f"--{each}={READS_ALL}" for each in ("inh-caps", "ambient-caps", "bounding-set")]
    ids = [f"--reuid={ACCOUNT[1]}", f"--regid={ACCOUNT[2]}", "--clear-groups", "--no-new-privs"]
    return [setpriv, *ids, *caps, *words]


def variables(image: Path) -> dict[str, str]:
    """Return the environment of the container of the code location, without a variable of this one."""
    own = variables_of_compose(secrets_of(image.parent / f"{image.name}-secrets"))
    shutil.rmtree(image.parent / f"{image.name}-secrets")
    home = str(image / "home")
    moved = {name: value.replace("/var/lib/myproperty", home) for name, value in own.items()}
    return moved | {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": home,
        "MYPROPERTY_HOME": home,
        "DAGSTER_HOME": str(image / PRODUCTION_IN_IMAGE),
        "PYTHONPATH": str(image / "opt"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": home,
        # Nothing answers there: definitions load without a database.
        **{name: "postgresql://nobody@127.0.0.1:1/none" for name in own if name.endswith("_DSN")},
    }


@pytest.mark.engine
@pytest.mark.slow(minutes=0.6)
def test_the_code_location_starts_as_an_account_that_writes_its_home_alone(
    image: Path, fresh_database: DatabaseMaker
) -> None:
    with fresh_database("dagster") as dsn:
        _start(image, production_variables(dsn, image / "home" / "files", image / PRODUCTION_IN_IMAGE))


def is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _start(image: Path, instance: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    here = {"4000": port, "0.0.0.0": "127.0.0.1"}
    start = [here.get(word, word) for word in read_words("\nCMD ")]
    ask = [here.get(word, word) for word in read_words("    CMD ")]
    environment, begun = {**variables(image), **instance, "PGSSLMODE": "prefer"}, time.time()
    log = image / "log"
    with log.open("w") as output:
        server = subprocess.Popen(
            as_the_account(start), cwd=image / "opt", env=environment, stdout=output, stderr=output
        )
    try:
        # To ask is a program of seconds, so nobody asks before the port is open.
        while not is_open(int(port)) or run(ask, environment).returncode != 0:
            assert server.poll() is None and time.time() - begun < PATIENCE_S, log.read_text()[-3000:]
            time.sleep(0.5)
        listed = run([*LIST, port], environment)
        assert listed.returncode == 0, listed.stderr
        assert {"pipeline", "ingest", "snapshots"} <= set(json.loads(listed.stdout.splitlines()[-1]))
    finally:
        server.terminate()
        server.wait(30)
    assert {path.name for path in (image / "home").iterdir()} >= {"dbt_target"}
    written = [path for path in (image / "opt").rglob("*") if path.stat().st_mtime > begun]
    assert written == []
    if os.geteuid() == 0 and ACCOUNT is not None:
        elsewhere = [
            path
            for place in ("/tmp", "/var/tmp", "/dev/shm")
            for path in Path(place).iterdir()
            if path.lstat().st_uid == int(ACCOUNT[1]) and path.lstat().st_ctime > begun
        ]
        assert elsewhere == []


# What the daemon does first: it asks the code location for its jobs.
LIST = [
    "python",
    "-c",
    "import json, sys; from dagster import DagsterInstance; "
    "from dagster._core.remote_origin import GrpcServerCodeLocationOrigin as Origin; "
    "origin = Origin(host='127.0.0.1', port=int(sys.argv[1]), location_name='myproperty'); "
    "(repository,) = origin.create_location(DagsterInstance.ephemeral()).get_repositories().values(); "
    "print(json.dumps([job.name for job in repository.get_all_jobs()]))",
]


def run(words: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program as the account of the image."""
    return subprocess.run(as_the_account(words), env=environment, capture_output=True, text=True, check=False)


def test_the_command_starts_from_the_read_only_checkout(image: Path) -> None:
    done = subprocess.run(
        as_the_account(["python", "-m", "commands.main", "status", "--json"]),
        cwd=image / "opt",
        env=variables(image),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["postgres"]["state"] == "external" and found["home"] == str(image / "home")


def test_the_image_has_what_the_platform_imports_and_no_test() -> None:
    copied = list_copied()
    assert {"commands", "dagster_project", "data", "expectations", "myproperty", "oltp_schema"} <= set(copied)
    assert "tests" not in copied and "." not in copied
    assert [name for name in copied if not (CHECKOUT / name).exists()] == []


def test_the_image_installs_the_lock_with_hashes_and_nothing_else() -> None:
    (libraries,) = [line for line in DOCKERFILE.splitlines() if "--requirement" in line]
    assert "--require-hashes" in libraries and "--no-deps" in libraries
    assert libraries.endswith("--requirement requirements-deploy.lock")
    run, image = pins("requirements.lock"), pins("requirements-deploy.lock")
    # The image has what was tested here, in the same versions. The next `make lock` takes this one for all.
    assert {name for name, _, _ in run - image} <= {"google-cloud-storage"}
    added = {name for name, _, _ in image - run}
    assert {"dagster-gcp", "dagster-k8s", "gcsfs"} <= added
    installs = [line for line in DOCKERFILE.splitlines() if "pip install" in line]
    assert len(installs) == 2 and "--no-build-isolation --editable ." in installs[1]


def test_the_base_is_pinned_by_its_digest_and_the_account_is_not_root() -> None:
    bases = re.findall(r"^(?:ARG BASE=|FROM )(\S+)", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"python:3\.11\.\d+-\S+@sha256:[0-9a-f]{64}", bases[0])
    assert set(bases[1:]) == {"${BASE}"}
    assert ACCOUNT is not None and int(ACCOUNT[1]) >= 10000
    assert "HEALTHCHECK" in FINAL
    # Both folders belong to the account: a volume that is made there belongs to it too.
    assert "/var/lib/myproperty /var/lib/dagster" in FINAL.split("VOLUME")[0]
