"""The page of personal data: each field through all layers, its protection, and where copies stay until when.

Here: words and layout; the facts are in `myproperty.personal`, and the columns of the warehouse in the files
of the dbt project.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from data.landing.entities import ENTITIES
from myproperty.personal import FIELDS, FREE, PSEUDONYMS, STORES, PersonalField, Protection
from oltp_schema.pages import markdown_table as table

PROJECT = Path(__file__).resolve().parents[1] / "data" / "warehouse"
_TRAIL = {
    Protection.SEALED: "sealed",
    Protection.CLEARED: "`(personal)`",
    Protection.MENTIONS: "`(personal)`",
    Protection.BOOKS: "`(personal)`",
}


def personal_data_page() -> str:
    """Return the page."""
    fields = [
        (f"`{f.column}`", f.kind, f.protection.value, _TRAIL[f.protection], _landing(f)) for f in FIELDS
    ]
    layers = [(f"`{layer}`", columns) for layer, columns in _tagged_columns().items()]
    stores = [(s.name, s.holds, s.until, s.remedy) for s in STORES]
    free = [(reason, ", ".join(f"`{name}`" for name in names.split())) for reason, names in FREE.items()]
    return "\n".join(
        [
            "# Where personal data is\n",
            "What the commands do is in [privacy](privacy.md). Tests compare this map with the catalogue of "
            "the database, the audit trail, landing, and the columns of the warehouse.\n",
            "## Fields\n",
            "*Cleared where it names* the person: the value, or the part of a document, that has the e-mail "
            "address, the name in full, a number, or a word given to `keys erase --word`.\n",
            table(("Field", "Kind", "Protection", "Audit trail", "Landing and warehouse"), fields),
            "## Ids in the warehouse\n",
            "The warehouse knows people by the ids of the operational database: "
            f"{', '.join(f'`{name}`' for name in sorted(PSEUDONYMS))}. They stay after an erasure, and lead "
            "to no name. In the dbt project these columns have the tag `personal: pseudonym`:\n",
            table(("Layer", "Columns"), layers),
            "## Where copies stay, and until when\n",
            table(("Store", "Holds", "Until", "What to do"), stores),
            "## Text without personal data\n",
            "`*.name` is that column of every table. Landing has the same columns.\n",
            table(("Why", "Columns"), free),
        ]
    )


def _landing(field: PersonalField) -> str:
    name, column = field.column.split(".")[1:]
    if field.column.startswith("myproperty.") and name in ENTITIES:
        assert column in ENTITIES[name].withheld
        return "withheld"
    return "table is not copied"


def _tagged_columns() -> dict[str, str]:
    """Return for each folder of models, in order of the data, the columns with the tag."""
    folders = ("staging", "intermediate", "dimensions", "facts", "candidates", "marts", "bi")
    found: dict[str, dict[str, None]] = {folder: {} for folder in folders}
    for path in sorted((PROJECT / "models").rglob("*.yml")):
        for model in (yaml.safe_load(path.read_text()) or {}).get("models", []):
            folder = "candidates" if model["name"].startswith("candidate_") else path.parent.name
            for column in _columns(model):
                if column.get("config", {}).get("meta", {}).get("personal"):
                    found[folder][f"`{model['name']}.{column['name']}`"] = None
    return {folder: ", ".join(columns) for folder, columns in found.items() if columns}


def _columns(model: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (column for column in model.get("columns", []) if "name" in column)
