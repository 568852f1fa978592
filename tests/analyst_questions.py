"""Read the SQL of docs/analyst-questions.md."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "analyst-questions.md"
_QUESTION = re.compile(r"^## (\d+)\. .*?^```sql\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def questions() -> dict[int, str]:
    """Return the statement of each question, by its number."""
    return {int(number): sql.strip() for number, sql in _QUESTION.findall(PAGE.read_text())}


def relations(sql: str) -> set[str]:
    """Return the names of the relations that a statement reads."""
    return set(re.findall(r"\b(?:from|join)\s+([\w.]+)", sql))
