"""The statements of sql/queries.sql, by name."""

from importlib.resources import files
from typing import Final

from adapters.queries import named

SQL: Final = named((files("treasury") / "sql" / "queries.sql").read_text("utf-8"))
