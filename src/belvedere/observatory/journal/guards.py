"""The database itself refuses to change or delete what the journal holds: a mistake, or a hurried hand, is stopped there.
Who owns the database can lift the triggers; that is what the hashes, the signatures and the time-stamps are for."""

from django.db.backends.base.base import BaseDatabaseWrapper

REFUSAL = "le journal ne se modifie pas"
# A head may receive its time-stamp once; nothing else ever changes.
STAMP_ONLY = (
    "OLD.token = '' AND NEW.size = OLD.size AND NEW.root = OLD.root AND NEW.last = OLD.last AND NEW.at = OLD.at AND NEW.signature = OLD.signature"
)
TABLES = {"journal_entry": "", "journal_treehead": STAMP_ONLY, "journal_node": ""}
KEYS = {"journal_entry": "id", "journal_treehead": "size", "journal_node": "id"}


def _sqlite(table: str, allowed: str) -> list[str]:
    when = f"WHEN NOT ({allowed}) " if allowed else ""
    return [
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_update BEFORE UPDATE ON {table} {when}BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END",
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_delete BEFORE DELETE ON {table} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END",
        # INSERT OR REPLACE deletes without firing the trigger above
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_insert BEFORE INSERT ON {table} "
        f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {KEYS[table]} = NEW.{KEYS[table]}) BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END",
    ]


def _postgresql(table: str, allowed: str) -> list[str]:
    when = f"WHEN (NOT ({allowed})) " if allowed else ""
    return [
        "CREATE OR REPLACE FUNCTION journal_is_kept() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'integrity_constraint_violation'; END $$",
        f"CREATE OR REPLACE TRIGGER {table}_no_update BEFORE UPDATE ON {table} FOR EACH ROW {when}EXECUTE FUNCTION journal_is_kept()",
        f"CREATE OR REPLACE TRIGGER {table}_no_delete BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION journal_is_kept()",
        f"CREATE OR REPLACE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION journal_is_kept()",
    ]


def install(connection: BaseDatabaseWrapper) -> None:
    """Put the triggers in place."""
    make = _postgresql if connection.vendor == "postgresql" else _sqlite
    with connection.cursor() as cursor:
        for table, allowed in TABLES.items():
            for statement in make(table, allowed):
                cursor.execute(statement)


def lift(connection: BaseDatabaseWrapper) -> None:
    """Take the triggers away: for a migration of these tables, and for tests that play the attacker."""
    with connection.cursor() as cursor:
        for table in TABLES:
            for kind in ("update", "delete", "insert", "truncate"):
                target = f" ON {table}" if connection.vendor == "postgresql" else ""
                cursor.execute(f"DROP TRIGGER IF EXISTS {table}_no_{kind}{target}")
