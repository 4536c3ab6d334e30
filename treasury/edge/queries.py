"""The statements of sql/queries.sql and sql/ledger.sql, by name."""

from importlib.resources import files
from typing import Final

from adapters.queries import named

SQL: Final = named((files("treasury") / "sql" / "queries.sql").read_text("utf-8"))
LEDGER: Final = named((files("treasury") / "sql" / "ledger.sql").read_text("utf-8"))
