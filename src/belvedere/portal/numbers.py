"""Figures as French readers expect them: U+202F between thousands, no-break space before units, signed changes."""

from decimal import ROUND_HALF_UP, Decimal

THIN, NBSP, MINUS = "\u202f", "\u00a0", "\u2212"
NOT_AVAILABLE = "n.\u00a0d."


def integer(value: int) -> str:
    """1842 -> '1 842' with a narrow no-break space."""
    return f"{value:,}".replace(",", THIN).replace("-", MINUS)


def decimal(value: float, digits: int = 1) -> str:
    """12.34 -> '12,3', halves away from zero."""
    rounded = Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP) + 0  # no minus before a zero
    return f"{rounded:,}".replace(",", THIN).replace(".", ",").replace("-", MINUS)


def euros(cents: int, *, short: bool = False) -> str:
    """Cents as euros; short: k€ or M€ with one decimal, for tiles."""
    amount = cents / 100
    if short and abs(amount) >= 1_000_000:
        return f"{decimal(amount / 1_000_000, 2)}{NBSP}M€"
    if short and abs(amount) >= 10_000:
        return f"{decimal(amount / 1_000, 1)}{NBSP}k€"
    return f"{integer(round(amount))}{NBSP}€"


def percent(ratio: float, digits: int = 1) -> str:
    """0.048 -> '4,8 %'."""
    return f"{decimal(ratio * 100, digits)}{NBSP}%"


def change(ratio: float | None, digits: int = 1) -> str:
    """0.042 -> '+4,2 %'; None -> '—'."""
    if ratio is None:
        return "—"
    text = percent(ratio, digits)
    return f"+{text}" if ratio > 0 and text != percent(0.0, digits) else text


_MONTHS = ["janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."]
_FULL = ["janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"]


def month(code: str, *, full: bool = False) -> str:
    """'2026-10' -> 'oct. 2026' or 'octobre 2026'."""
    year, number = code.split("-")
    return f"{(_FULL if full else _MONTHS)[int(number) - 1]} {year}"


def of_month(code: str) -> str:
    """'2026-10' -> 'd’octobre 2026' ; '2026-09' -> 'de septembre 2026'."""
    text = month(code, full=True)
    return f"d’{text}" if text[0] in "ao" else f"de {text}"


def points(value: float, digits: int = 1) -> str:
    """0.005 -> '+0,5 pt': a difference of shares."""
    text = f"{decimal(value * 100, digits)}{NBSP}pt"
    return f"+{text}" if value > 0 and any(digit in text for digit in "123456789") else text


def cents(value: float) -> str:
    """Cents as euros to the cent: 2180 -> '21,80 €'."""
    return f"{decimal(value / 100, 2)}{NBSP}€"


_SHOWN = {
    "nombre": lambda value: integer(round(value)), "decimal": decimal, "euros": lambda value: euros(round(value)), "euros_cents": cents,
    "pourcent": percent, "variation": change, "points": points, "indice": decimal, "mois": lambda value: f"{value:g}{NBSP}mois", "texte": str,
}  # fmt: skip


def shown(value: object, display: str, *, short: bool = False) -> str:
    """A value as its definition displays it; "masqué" and "n. d." for what is not told and what is not there."""
    if value is None:
        return NOT_AVAILABLE
    if isinstance(value, str):
        return "masqué" if value == "masked" else value
    if not isinstance(value, int | float):
        return "refusé"
    if short and display == "euros":
        return euros(round(value), short=True)
    if display == "decimal" and value:
        return decimal(value, next(digits for least, digits in ((100, 0), (1, 1), (0.1, 2), (0, 3)) if abs(value) >= least))
    return _SHOWN[display](value)
