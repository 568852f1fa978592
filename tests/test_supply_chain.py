"""What is installed: locks with hashes, known licences, and no secret in the repository."""

import json
import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from docs.licences import ENGINES, LOCK, NOT_STATED, RECORD, list_licences, list_licences_of

ROOT = Path(__file__).resolve().parents[1]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)(?: ; ([^\\]*))?", re.MULTILINE)
# Keys and tokens in the forms that their makers give them.
SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|AKIA[0-9A-Z]{16}|\"private_key\": *\"|xox[baprs]-[0-9A-Za-z-]{10,}"
    r"|ghp_[0-9A-Za-z]{36}|AIza[0-9A-Za-z_-]{35}|hooks\.slack\.com/services/T[0-9A-Z]{8,}/B[0-9A-Z]{8,}/"
)
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-deploy.lock")
# Every library runs in its own files, unchanged: the LGPL asks no more.
COPYLEFT = re.compile(r"\b(?:GPL|AGPL|SSPL|General Public License)\b")
ALTERNATIVES = ("LGPL", "Lesser", "Artistic")


def pins(name: str) -> set[tuple[str, str, str]]:
    return set(PIN.findall((ROOT / name).read_text()))


def test_what_runs_has_no_tool_of_the_tests() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tools = {re.split(r"[\[><=;]", wanted)[0] for wanted in project["optional-dependencies"]["dev"]}
    runs = {re.split(r"[\[><=;]", wanted)[0] for wanted in project["dependencies"]}
    locked = {name for name, _, _ in pins("requirements.lock")}
    assert runs <= locked
    # Great Expectations and MetricFlow need these two themselves.
    assert tools & locked <= {"setuptools", "sqlglot"}


def test_the_locks_agree_and_have_hashes() -> None:
    run, dev, image = map(pins, LOCKS)
    assert run < dev and {name for name, _, _ in run} < {name for name, _, _ in image}
    for name in LOCKS:
        text = (ROOT / name).read_text()
        for block in re.split(r"(?m)^(?=[A-Za-z0-9])", text)[1:]:
            assert "--hash=sha256:" in block, block[:60]
        assert "://" not in text, "an address of an index"


@pytest.mark.parametrize("engine", ["emulator", "superset"])
def test_the_lock_of_an_engine_has_hashes_and_no_address(engine: str) -> None:
    folder = ROOT / "myproperty" / "engines" / engine
    text = (folder / "requirements.lock").read_text()
    blocks = re.split(r"(?m)^(?=[A-Za-z0-9])", text)[1:]
    assert len(blocks) > 20 and all("--hash=sha256:" in block for block in blocks)
    assert "://" not in text and "--find-links" not in text
    wanted = {
        line.partition("==")[0]
        for line in (folder / "requirements.in").read_text().split()
        if line[0].isalpha()
    }
    assert wanted & {name for name, _, _ in PIN.findall(text)}


def test_every_licence_is_stated_and_none_forbids_our_use() -> None:
    of_engines = [row for rows in json.loads(RECORD.read_text()).values() for row in rows]
    licences = {
        f"{name} {version}": licence
        for name, version, licence in [*list_licences(LOCK, metadata.distributions()), *of_engines]
    }
    assert [name for name, licence in licences.items() if licence == NOT_STATED] == []
    strict = {name: text for name, text in licences.items() if COPYLEFT.search(text)}
    assert {name for name, text in strict.items() if not any(word in text for word in ALTERNATIVES)} == set()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_record_of_an_engines_licences_is_that_of_its_lock(engine: str) -> None:
    """Where the engine is installed its packages are asked, elsewhere the record is held against the lock."""
    recorded = json.loads(RECORD.read_text())[engine]
    locked = {
        (re.sub(r"[-_.]+", "-", name), version, marker)
        for name, version, marker in pins(str(ENGINES[engine][1]))
    }
    found = {(name, version) for name, version, _ in recorded}
    everywhere = {(name, version) for name, version, marker in locked if not marker}
    assert everywhere <= found <= {pin[:2] for pin in locked}, "run `python -m docs.licences`"
    stated = list_licences_of(engine)
    assert stated is None or [list(row) for row in stated] == recorded


def test_every_lock_is_audited_and_what_runs_is_in_a_bill_of_materials() -> None:
    makefile = (ROOT / "Makefile").read_text()
    words = ["git", "ls-files", "*.lock"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    locks = set(listed.stdout.split())
    assert {*LOCKS} < locks
    of_engines = re.search(r"^ENGINE_LOCKS := (.*)$", makefile, re.MULTILINE)
    audited = re.search(r"for lock in (requirements.*) \$\(ENGINE_LOCKS\); do", makefile)
    assert of_engines and audited
    assert {*audited[1].split(), *of_engines[1].split()} == locks
    assert {str(lock.relative_to(ROOT)) for _, lock in ENGINES.values()} == set(of_engines[1].split())
    (sbom,) = re.findall(r"^sbom:.*?\n\n", makefile, re.MULTILINE | re.DOTALL)
    assert "requirements requirements.lock " in sbom and "for lock in $(ENGINE_LOCKS); do" in sbom
    security = (ROOT / "SECURITY.md").read_text()
    assert [lock for lock in locks if f"`{lock}`" not in security] == []


def test_the_repository_holds_no_secret() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path == Path(__file__).resolve() or not path.is_file():
            continue
        if SECRETS.search(path.read_bytes().decode("latin-1")):
            found.append(name)
    assert found == []
