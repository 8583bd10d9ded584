"""What the outside tells the application: one table of settings, read from the environment, documented here.

Secrets come from the environment or from key files that only their owner can read; a fresh data folder
gets its own.
"""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse


@dataclass(frozen=True)
class Setting:
    """One environment variable: name, default as text, French description."""

    name: str
    default: str
    description: str


SETTINGS = (
    Setting("BELVEDERE_DATA", "data", "Dossier des données : base SQLite, faits, publications, clés."),
    Setting("BELVEDERE_KEYS", "", "Dossier des clés de ce processus, hors du stockage partagé ; vide : keys/ dans le dossier des données."),
    Setting("BELVEDERE_DATABASE_URL", "", "postgresql://utilisateur:mot@hôte/base ; vide : SQLite dans le dossier des données."),
    Setting("BELVEDERE_ENGINE", "duckdb", "Moteur de calcul : « duckdb », dans chaque processus, ou l’adresse Spark Connect d’une grappe (sc://hôte:15002) qui voit les mêmes fichiers."),
    Setting("BELVEDERE_COMPUTE_MEMORY", "4GB", "Mémoire d’un calcul de DuckDB ; au-delà, il écrit dans le dossier « spill » des données (jetons et montants, aucune identité)."),
    Setting("BELVEDERE_OTLP_URL", "", "Collecteur OpenTelemetry (http://hôte:4318) où envoyer chaque minute l’état de la maison ; demande l’extra « telemetry » ; vide : aucun."),
    Setting("BELVEDERE_SERVICES_URL", "", "Adresse des services de la facturation (CDRi, ROC…) : celle du simulateur (belvedere services simulate), ou d’un adaptateur ; vide : non branchés."),
    Setting("BELVEDERE_PSC_URL", "", "Échanges : adresse (issuer) de Pro Santé Connect, ou de son simulateur (belvedere exchange psc) ; vide : aucun échange de jeton."),
    Setting("BELVEDERE_PSC_CLIENTS", "", "Échanges : applications (azp) dont les jetons Pro Santé Connect sont échangés, séparées par des virgules ; vide : aucune."),
    Setting("BELVEDERE_CLIENT_CERT_HEADER", "", "Échanges : en-tête où le frontal écrit le certificat du client qu’il a vérifié (valeur de la RFC 9440) ; il doit effacer celui qui viendrait du dehors. Lettres et chiffres seuls (« ClientCert ») : un serveur lit « Client_Cert » comme « Client-Cert ». Vide : aucun certificat n’est lu."),
    Setting("BELVEDERE_SECRET_KEY", "", "Clé de signature des sessions ; vide : fichier keys/session.key du dossier des données."),
    Setting("BELVEDERE_HOSTS", "localhost,127.0.0.1", "Noms de domaine servis, séparés par des virgules."),
    Setting("BELVEDERE_HTTPS", "", "« 1 » derrière un frontal HTTPS : témoins sécurisés et HSTS."),
    Setting("BELVEDERE_PROXIES", "0", "Nombre de frontaux devant le portail, pour lire l’adresse du visiteur (limites de débit, sessions)."),
    Setting("BELVEDERE_SMTP_URL", "", "smtp://utilisateur:mot@hôte:587 (STARTTLS), smtps://… (TLS) ou smtp://hôte:25?tls=0 ; vide : les messages sont gardés dans le dossier mail/ des données."),
    Setting("BELVEDERE_MAIL_FROM", "Belvédère <observatoire@belvedere.test>", "Expéditeur des messages."),
    Setting("BELVEDERE_OIDC_URL", "", "Fournisseur OpenID Connect (Pro Santé Connect par exemple) ; vide : aucun."),
    Setting("BELVEDERE_OIDC_NAME", "Pro Santé Connect", "Nom du fournisseur sur la page de connexion."),
    Setting("BELVEDERE_OIDC_CLIENT", "", "Identifiant de client chez le fournisseur."),
    Setting("BELVEDERE_OIDC_SECRET", "", "Secret de client ; vide : fichier keys/oidc.secret du dossier des données."),
    Setting("BELVEDERE_OPERATOR_NAME", "Opérateur de l’observatoire", "Qui exploite l’observatoire, dans les conventions et les factures."),
    Setting("BELVEDERE_OPERATOR_ADDRESS", "1 rue de l’Essai, 75001 Paris", "Son adresse."),
    Setting("BELVEDERE_OPERATOR_SIREN", "000000000", "Son SIREN."),
    Setting("BELVEDERE_OPERATOR_VAT", "FR00000000000", "Son numéro de TVA."),
    Setting("BELVEDERE_OPERATOR_IBAN", "", "Son IBAN."),
    Setting("BELVEDERE_TOKEN", "", "Jeton d’émetteur utilisé par « belvedere push »."),
    Setting("BELVEDERE_REFUSAL", "whole", "Ce que refuse une erreur dans une facture : « whole » le flux entier, « invoice » la facture seule ; un groupe peut avoir le sien."),
    Setting("BELVEDERE_MAX_CLEAR_MB", "8192", "Taille maximale d’un fichier clair, en Mio : au-delà, P602."),
    Setting("BELVEDERE_MAX_MAIL_MB", "64", "Taille maximale d’un message de la messagerie, en Mio."),
    Setting("BELVEDERE_QUEUE_LIMIT", "5000", "Flux en attente au-delà desquels les dépôts sont priés de revenir (429, 451)."),
    Setting("BELVEDERE_MIN_FREE_MB", "64", "Place libre du disque, en Mio, en deçà de laquelle les dépôts sont priés de revenir."),
    Setting("BELVEDERE_PURGE_MINUTES", "15", "Délai entre deux passages de la purge des oppositions, en minutes (60 au plus)."),
    Setting("BELVEDERE_REGISTER", "", "Registre des oppositions, à mettre sur un autre disque : rejoué après une restauration ; vide : objections.register du dossier des données."),
    Setting("BELVEDERE_KEEP_YEARS", "10", "Durée de conservation des lignes, en années après les soins."),
    Setting("BELVEDERE_BACKUPS", "", "Dossiers de sauvegarde, séparés par « : », où « belvedere objections prove » cherche aussi."),
    Setting("BELVEDERE_KEEP_SEALED_HOURS", "0", "Durée de conservation du fichier chiffré après traitement, en heures."),
    Setting("BELVEDERE_MAIL_DOMAIN", "belvedere.test", "Domaine des adresses de dépôt de la messagerie."),
    Setting("BELVEDERE_PROBE_URL", "", "Échanges : adresse où la maison demande chaque minute si elle répond ; vide : l’adresse publique (« belvedere serve » met la sienne)."),
    Setting("BELVEDERE_PUBLIC_URL", "http://localhost:8000", "Adresse publique de l’observatoire, écrite dans les accusés et les réponses."),
    Setting("BELVEDERE_WEBHOOK_PRIVATE", "", "« 1 » : autorise les rappels en HTTP et vers des adresses privées (essais)."),
    Setting("BELVEDERE_AGGIR", "", "Échanges : « 1 » compare le GIR déclaré au GIR recalculé (remarque, jamais refus) ; l’usage lucratif de la grille peut demander une autorisation (décret 97-427)."),
    Setting("BELVEDERE_TSA_URL", "", "Autorité d’horodatage (RFC 3161) des têtes du journal et des signatures ; vide : les conventions portent l’horodatage de l’observatoire, le journal aucun."),
    Setting("BELVEDERE_GATE_GROUPS", "10", "Verrou : nombre minimal de groupes présents dans une publication."),
    Setting("BELVEDERE_GATE_LINES", "10000", "Verrou : nombre minimal de lignes dans une publication."),
    Setting("BELVEDERE_GATE_MEMBERS", "10", "Verrou : nombre minimal d’entités présentes."),
    Setting("BELVEDERE_GATE_PATIENTS", "1000", "Verrou : nombre minimal de patients."),
    Setting("BELVEDERE_GATE_BIGGEST", "0.5", "Verrou : part maximale du plus grand groupe. Les seuils datés que fixe l’opérateur remplacent ces cinq réglages."),
    Setting("BELVEDERE_P_PERCENT", "0.10", "Secret : seuil p % au niveau des groupes ; ne se publie pas."),
    Setting("BELVEDERE_DOMINANCE", "0.85", "Secret : part maximale d’un groupe ; ne se publie pas."),
    Setting("BELVEDERE_FEDERATIONS_ATTACK", "", "Secret : « 1 » ferme aussi ce que déduirait une fédération qui détiendrait les lignes de ses membres ; vide : mesuré."),
    Setting("BELVEDERE_FEDERATION_PERCENT", "", "Secret : seuil du reste hors fédération ; vide : règle éteinte. Ne se publie pas."),
)  # fmt: skip
_DEFAULTS = {setting.name: setting.default for setting in SETTINGS}


def read(name: str) -> str:
    """Value of a declared setting; KeyError for one that is not in the table."""
    return os.environ.get(name, _DEFAULTS[name])


class SettingRefused(Exception):
    """A setting that would open what it must close; says which and why, in French. Nothing starts with it."""


def certificate_header() -> str:
    """Where the front end writes the client's certificate; "" where no certificate is read. SettingRefused for a name that another name would pass for:
    a WSGI server gives « Client_Cert » and « Client-Cert » the same key, and a front end that empties one lets the other in."""
    name = read("BELVEDERE_CLIENT_CERT_HEADER").strip()
    if name and not (name.isascii() and name.isalnum()):
        raise SettingRefused(
            f"BELVEDERE_CLIENT_CERT_HEADER={name[:40]} : lettres et chiffres seuls (ClientCert, par exemple), sans tiret ni souligné."
        )
    return name


def data_dir() -> Path:
    """The data folder, absolute."""
    return Path(read("BELVEDERE_DATA")).expanduser().resolve()


def compute() -> dict[str, Any]:
    """Where and within what the compute engine works, as `engine.connect` takes it."""
    return {"address": read("BELVEDERE_ENGINE"), "memory": read("BELVEDERE_COMPUTE_MEMORY"), "spill": data_dir() / "spill"}


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


def mail() -> dict[str, object]:
    """Django's description of the outgoing mail: an SMTP server by URL, else files of the data folder."""
    found: dict[str, object] = {"DEFAULT_FROM_EMAIL": read("BELVEDERE_MAIL_FROM"), "EMAIL_TIMEOUT": 20}
    url = read("BELVEDERE_SMTP_URL")
    if not url:
        return found | {"EMAIL_BACKEND": "django.core.mail.backends.filebased.EmailBackend", "EMAIL_FILE_PATH": str(data_dir() / "mail")}
    parts = urlparse(url)
    return found | {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname or "",
        "EMAIL_PORT": parts.port or (465 if parts.scheme == "smtps" else 587),
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": parts.scheme == "smtps",
        "EMAIL_USE_TLS": parts.scheme == "smtp" and "tls=0" not in parts.query,
    }


def identity_providers() -> list[dict[str, object]]:
    """allauth's description of the OpenID Connect provider, if one is set."""
    url = read("BELVEDERE_OIDC_URL")
    if not url:
        return []
    secret, path = read("BELVEDERE_OIDC_SECRET"), data_dir() / "keys" / "oidc.secret"
    return [{
        "provider_id": "sante", "name": read("BELVEDERE_OIDC_NAME"), "client_id": read("BELVEDERE_OIDC_CLIENT"),
        "secret": secret or (path.read_text().strip() if path.exists() else ""),
        "settings": {"server_url": url, "oauth_pkce_enabled": True, "scope": ["openid"]},
    }]  # fmt: skip


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
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
        }
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(data_dir() / "belvedere.sqlite3"),
        "CONN_MAX_AGE": 60,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=30000",
        },
    }
