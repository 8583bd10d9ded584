"""How allauth behaves here: accounts are opened by the observatory, not by visitors."""

from functools import cache
from pathlib import Path

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from cryptography.fernet import Fernet
from django.http import HttpRequest

from belvedere.observatory.keyfiles import keys_dir, strict, write_secret


class ClosedSignup(DefaultAccountAdapter):
    """No self-service sign-up: enrolment is a convention."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False


class ClosedSocialSignup(DefaultSocialAccountAdapter):
    """An identity provider opens no account: its person links it first, from an account that exists."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: object) -> bool:
        return False


@cache
def _vault(folder: Path) -> Fernet:
    path = folder / "factors.key"
    if not path.exists():
        write_secret(path, Fernet.generate_key())
    return Fernet(strict(path))


class FactorVault(DefaultMFAAdapter):
    """Secrets of second factors lie encrypted in the database, under a key file of their own."""

    def encrypt(self, text: str) -> str:
        return _vault(keys_dir()).encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return _vault(keys_dir()).decrypt(encrypted_text.encode()).decode()
