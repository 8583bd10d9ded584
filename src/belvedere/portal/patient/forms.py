"""What a person types to object: kept for the time of a pseudonym, shown to nobody, put back in no page."""

from django import forms


class _Typed(forms.TextInput):
    """An input whose value is never written back into a page."""

    def get_context(self, name: str, value: object, attrs: dict | None) -> dict:
        return super().get_context(name, None, attrs)


def _typed(label: str, help_text: str = "", **attributes: str) -> forms.CharField:
    return forms.CharField(label=label, help_text=help_text, max_length=30, widget=_Typed(attrs={"autocomplete": "off", **attributes}))


class PatientForm(forms.Form):
    """A patient."""

    nir = _typed(
        "Numéro de sécurité sociale",
        "Quinze chiffres, sur la carte Vitale ou l’attestation. Pour un enfant : le numéro du parent qui l’assure.",
        inputmode="text",
    )
    birth = _typed("Date de naissance de la personne soignée", "Jour, mois, année : 07/03/1950.", inputmode="numeric")
    rank = forms.CharField(
        label="Rang de naissance",
        initial="1",
        max_length=1,
        help_text="1, sauf pour des jumeaux nés le même jour.",
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )


class PrescriberForm(forms.Form):
    """A prescriber."""

    number = _typed("Numéro d’identification (AM)", "Neuf chiffres, sur vos ordonnances.", inputmode="numeric")


class ReferenceForm(forms.Form):
    """The reference of an earlier request."""

    reference = forms.CharField(
        label="Référence de la demande",
        max_length=14,
        help_text="Commence par O-, sur votre preuve.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
