"""How each kind of indicator is computed from cells: the same formulas for a release and for one's own figures."""

from belvedere.engine.indicators.formulas import dynamics, market, mixes, people, quality, scalars
from belvedere.engine.indicators.formulas.ask import FORMULAS, Ask, Part, Source, Value, evaluate, parts_of_kind

__all__ = ["FORMULAS", "Ask", "Part", "Source", "Value", "dynamics", "evaluate", "market", "mixes", "parts_of_kind", "people", "quality", "scalars"]
