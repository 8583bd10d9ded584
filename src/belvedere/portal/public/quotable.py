"""The press page: published figures as sentences, each with its picture, its table and an address that will still say the same."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.urls import reverse

from belvedere.engine.indicators.definitions import catalogue
from belvedere.engine.indicators.query import Query, View
from belvedere.observatory.publication.frozen import Frozen
from belvedere.portal.restitutions.answering import Told, spoken

# Indicator, query, sentence: "{}" stands for the figure.
SENTENCES: tuple[tuple[str, dict[str, str], str], ...] = (
    ("patients", {}, "{} ont été suivis à domicile par les adhérents de l’observatoire."),
    ("amount_amo", {}, "L’assurance maladie obligatoire leur a remboursé {}."),
    ("average_amo", {}, "Un patient a coûté en moyenne {} à l’assurance maladie obligatoire."),
    ("growth_patients", {}, "Le nombre de patients a évolué de {} en un an."),
    ("growth", {}, "Les montants remboursés ont évolué de {} en un an."),
    ("penetration", {}, "Ces patients sont {}."),
    ("patients", {"product": "PPC"}, "{} ont été traités pour une apnée du sommeil par pression positive continue."),
    ("patients", {"product": "OXY"}, "{} ont reçu de l’oxygène à domicile."),
)


@dataclass(frozen=True)
class Quote:
    """One sentence, and where its figure is read, taken as a picture or as a table."""

    text: str
    label: str
    page: str
    picture: str
    table: str


def when(release: Frozen) -> str:
    """The period of all the sentences."""
    return spoken(release.years[-1])


def figures_of(release: Frozen) -> list[Quote]:
    """The sentences whose figure the release tells: what is masked is left out."""
    found = []
    for name, query, sentence in SENTENCES:
        definition = catalogue()[name]
        answer = Told.of(definition, View(Query(**query)), release=release, own=None)
        if answer is None or answer.why_not:
            continue
        pinned = answer.view.to_params() | {"v": release.label, "d": str(definition.version)}
        if "period" in definition.dimensions:
            pinned["periode"] = answer.codes["period"]
        asked = "?" + urlencode(sorted(pinned.items()), safe=":,")
        export = lambda kind, slug=definition.slug: reverse("definition-export", args=[slug, kind])  # noqa: E731
        page = reverse("definition", args=[definition.slug]) + asked
        found.append(Quote(sentence.format(answer.text), definition.label, page, export("png") + asked, export("csv") + asked))
    return found
