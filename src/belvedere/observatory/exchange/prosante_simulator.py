"""A stand-in for Pro Santé Connect: an OpenID Connect provider on this machine, with invented professionals. It says so on every page.

Authorisation code with PKCE, tokens of two minutes, `acr=eidas1`, userinfo with the national number and the places of work: the parts that the
security framework of exchange APIs leans on (orchestrator reference §1.1 and §4.10)."""

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from html import escape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from belvedere.engine.exchange import credentials

BANNER = "Simulateur de Pro Santé Connect : ces personnes n’existent pas."
TOKEN_SECONDS, CODE_SECONDS = 120, 60
LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Invented:
    """An invented professional."""

    number: str
    given: str
    family: str
    work: str
    places: tuple[str, ...]

    def told(self) -> dict[str, Any]:
        """What userinfo says of it."""
        activities = [{"numeroFinessSite": place, "raisonSocialeSite": "Établissement inventé"} for place in self.places]
        return {
            "sub": f"f:simulateur:{self.number}", "SubjectNameID": self.number, "given_name": self.given, "family_name": self.family, "preferred_username": self.number,
            "SubjectRole": ["60^1.2.250.1.213.1.1.5.5"], "SubjectRefPro": {"codeCivilite": "", "exercices": [{"codeProfession": "60", "libelleProfession": self.work, "activities": activities}]},
        }  # fmt: skip


def professionals(places: Iterable[str] = ()) -> list[Invented]:
    """The invented people: two nurses and a physician of the given establishments, one who works nowhere known."""
    at = tuple(places)
    return [
        Invented("810000000017", "Camille", "ESSAI", "Infirmier", at),
        Invented("810000000025", "Dominique", "FICTIF", "Infirmier", at),
        Invented("810000000033", "Claude", "MODÈLE", "Médecin", at),
        Invented("810000000041", "Sacha", "AILLEURS", "Infirmier", ("690000028",)),
    ]


@dataclass
class Provider:
    """One provider: its people, its key, the codes it gave."""

    people: list[Invented]
    acr: str = credentials.ACR
    clock: Callable[[], float] = time.time
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048))
    codes: dict[str, dict[str, Any]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def kid(self) -> str:
        return hashlib.sha256(str(self.key.public_key().public_numbers().n).encode()).hexdigest()[:16]

    def token(self, base: str, person: Invented, client: str, kind: str = "Bearer", **more: Any) -> str:
        """A signed token of two minutes about a person."""
        now = int(self.clock())
        claims = {
            "iss": base,
            "sub": person.told()["sub"],
            "aud": client,
            "azp": client,
            "typ": kind,
            "acr": self.acr,
            "iat": now,
            "exp": now + TOKEN_SECONDS,
        }
        return jwt.encode(claims | more, self.key, algorithm="RS256", headers={"kid": self.kid})

    def application(self, environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
        """The WSGI application."""
        base = f"http://{environ['HTTP_HOST']}"
        size = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(min(size, 65_536)).decode("utf-8", "replace") if size else ""
        form = {name: values[0] for name, values in parse_qs(body or environ.get("QUERY_STRING", "")).items()}
        routes: dict[tuple[str, str], Callable[..., tuple[int, str, bytes, list]]] = {
            ("GET", "/.well-known/openid-configuration"): self._about, ("GET", "/jwks"): self._keys, ("GET", "/authorize"): self._choose,
            ("POST", "/authorize"): self._chosen, ("POST", "/token"): self._tokens, ("GET", "/userinfo"): self._userinfo,
        }  # fmt: skip
        found = routes.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        status, kind, content, headers = found(base, form, environ.get("HTTP_AUTHORIZATION", "")) if found else _json({"error": "not_found"}, 404)
        words = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}
        start_response(
            f"{status} {words[status]}", [("Content-Type", kind), ("Cache-Control", "no-store"), ("Content-Length", str(len(content))), *headers]
        )
        return [content]

    def _about(self, base: str, form: dict[str, str], authorization: str) -> tuple[int, str, bytes, list]:
        ends = {f"{name}_endpoint": f"{base}/{path}" for name, path in (("authorization", "authorize"), ("token", "token"), ("userinfo", "userinfo"))}
        return _json(ends | {
            "issuer": base, "jwks_uri": f"{base}/jwks", "response_types_supported": ["code"], "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "scope_all"], "acr_values_supported": [self.acr], "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"], "simulateur": BANNER,
        })  # fmt: skip

    def _keys(self, base: str, form: dict[str, str], authorization: str) -> tuple[int, str, bytes, list]:
        held = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return _json({"keys": [held | {"kid": self.kid, "use": "sig", "alg": "RS256"}]})

    def _choose(self, base: str, form: dict[str, str], authorization: str) -> tuple[int, str, bytes, list]:
        if urlsplit(form.get("redirect_uri", "")).hostname not in LOCAL or form.get("response_type") != "code":
            return _page("Demande refusée", "<p>Ce simulateur ne répond qu’à une application de cette machine, par un code.</p>", 400)
        hidden = "".join(f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in form.items())
        buttons = "".join(
            f'<li><button name="person" value="{person.number}"><b>{escape(person.given)} {escape(person.family)}</b> {escape(person.work.lower())}</button></li>'
            for person in self.people
        )
        return _page("Qui êtes-vous ?", f'<form method="post" action="/authorize">{hidden}<ul>{buttons}</ul></form>')

    def _chosen(self, base: str, form: dict[str, str], authorization: str) -> tuple[int, str, bytes, list]:
        person = next((one for one in self.people if one.number == form.get("person")), None)
        if person is None or urlsplit(form.get("redirect_uri", "")).hostname not in LOCAL:
            return _page("Demande refusée", "<p>Personne inconnue, ou adresse de retour qui n’est pas de cette machine.</p>", 400)
        code = secrets.token_urlsafe(24)
        with self.lock:
            self.codes[code] = form | {"at": self.clock()}
        query = {"code": code} | ({"state": form["state"]} if "state" in form else {})
        return 302, "text/plain", b"", [("Location", f"{form['redirect_uri']}?{urlencode(query)}")]

    def _tokens(self, base: str, form: dict[str, str], authorization: str) -> tuple[int, str, bytes, list]:
        with self.lock:
            held = self.codes.pop(form.get("code", ""), None)  # once
        if form.get("grant_type") != "authorization_code" or held is None or self.clock() - held["at"] > CODE_SECONDS:
            return _json({"error": "invalid_grant"}, 400)
        if held["redirect_uri"] != form.get("redirect_uri") or not _proven(held.get("code_challenge", ""), form.get("code_verifier", "")):
            return _json({"error": "invalid_grant"}, 400)
        person = next(one for one in self.people if one.number == held["person"])
        client = held.get("client_id", "")
        nonce = {"nonce": held["nonce"]} if "nonce" in held else {}
        return _json({
            "access_token": self.token(base, person, client), "id_token": self.token(base, person, client, "ID", **nonce), "token_type": "Bearer",
            "expires_in": TOKEN_SECONDS, "scope": held.get("scope", "openid"),
        })  # fmt: skip

    def _userinfo(self, base: str, form: dict[str, str], authorization: str) -> tuple[int, str, bytes, list]:
        try:
            claims = jwt.decode(
                authorization.removeprefix("Bearer "),
                self.key.public_key(),
                algorithms=["RS256"],
                options={"verify_aud": False, "verify_exp": False, "verify_iat": False},
            )
        except jwt.PyJWTError:
            return _json({"error": "invalid_token"}, 401)
        person = next((one for one in self.people if one.told()["sub"] == claims["sub"]), None)
        if person is None or claims["exp"] < self.clock():
            return _json({"error": "invalid_token"}, 401)
        return _json(person.told())


def _proven(challenge: str, verifier: str) -> bool:
    if not challenge:
        return True
    made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return hmac.compare_digest(made, challenge)


def _json(content: dict[str, Any], status: int = 200) -> tuple[int, str, bytes, list]:
    return status, "application/json", json.dumps(content, ensure_ascii=False).encode(), []


def _page(title: str, inside: str, status: int = 200) -> tuple[int, str, bytes, list]:
    style = (
        "body{font:17px/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem;color:#16242f}.s{background:#fff3cd;border:1px solid #b58900;"
        "padding:.6rem .9rem;border-radius:6px}ul{list-style:none;padding:0}button{font:inherit;width:100%;text-align:left;padding:.8rem 1rem;margin:.3rem 0;"
        "border:1px solid #5b6b77;border-radius:8px;background:#fff;cursor:pointer}button:focus-visible,button:hover{outline:3px solid #1f5fa8}"
    )
    made = f'<!doctype html><html lang="fr"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title><style>{style}</style><main><p class="s" role="status">{BANNER}</p><h1>{title}</h1>{inside}</main></html>'
    return status, "text/html; charset=utf-8", made.encode(), []
