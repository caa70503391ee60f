"""The memory tables of a migrated database as hash partitions by user, made from its catalogue.

Nothing of the schema is written down here: columns, constraints and indexes are those that
Postgres tells of each table, `PARTITION BY HASH (user_id)` is all that is added. An index that a
partitioned table cannot have, such as a unique one without `user_id`, fails the making.
"""

from __future__ import annotations

from typing import Any, Final

import asyncpg

_TABLES: Final = """
SELECT c.oid, c.relname, array_to_string(c.reloptions, ', ') FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname LIKE 'memory\\_%'
ORDER BY c.relname"""

# Checks come with LIKE, not-null constraints with the columns. References last: what they refer
# to must be there.
_CONSTRAINTS: Final = """
SELECT conname, contype = 'f', pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = $1 AND contype IN ('p', 'u', 'f') ORDER BY contype = 'f', conname"""

_INDEXES: Final = """
SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i
WHERE i.indrelid = $1
    AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid
        AND c.conrelid = $1)"""

_LIKE: Final = "INCLUDING CONSTRAINTS INCLUDING DEFAULTS INCLUDING IDENTITY INCLUDING STORAGE"


async def partition(url: str, count: int) -> list[str]:
    """Gives every memory table `count` partitions, empty as it is; returns their names."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            return await _all(connection, count)
    finally:
        await connection.close()


async def _all(connection: Any, count: int) -> list[str]:
    tables = await connection.fetch(_TABLES)
    later: list[str] = []
    for oid, name, options in tables:
        assert not await connection.fetchval(f"SELECT EXISTS (SELECT FROM {name})")
        constraints = await connection.fetch(_CONSTRAINTS, oid)
        indexes = await connection.fetch(_INDEXES, oid)
        given = f" WITH ({options})" if options else ""
        await connection.execute(f"ALTER TABLE {name} RENAME TO whole")
        await connection.execute(
            f"CREATE TABLE {name} (LIKE whole {_LIKE}) PARTITION BY HASH (user_id)"
        )
        await connection.execute("DROP TABLE whole CASCADE")
        for number in range(count):
            await connection.execute(
                f"""CREATE TABLE {name}_{number} PARTITION OF {name}
                FOR VALUES WITH (MODULUS {count}, REMAINDER {number}){given}"""
            )
        for constraint, refers, definition in constraints:
            statement = f"ALTER TABLE {name} ADD CONSTRAINT {constraint} {definition}"
            later.append(statement) if refers else await connection.execute(statement)
        for (definition,) in indexes:
            await connection.execute(definition)
    for statement in later:
        await connection.execute(statement)
    return [name for _, name, _ in tables]
