"""The database itself refuses to change or delete what is kept for good: a mistake, or a hurried hand, is stopped there.
Who owns the database can lift the triggers; that is what the hashes, the signatures and the time-stamps are for."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper


@dataclass(frozen=True)
class Guard:
    """What stays of a table: its key, the only change that a row may see ("": none), and how a refusal is worded."""

    key: str
    allowed: str = ""
    refusal: str = "le journal ne se modifie pas"


def unchanged(*columns: str) -> str:
    """The condition that these columns keep their values."""
    return " AND ".join(f"NEW.{name} = OLD.{name}" for name in columns)


# A head may receive its time-stamp once; nothing else ever changes.
TABLES = {
    "journal_entry": Guard("id"),
    "journal_treehead": Guard("size", f"OLD.token = '' AND {unchanged('size', 'root', 'last', 'at', 'signature')}"),
    "journal_node": Guard("id"),
}


def _sqlite(table: str, guard: Guard) -> list[str]:
    when = f"WHEN NOT ({guard.allowed}) " if guard.allowed else ""
    refuse = f"BEGIN SELECT RAISE(ABORT, '{guard.refusal}'); END"
    return [
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {when}{refuse}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}",
        # INSERT OR REPLACE deletes without firing the trigger above
        f"CREATE TRIGGER {table}_no_insert BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} WHERE {guard.key} = NEW.{guard.key}) {refuse}",
    ]


def _postgresql(table: str, guard: Guard) -> list[str]:
    # What a change is allowed by may look at other tables, which the condition of a trigger may not.
    allow = f"IF TG_OP = 'UPDATE' THEN IF {guard.allowed} THEN RETURN NEW; END IF; END IF; " if guard.allowed else ""
    refuse = f"EXECUTE FUNCTION {table}_is_kept()"
    return [
        f"CREATE OR REPLACE FUNCTION {table}_is_kept() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN {allow}RAISE EXCEPTION '{guard.refusal}' USING ERRCODE = 'integrity_constraint_violation'; END $$",
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} FOR EACH ROW {refuse}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} FOR EACH ROW {refuse}",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {refuse}",
    ]


def install(connection: BaseDatabaseWrapper, tables: Mapping[str, Guard] = TABLES) -> None:
    """Put the triggers in place, those of today instead of those of an earlier version."""
    lift(connection, tables)
    make = _postgresql if connection.vendor == "postgresql" else _sqlite
    with connection.cursor() as cursor:
        for table, guard in tables.items():
            for statement in make(table, guard):
                cursor.execute(statement)


def lift(connection: BaseDatabaseWrapper, tables: Mapping[str, Guard] = TABLES) -> None:
    """Take the triggers away: for a migration of these tables, and for tests that play the attacker."""
    with connection.cursor() as cursor:
        for table in tables:
            for kind in ("update", "delete", "insert", "truncate"):
                target = f" ON {table}" if connection.vendor == "postgresql" else ""
                cursor.execute(f"DROP TRIGGER IF EXISTS {table}_no_{kind}{target}")


def missing(connection: BaseDatabaseWrapper, tables: Mapping[str, Guard] = TABLES) -> list[str]:
    """The tables some of whose triggers are not there, or on SQLite are not those of today: it loses them when it makes a table anew."""
    postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        if postgresql:
            cursor.execute("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'")
        else:
            cursor.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'")
        found = {row[0] for row in cursor.fetchall()}
    wanted = lambda table, guard: {f"{table}_no_{kind}" for kind in ("update", "delete", "truncate")} if postgresql else set(_sqlite(table, guard))  # noqa: E731
    return [table for table, guard in tables.items() if not wanted(table, guard) <= found]


def restore(connection: BaseDatabaseWrapper, tables: Mapping[str, Guard] = TABLES) -> None:
    """Put back the triggers that are not there, of the tables that are; those that stand are left alone."""
    held = set(connection.introspection.table_names())
    there = {table: guard for table, guard in tables.items() if table in held}
    install(connection, {table: there[table] for table in missing(connection, there)})
