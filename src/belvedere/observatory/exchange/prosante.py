"""Pro Santé Connect: a professional's access token checked with its provider (signature, dates, level), and what the provider says of the person."""

import time
from dataclasses import dataclass
from typing import Any

import jwt
import requests

from belvedere.engine.exchange import credentials
from belvedere.engine.exchange.credentials import CredentialRefused
from belvedere.observatory.environment import read

SECONDS = 3  # a caller waits for it, and holds a thread of the portal meanwhile
KEPT = 600.0  # seconds that the provider's description and keys are kept
FRESH = 60.0  # seconds under which they are not asked again, whatever key a token names
AWAY = 30.0  # seconds that a provider which did not answer is left alone
ALGORITHMS = ["RS256", "PS256", "ES256"]
_described: dict[str, tuple[float, dict[str, Any], jwt.PyJWKSet]] = {}
_away: dict[str, float] = {}


@dataclass(frozen=True)
class Professional:
    """A professional: national number, FINESS numbers of the sites where it works."""

    number: str
    places: tuple[str, ...]


def _get(url: str, token: str = "") -> Any:
    try:
        answer = requests.get(url, timeout=SECONDS, allow_redirects=False, headers={"Authorization": f"Bearer {token}"} if token else {})
        answer.raise_for_status()
        return answer.json()
    except (requests.RequestException, ValueError) as error:
        refused = isinstance(error, requests.HTTPError) and error.response is not None and error.response.status_code in (401, 403)
        if refused:
            raise CredentialRefused("invalid_grant", "Le fournisseur d’identité refuse ce jeton.") from error
        raise CredentialRefused("temporarily_unavailable", "Le fournisseur d’identité ne répond pas : réessayez dans une minute.") from error


def _provider(fresh: bool = False) -> tuple[dict[str, Any], jwt.PyJWKSet]:
    """What the provider says of itself, and its keys."""
    issuer = read("BELVEDERE_PSC_URL").rstrip("/")
    if not issuer:
        raise CredentialRefused("temporarily_unavailable", "Aucun fournisseur d’identité des professionnels n’est branché (BELVEDERE_PSC_URL).")
    held, now = _described.get(issuer), time.monotonic()
    if held is not None and now - held[0] <= (FRESH if fresh else KEPT):
        return held[1], held[2]
    if now - _away.get(issuer, -AWAY) < AWAY:
        raise CredentialRefused("temporarily_unavailable", "Le fournisseur d’identité ne répond pas : réessayez dans une minute.")
    try:
        about = _get(f"{issuer}/.well-known/openid-configuration")
        held = now, about, jwt.PyJWKSet.from_dict(_get(about["jwks_uri"]))
    except CredentialRefused:
        _away[issuer] = now
        raise
    except (KeyError, TypeError, jwt.PyJWTError) as error:
        _away[issuer] = now
        raise CredentialRefused("temporarily_unavailable", "La description du fournisseur d’identité ne se lit pas.") from error
    _described[issuer] = held
    return held[1], held[2]


def _key(number: str) -> tuple[dict[str, Any], jwt.PyJWK]:
    for fresh in (False, True):  # a key that is not known may be new
        about, keys = _provider(fresh)
        for key in keys.keys:
            if key.key_id == number:
                return about, key
    raise CredentialRefused("invalid_grant", "Ce jeton est signé par une clé que le fournisseur d’identité ne publie pas.")


def professional(token: str) -> Professional:
    """The professional of an access token. CredentialRefused: forged, out of date, under the level asked for, or the provider is away."""
    try:
        number = str(jwt.get_unverified_header(token).get("kid", ""))
    except jwt.PyJWTError as error:
        raise CredentialRefused("invalid_grant", "Le jeton de la personne ne se lit pas.") from error
    about, key = _key(number)
    try:
        claims = jwt.decode(
            token, key.key, algorithms=ALGORITHMS, issuer=about["issuer"], options={"verify_aud": False, "require": ["exp", "iat", "sub"]}
        )
    except (jwt.PyJWTError, KeyError, TypeError) as error:
        raise CredentialRefused("invalid_grant", "Le jeton de la personne n’est pas valable, ou n’a plus cours.") from error
    if claims.get("acr") != credentials.ACR:
        raise CredentialRefused("invalid_grant", f"La personne n’a pas été identifiée au niveau substantiel (acr={credentials.ACR}).")
    if claims.get("typ") != "Bearer":  # an id token is signed by the same keys
        raise CredentialRefused("invalid_grant", "Ce jeton n’est pas un jeton d’accès.")
    if claims.get("azp") not in {name.strip() for name in read("BELVEDERE_PSC_CLIENTS").split(",") if name.strip()}:
        raise CredentialRefused("invalid_grant", "Ce jeton a été donné à une application que l’exploitant n’a pas admise.")
    told = _get(str(about.get("userinfo_endpoint", "")), token)
    if not isinstance(told, dict) or told.get("sub") != claims["sub"]:
        raise CredentialRefused("invalid_grant", "Le fournisseur d’identité parle d’une autre personne.")
    return Professional(credentials.national_number(told), credentials.places_of(told))
