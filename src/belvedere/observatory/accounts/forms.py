"""allauth's forms, where a word is left in English."""

from allauth.mfa.webauthn.forms import AddWebAuthnForm, EditWebAuthnForm


class AddKeyForm(AddWebAuthnForm):
    """A security key or passkey to add."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].label = "Nom de la clé"


class EditKeyForm(EditWebAuthnForm):
    """A security key to rename."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].label = "Nom de la clé"
