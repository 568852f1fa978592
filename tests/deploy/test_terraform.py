"""What Terraform grants is what is declared, and no secret gets into its state."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from data.raw.accounts import DATASETS, SHARED_WITH_BI, SHOWN_AS, list_grants
from docs.accounts import name_account
from myproperty.database.roles import WAREHOUSE_LOGINS
from tests.deploy.support import TERRAFORM

FILES = {path.name: path.read_text() for path in TERRAFORM.glob("*.tf")}
ALL = "\n".join(FILES.values())


@pytest.fixture
def terraform() -> str:
    """The program, or the test is skipped."""
    found = shutil.which("terraform")
    if found is None:
        pytest.skip("no Terraform here, so its files were only read: install Terraform 1.9 or newer")
    return found


def run(program: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [program, f"-chdir={folder}", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_files_are_formatted(terraform: str) -> None:
    done = run(terraform, TERRAFORM, "fmt", "-check", "-diff", "-recursive")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_files_are_valid(terraform: str, tmp_path: Path) -> None:
    folder = shutil.copytree(TERRAFORM, tmp_path / "terraform", ignore=shutil.ignore_patterns(".terraform*"))
    begun = run(terraform, folder, "init", "-backend=false", "-input=false", "-no-color")
    if begun.returncode and re.search("Failed to query available provider|could not connect", begun.stderr):
        pytest.skip(
            "the provider cannot be fetched here, so `terraform validate` did not run: install it in a "
            "folder that `provider_installation` of ~/.terraformrc names"
        )
    assert begun.returncode == 0, begun.stderr
    done = run(terraform, folder, "validate", "-no-color")
    assert done.returncode == 0, done.stdout + done.stderr


def evaluate(terraform: str, folder: Path, *names: str) -> dict[str, Any]:
    """Return locals of locals.tf, computed by Terraform without a provider."""
    for name in ("locals.tf", "variables.tf", "grants.json"):
        shutil.copy(TERRAFORM / name, folder / name)
    outputs = "\n".join(f'output "{name}" {{\n  value = local.{name}\n}}' for name in names)
    (folder / "outputs.tf").write_text(outputs)
    given = {
        "project": "a-project",
        "billing_account": "000000-000000-000000",
        "monthly_budget": 100,
        "budget_email": "me@example.com",
        "deployers": ["group:a@example.com"],
    }
    (folder / "terraform.tfvars.json").write_text(json.dumps(given))
    for words in (("init", "-input=false"), ("apply", "-auto-approve", "-input=false", "-no-color")):
        done = run(terraform, folder, *words)
        assert done.returncode == 0, done.stderr
    found = json.loads(run(terraform, folder, "output", "-json").stdout)
    return {name: output["value"] for name, output in found.items()}


def test_the_grants_are_those_of_the_declaration(terraform: str, tmp_path: Path) -> None:
    found = evaluate(terraform, tmp_path, "dataset_roles", "project_roles", "impersonated", "grants")
    on_datasets = {
        (each["account"], each["dataset"], each["role"]) for each in found["dataset_roles"].values()
    }
    in_project = {(each["account"], each["role"]) for each in found["project_roles"].values()}
    declared = list_grants()
    assert on_datasets == {
        (name_account(grant.login), grant.dataset, SHOWN_AS[grant.role])
        for grant in declared
        if grant.dataset
    }
    assert in_project == {(name_account(grant.login), grant.role) for grant in declared if not grant.dataset}
    assert set(found["impersonated"]) == {name_account(login) for login in WAREHOUSE_LOGINS if login.account}
    assert tuple(found["grants"]["datasets"]) == DATASETS
    assert tuple(found["grants"]["shared_with_bi"]) == SHARED_WITH_BI


def test_each_resource_takes_the_grants_and_nothing_besides() -> None:
    granting = re.findall(
        r'^resource "(\w+_(?:iam_member|access))" "(\w+)" \{\n  for_each\s+= (\S+)', ALL, re.M
    )
    assert {(kind, name): each for kind, name, each in granting} == {
        ("google_project_iam_member", "job"): "local.project_roles",
        ("google_project_iam_member", "nodes"): "toset([" + '"roles/container.defaultNodeServiceAccount",',
        ("google_project_iam_member", "reader"): "var.readers",
        ("google_service_account_iam_member", "impersonation"): "local.impersonated",
        ("google_bigquery_dataset_access", "job"): "local.dataset_roles",
        ("google_bigquery_dataset_access", "bi"): "toset(local.grants.shared_with_bi)",
        ("google_bigquery_dataset_access", "reader"): "var.readers",
        ("google_storage_bucket_iam_member", "runner"): "google_storage_bucket.files",
        ("google_secret_manager_secret_iam_member", "deployer"): "{",
    }
    # Roles that would let an account do more than its job, wherever they stood.
    assert not re.search(r"roles/(owner|editor|viewer|bigquery\.(admin|user)|storage\.admin)\b", ALL)
    assert "google_service_account_key" not in ALL


def test_no_secret_gets_into_the_state() -> None:
    values = re.findall(r"^\s*(\w*(?:password|secret_data)\w*)\s*=", ALL, re.MULTILINE)
    assert values == [], "a value in the state is readable by whoever plans"
    assert "google_sql_user" not in ALL


def test_what_must_not_be_lost_is_protected_and_the_database_is_closed() -> None:
    for kind in ("google_bigquery_dataset", "google_storage_bucket", "google_sql_database_instance"):
        (block,) = re.findall(rf'^resource "{kind}" "\w+" \{{\n(.*?)^\}}', ALL, re.MULTILINE | re.DOTALL)
        assert "prevent_destroy = true" in block, kind
    database = FILES["database.tf"]
    for asked in (
        r'name  = "cloudsql.logical_decoding"\n\s+value = "on"',
        r"point_in_time_recovery_enabled = true",
        r"ipv4_enabled\s+= false",
        r'ssl_mode\s+= "ENCRYPTED_ONLY"',
        r"deletion_protection\s+= true",
    ):
        assert re.search(asked, database), asked
    assert 'public_access_prevention    = "enforced"' in FILES["storage.tf"]
    assert re.search(r"keys\s+= \{ versions = false", FILES["locals.tf"]), "a destroyed key is gone"
