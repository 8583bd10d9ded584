"""The public enrolment form, and the forms that its links open."""

import re

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core.validators import RegexValidator

from belvedere.observatory.members import entities
from belvedere.observatory.members.models import Federation
from belvedere.observatory.members.models.joining import OWN_IT, VENDOR

NONE = "aucune"


# What is typed here goes into messages and documents: no control character, no address that a stranger would have us send.
_PLAIN = RegexValidator(r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029<>]*$", "Sur une seule ligne, sans caractère spécial.")
_NO_LINK = RegexValidator(r"://|www\.|@", "Pas d’adresse ici.", inverse_match=True)


def _field(label: str, maximum: int, complete: str = "off", **more: object) -> forms.CharField:
    return forms.CharField(
        label=label, max_length=maximum, widget=forms.TextInput(attrs={"autocomplete": complete}), validators=[_PLAIN, _NO_LINK], **more
    )


class EnrolmentForm(forms.Form):
    """Everything that a provider declares."""

    is_group = forms.ChoiceField(
        label="Vous adhérez pour", choices=[("0", "une entreprise indépendante"), ("1", "un groupe et toutes ses entités")], initial="0"
    )
    name = _field("Raison sociale", 120, "organization")
    siren = _field("SIREN (du siège, pour un groupe)", 11, help_text="Neuf chiffres.")
    address = _field("Adresse", 160, "street-address")
    postcode = _field("Code postal", 5, "postal-code")
    city = _field("Ville", 80, "address-level2")
    phone = _field("Téléphone", 20, "tel", required=False)
    federation = forms.ChoiceField(label="Fédération")
    transmission = forms.ChoiceField(
        label="Vos factures partent", choices=[(VENDOR, "par le logiciel d’un éditeur"), (OWN_IT, "par votre propre informatique")]
    )
    vendor = _field("Éditeur et logiciel", 80, required=False)
    signatory = _field("Nom et prénom du signataire", 120, "name")
    signatory_title = _field("Qualité", 80, "organization-title", help_text="Présidente, gérant, directeur général…")
    signatory_email = forms.EmailField(label="Adresse électronique du signataire", widget=forms.EmailInput(attrs={"autocomplete": "email"}))
    legal = forms.BooleanField(label="Le signataire est le représentant légal de l’entreprise, ou du groupe.")
    entities = forms.CharField(
        label="Entités", required=False, max_length=100_000, widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
        help_text="Une ligne par entité : SIREN ; SIRET ; FINESS ; raison sociale. Collez-les depuis un tableur, ou déposez un fichier CSV.",
    )  # fmt: skip
    table = forms.FileField(label="Fichier CSV des entités", required=False)
    website = forms.CharField(required=False, widget=forms.HiddenInput)  # what fills it is no person

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        choices = [(str(item.pk), item.name) for item in Federation.objects.order_by("pk")]
        self.fields["federation"].choices = [("", "Choisissez"), *choices, (NONE, "Aucune de ces fédérations")]
        self.fields["entities"].needed = self.fields["vendor"].needed = True  # unless a file, or an own software
        self.rows: list[entities.Row] = []

    def clean_siren(self) -> str:
        siren = re.sub(r"\s", "", self.cleaned_data["siren"])
        if not entities.luhn(siren, 9):
            raise forms.ValidationError("Neuf chiffres dont le dernier est une clé : ce numéro ne tombe pas juste.")
        return siren

    def clean_postcode(self) -> str:
        code = self.cleaned_data["postcode"]
        if not re.fullmatch(r"\d{5}", code):
            raise forms.ValidationError("Cinq chiffres.")
        return code

    def clean(self) -> dict:
        data = super().clean() or {}
        if data.get("transmission") == VENDOR and not data.get("vendor"):
            self.add_error("vendor", "Dites quel éditeur et quel logiciel.")
        text = data.get("entities", "")
        if upload := data.get("table"):
            raw = upload.read(200_000)
            try:
                text = raw.decode("utf-8-sig")
            except UnicodeDecodeError:
                text = raw.decode("cp1252", errors="replace")
        self.rows = entities.read(text)
        if not self.rows:
            self.add_error("entities", "Donnez au moins une entité : c’est son FINESS qui relie vos factures à votre adhésion.")
        elif wrong := sum(bool(row.errors) for row in self.rows):
            self.add_error("entities", f"{wrong} ligne{'s' if wrong > 1 else ''} à corriger : voyez le tableau.")
        if data.get("is_group") == "0" and len(self.rows) > 1:
            self.add_error("is_group", "Une entreprise indépendante a une seule entité : choisissez « un groupe ».")
        return data

    def details(self) -> dict[str, object]:
        """What the enrolment keeps of the form."""
        data = self.cleaned_data
        federation = Federation.objects.get(pk=data["federation"]) if data["federation"] != NONE else None
        kept = ("name", "siren", "address", "postcode", "city", "phone", "transmission", "vendor", "signatory", "signatory_title")
        email = data["signatory_email"].lower()
        return {name: data[name] for name in kept} | {"is_group": data["is_group"] == "1", "federation": federation, "signatory_email": email}


class CodeForm(forms.Form):
    """Six digits of the authenticator."""

    code = forms.CharField(
        label="Code à six chiffres de votre application",
        max_length=7,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "one-time-code"}),
    )


CONSENTS = {
    "read": "J’ai lu la convention et je l’accepte pour l’entreprise que je représente.",
    "legal": "Je suis son représentant légal.",
    "electronic": "J’accepte que cette convention soit signée électroniquement et que le dossier de preuve y soit attaché.",
}


class SignForm(CodeForm):
    """The signature: name typed again, consents, second proof."""

    typed = forms.CharField(
        label="Votre nom et prénom, tels qu’ils figurent dans la convention", max_length=120, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    read = forms.BooleanField(label=CONSENTS["read"])
    legal = forms.BooleanField(label=CONSENTS["legal"])
    electronic = forms.BooleanField(label=CONSENTS["electronic"])
    field_order = ("read", "legal", "electronic", "typed", "code")


class PeopleForm(forms.Form):
    """Colleagues to invite when the account opens."""

    emails = forms.CharField(
        label="Adresses de vos collaborateurs, une par ligne",
        required=False,
        max_length=5000,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
    )

    def clean_emails(self) -> list[str]:
        found = [item for item in re.split(r"[\s,;]+", self.cleaned_data["emails"]) if item]
        for item in found:
            forms.EmailField(error_messages={"invalid": f"« {item} » n’est pas une adresse électronique."}).clean(item)
        return found


class PasswordForm(forms.Form):
    """A first password."""

    password = forms.CharField(
        label="Mot de passe",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Douze caractères au moins ; une phrase se retient mieux.",
    )
    again = forms.CharField(label="Encore une fois", widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}))

    def clean_password(self) -> str:
        validate_password(self.cleaned_data["password"])
        return self.cleaned_data["password"]

    def clean(self) -> dict:
        data = super().clean() or {}
        if data.get("password") and data.get("again") and data["password"] != data["again"]:
            self.add_error("again", "Les deux mots de passe diffèrent.")
        return data
