"""Accounts are opened by the observatory, not by visitors."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class ClosedSignup(DefaultAccountAdapter):
    """No self-service sign-up: enrolment is a convention."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
