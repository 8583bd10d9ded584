"""Courses of treatment: who begins, stops, changes; how long it lasts."""

from belvedere.engine.indicators.formulas.ask import MASKED, Ask, Part, Value, formula, ratio, split, told
from belvedere.engine.indicators.treatments import MARKS
from belvedere.engine.nomenclature.vocabulary import parts_of


def _course(ask: Ask, code: str) -> Value:
    if ask.codes["territory"] != "FR" or not ask.yearly:
        return None
    return ask.source.course(ask.codes["product"], ask.period, code)


def _enough_past(ask: Ask) -> Value:
    """None when some persons could not be told new from known."""
    unsure = _course(ask, "unsure")
    return unsure if told(unsure) is not None else None if unsure else 0


@formula("course")
def course(ask: Ask) -> Value:
    """Persons who took a course (`of`); `rate` divides by the patients; "net" is new less stopped."""
    of = ask.formula["of"]
    if of in ("new", "net") and not isinstance(past := _enough_past(ask), int):
        return past
    if of == "net":
        new, stopped = _course(ask, "new"), _course(ask, "stopped")
        if (bad := told(new, stopped)) is not None:
            return bad
        return new - stopped if isinstance(new, int) and isinstance(stopped, int) else None
    found = _course(ask, of)
    return ratio(found, ask.measure("patients")) if ask.formula.get("rate") else found


@formula("survival")
def survival(ask: Ask) -> Value:
    """Share still treated `at` so many months after the start, or the `median` length."""
    if ask.own is None or ask.codes["territory"] != "FR":
        return None
    curve = ask.own.survival.get(ask.codes["product"])
    if curve is None or not curve.treatments:
        return None
    return curve.median if ask.formula.get("median") else curve.at(ask.formula["at"])


@split("survival")
def marks(ask: Ask) -> list[Part]:
    """The curve at one, three, six, twelve and twenty-four months."""
    curve = ask.own.survival.get(ask.codes["product"]) if ask.own is not None else None
    if curve is None:
        return []
    return [Part(str(month), f"{month} mois", curve.at(month)) for month in MARKS]


@split("migration")
def migration(ask: Ask) -> list[Part]:
    """Shares of persons by part at first and at last, over twelve months ("TL1>TL2")."""
    family = ask.formula.get("family", ask.codes["product"])
    found = ask.own.migrations.get((family, ask.period), {}) if ask.own is not None else {}
    labels = {part: part if part.isupper() or (part.isalnum() and part[0].isupper()) else label for part, (label, _) in parts_of(family).items()}
    whole = sum(found.values())
    return [Part(f"{a}>{b}", f"{labels[a]} → {labels[b]}", ratio(count, whole)) for (a, b), count in sorted(found.items(), key=lambda item: -item[1])]


@formula("migration")
def moved(ask: Ask) -> Value:
    """Share of persons whose part changed over the twelve months."""
    rows = [(part.code.split(">"), part.value) for part in migration(ask) if isinstance(part.value, float)]
    return sum(value for (first, last), value in rows if first != last) if rows else None


@formula("initiation")
def initiation(ask: Ask) -> Value:
    """Share of persons who, past the fourteenth week, are billed the best tier."""
    if ask.own is None or ask.codes["product"] not in ("PPC", "*"):
        return None
    begun, passed = ask.own.initiations.get(ask.period, (0, 0))
    return ratio(passed, begun)


__all__ = ["MASKED", "course", "initiation", "marks", "migration", "moved", "survival"]
