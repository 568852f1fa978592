"""What a mapping names beside the columns of a table: paths of a document, and what stands in no column.

Not here: the mapping (`mapping`).
"""

import re
from typing import Annotated

from pydantic import Field

# The columns of a table whose columns are days or times: the name of a column, and the cell below it.
ABOVE, CELL = "$above", "$value"
# The name of the file, of the member of an archive, or of the sheet that a row stands in.
NAME = "$name"
# The path of a JSON row, if a mapping has several.
ROWS = "$rows"
# The date in a line of its own above the rows of a table.
TITLE = "$title"
# The name of a column of values, in place of the identifier: each column is of another meter.
COLUMN = "$column"
# The place of a JSON row in its list, counted from 1, or its key in its object.
KEY = "$key"

_STEPS = r"^\$(\.[^.\[\]*$\s]+|\[\*\]|\.\*)*"
_JSON_PATH, _ROWS_PATH = rf"{_STEPS}(\.\$key)?$", rf"{_STEPS}$"


RowsPath = Annotated[str, Field(pattern=_ROWS_PATH, max_length=200)]


def is_json_column(column: str | int) -> bool:
    """Whether a column is one of a document: a place, a path, or what stands in no row."""
    path = column if str(column).startswith("$") else f"$.{column}"
    return (
        isinstance(column, int)
        or column in (KEY, CELL, NAME, ROWS)
        or re.fullmatch(_JSON_PATH, str(path)) is not None
    )
