"""Installs the ledger in a database: the roles with their passwords, then the migrations.

Roles belong to the whole PostgreSQL cluster, so control's role is made here too; its schema is made by
its own migrations, with the same runner.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

import asyncpg

from adapters.migrations import OWNER, migrate
from adapters.postgres import Connection

ROLES: Final = (OWNER, "tollhouse_treasury", "tollhouse_relay", "tollhouse_control")
SCHEMA: Final = "treasury"
MIGRATIONS: Final = files("treasury") / "sql" / "migrations"
_FEW_TENANTS: Final = f"""SELECT pg_restore_attribute_stats(
    'schemaname', '{SCHEMA}', 'relname', c.table_name::text, 'attname', 'tenant_id', 'inherited', false,
    'null_frac', 0::real, 'avg_width', 16, 'n_distinct', 1::real
)
FROM information_schema.columns AS c
WHERE c.table_schema = '{SCHEMA}' AND c.column_name = 'tenant_id'
AND NOT EXISTS (SELECT 1 FROM pg_stats AS s WHERE s.schemaname = '{SCHEMA}' AND s.tablename = c.table_name)
"""  # noqa: S608 (a name of ours)


async def install(admin_dsn: str, passwords: Mapping[str, str]) -> None:
    """Make or mend roles and tables in the database of `admin_dsn`; doing it again changes nothing.

    `passwords` has one for each of ROLES (stored as SCRAM verifiers). The administrator must be allowed
    to create roles and to become `tollhouse_owner`.
    """
    connection = await asyncpg.connect(admin_dsn)
    try:
        for role in ROLES:
            await _ensure_role(connection, role, passwords[role])
        await _close_the_doors(connection)
        await migrate(connection, SCHEMA, MIGRATIONS)
        await _expect_few_tenants(connection)
    finally:
        await connection.close()


async def _expect_few_tenants(connection: Connection) -> None:
    """Tell the planner of tables that it knows nothing of: many rows have the same tenant.

    Every key begins with the tenant. A planner that takes it for as rare as an id finds a row as cheaply
    among all of its tenant, and sessions keep the plans that they made when the ledger was new. What is
    measured later (ANALYZE, autovacuum) takes the place of this. Statistics can be set since PostgreSQL 18.
    """
    await connection.execute(_FEW_TENANTS)


async def _ensure_role(connection: Connection, role: str, password: str) -> None:
    verb = (
        "ALTER" if await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role) else "CREATE"
    )
    rights = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
    literal = await connection.fetchval("SELECT quote_literal($1::text)", password)
    async with connection.transaction():
        await connection.execute("SET LOCAL password_encryption = 'scram-sha-256'")
        await connection.execute("SET LOCAL log_statement = 'none'")
        await connection.execute(f"{verb} ROLE {role} {rights} PASSWORD {literal}")


async def _close_the_doors(connection: Connection) -> None:
    """What PostgreSQL gives to everybody by default is given to these roles alone."""
    database = await connection.fetchval("SELECT quote_ident(current_database())")
    await connection.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
    await connection.execute(f"GRANT CONNECT ON DATABASE {database} TO {', '.join(ROLES)}")
    await connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
