"""The quality of one's own billing, and one's prescribers: own lines only."""

from belvedere.engine.indicators.formulas.ask import Ask, Part, Value, formula, ratio, split
from belvedere.engine.indicators.prescriptions import HOSPITAL, SPECIALTIES


@formula("flaw")
def flaw(ask: Ask) -> Value:
    """A share of one's lines (`unknown`, `off_tariff`, `credits`), or the median delay."""
    found = ask.own.flaws.get(ask.period) if ask.own is not None else None
    if found is None:
        return None
    of = ask.formula["of"]
    if of == "median_delay":
        return found.median_delay
    return ratio(getattr(found, of), found.priced if of == "off_tariff" else found.lines)


def _answered(ask: Ask):
    return ask.own.answered.get(ask.period) if ask.own is not None else None


@formula("answered")
def answered(ask: Ask) -> Value:
    """What the insurance answered: lots accepted at once (`lots`), invoices rejected (`rejects`), days to be paid (`days`)."""
    found = _answered(ask)
    if found is None:
        return None
    return {"lots": ratio(found.lots_first, found.lots), "rejects": ratio(found.rejected, found.invoices), "days": found.days_amo}[ask.formula["of"]]


@split("answered")
def answers(ask: Ask) -> list[Part]:
    """Rejects by cause, as shares of the invoices answered; days to be paid by the AMO and the AMC."""
    found = _answered(ask)
    if found is None or ask.formula["of"] == "lots":
        return []
    if ask.formula["of"] == "days":
        rows = (("AMO", "Assurance maladie obligatoire", found.days_amo), ("AMC", "Organismes complémentaires", found.days_amc))
        return [Part(*row) for row in rows if row[2] is not None]
    return [Part(code or "?", text or "Cause non dite", ratio(count, found.invoices)) for code, text, count, _ in found.causes]


def _prescribed(ask: Ask):
    return ask.own.prescribed.get((ask.codes["product"], ask.period)) if ask.own is not None and ask.codes["territory"] == "FR" else None


@formula("prescribers")
def prescribers(ask: Ask) -> Value:
    """Prescribers `active`, `new`, `lost`, or the share of the first ten (`top`)."""
    found = _prescribed(ask)
    return getattr(found, ask.formula["of"]) if found else None


@split("specialties")
def specialties(ask: Ask) -> list[Part]:
    """Share of one's amounts by the prescriber's specialty."""
    found = _prescribed(ask)
    rows = found.by_specialty if found else ()
    whole = sum(amount for *_, amount in rows)
    return [
        Part(str(code), SPECIALTIES.get(code, "Spécialité inconnue" if not code else f"Spécialité {code}"), ratio(amount, whole))
        for code, _, _, amount in rows
    ]


@formula("specialties")
def hospital(ask: Ask) -> Value:
    """Share that one specialty carries (`code`), hospital prescribers by default."""
    values = {part.code: part.value for part in specialties(ask)}
    return values.get(str(ask.formula.get("code", HOSPITAL)), 0.0) if values else None


@formula("absent")
def absent(ask: Ask) -> Value:
    """A figure that waits for data which has not come; its definition says which."""
    return None
