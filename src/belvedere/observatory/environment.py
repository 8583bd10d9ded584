"""What the outside tells the application: one table of settings, read from the environment, documented here.

Secrets come from the environment or from key files that only their owner can read; a fresh data folder
gets its own.
"""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse


@dataclass(frozen=True)
class Setting:
    """One environment variable: name, default as text, French description."""

    name: str
    default: str
    description: str


SETTINGS = (
    Setting("BELVEDERE_DATA", "data", "Dossier des données : base SQLite, faits, publications, clés."),
    Setting("BELVEDERE_DATABASE_URL", "", "postgresql://utilisateur:mot@hôte/base ; vide : SQLite dans le dossier des données."),
    Setting("BELVEDERE_SECRET_KEY", "", "Clé de signature des sessions ; vide : fichier keys/session.key du dossier des données."),
    Setting("BELVEDERE_HOSTS", "localhost,127.0.0.1", "Noms de domaine servis, séparés par des virgules."),
    Setting("BELVEDERE_HTTPS", "", "« 1 » derrière un frontal HTTPS : témoins sécurisés et HSTS."),
    Setting("BELVEDERE_TOKEN", "", "Jeton d’émetteur utilisé par « belvedere push »."),
    Setting("BELVEDERE_REFUSAL", "whole", "Ce que refuse une erreur dans une facture : « whole » le flux entier, « invoice » la facture seule ; un groupe peut avoir le sien."),
    Setting("BELVEDERE_MAX_CLEAR_MB", "8192", "Taille maximale d’un fichier clair, en Mio : au-delà, P602."),
    Setting("BELVEDERE_MAX_MAIL_MB", "64", "Taille maximale d’un message de la messagerie, en Mio."),
    Setting("BELVEDERE_QUEUE_LIMIT", "5000", "Flux en attente au-delà desquels les dépôts sont priés de revenir (429, 451)."),
    Setting("BELVEDERE_MIN_FREE_MB", "64", "Place libre du disque, en Mio, en deçà de laquelle les dépôts sont priés de revenir."),
    Setting("BELVEDERE_KEEP_SEALED_HOURS", "0", "Durée de conservation du fichier chiffré après traitement, en heures."),
    Setting("BELVEDERE_MAIL_DOMAIN", "belvedere.test", "Domaine des adresses de dépôt de la messagerie."),
    Setting("BELVEDERE_PUBLIC_URL", "http://localhost:8000", "Adresse publique de l’observatoire, écrite dans les accusés et les réponses."),
    Setting("BELVEDERE_WEBHOOK_PRIVATE", "", "« 1 » : autorise les rappels en HTTP et vers des adresses privées (essais)."),
    Setting("BELVEDERE_TSA_URL", "", "Autorité d’horodatage (RFC 3161) des têtes du journal et des signatures ; vide : les conventions portent l’horodatage de l’observatoire, le journal aucun."),
    Setting("BELVEDERE_GATE_GROUPS", "10", "Verrou : nombre minimal de groupes présents dans une publication."),
    Setting("BELVEDERE_GATE_LINES", "10000", "Verrou : nombre minimal de lignes dans une publication."),
    Setting("BELVEDERE_P_PERCENT", "0.10", "Secret : seuil p % au niveau des groupes ; ne se publie pas."),
    Setting("BELVEDERE_DOMINANCE", "0.85", "Secret : part maximale d’un groupe ; ne se publie pas."),
    Setting("BELVEDERE_FEDERATIONS_ATTACK", "", "Secret : « 1 » ferme aussi ce que déduirait une fédération qui détiendrait les lignes de ses membres ; vide : mesuré."),
    Setting("BELVEDERE_FEDERATION_PERCENT", "", "Secret : seuil du reste hors fédération ; vide : règle éteinte. Ne se publie pas."),
)  # fmt: skip


def read(name: str) -> str:
    """Value of a declared setting; KeyError for one that is not in the table."""
    declared = {setting.name: setting for setting in SETTINGS}[name]
    return os.environ.get(name, declared.default)


def data_dir() -> Path:
    """The data folder, absolute."""
    return Path(read("BELVEDERE_DATA")).expanduser().resolve()


def secret_key() -> str:
    """The session key: from the environment, else from a strict-mode file made on first use."""
    if given := read("BELVEDERE_SECRET_KEY"):
        return given
    path = data_dir() / "keys" / "session.key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_text()
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_urlsafe(48))
    return path.read_text()


def database() -> dict[str, object]:
    """Django's description of the database: PostgreSQL by URL, else SQLite in WAL mode."""
    if url := read("BELVEDERE_DATABASE_URL"):
        parts = urlparse(url)
        query = dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair)
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": parts.path.lstrip("/"),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": unquote(query.get("host", parts.hostname or "")),
            "PORT": str(parts.port or ""),
        }
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(data_dir() / "belvedere.sqlite3"),
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=30000",
        },
    }
