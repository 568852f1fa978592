"""The grants that Terraform makes, generated from the declaration of the accounts."""

import json

from data.raw.accounts import DATASETS, SHARED_WITH_BI, SHOWN_AS, list_grants
from docs.accounts import name_account
from myproperty.database.roles import WAREHOUSE_LOGINS
from myproperty.settings import CHECKOUT, PREFIX

FILE = CHECKOUT / "deploy" / "terraform" / "grants.json"


def terraform_grants() -> str:
    """Return the file: accounts with their roles, datasets, and the datasets that the views of `bi` read."""
    accounts = {}
    for login in WAREHOUSE_LOGINS:
        own = [grant for grant in list_grants() if grant.login is login]
        accounts[name_account(login)] = {
            "purpose": login.purpose.replace("`", ""),
            "setting": f"{PREFIX}{login.account.upper()}" if login.account else None,
            "project_roles": [grant.role for grant in own if grant.dataset is None],
            "datasets": {grant.dataset: SHOWN_AS[grant.role] for grant in own if grant.dataset},
        }
    found = {"accounts": accounts, "datasets": DATASETS, "shared_with_bi": SHARED_WITH_BI}
    return json.dumps(found, indent=2) + "\n"
