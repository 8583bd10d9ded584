"""PATHOS as it is declared: the states of a person among fifty, each with the profile of care it asks for among twelve (CNSA, "Le modèle PATHOS, guide
d'utilisation", 2017). Nothing is computed from them: the algorithm and its weights are not public.

The TDDUI guide has no questionnaire for it: the canonical address below is ours, one question a state (`etat-1` to `etat-50`), answered by its profile.
"""

from collections.abc import Mapping

QUESTIONNAIRE = "urn:belvedere:questionnaire:pathos"
SYSTEM = "urn:belvedere:codesystem:pathos-profil"
VALUESET = "PATHOS_PROFIL"
STATES = frozenset(f"etat-{number}" for number in range(1, 51))
PROFILES = {
    "T1": "Surveillance médicale intensive", "T2": "Équilibration et surveillance rapprochée du traitement", "P1": "Prise en charge psychiatrique de crise",
    "P2": "Équilibration et soutien psychothérapeutique", "R1": "Rééducation fonctionnelle individuelle intensive", "R2": "Rééducation fonctionnelle d’entretien",
    "CH": "Soins locaux complexes ou chirurgie", "DG": "Démarche diagnostique", "M1": "Soins palliatifs lourds", "M2": "Soins palliatifs", "S1": "Surveillance épisodique au long cours",
    "S0": "Ni surveillance ni traitement",
}  # fmt: skip


def answer_valid(answer: Mapping) -> bool:
    """Whether an answer is one of the twelve profiles, under its system."""
    held = answer.get("valueCoding")
    return isinstance(held, Mapping) and held.get("system") == SYSTEM and held.get("code") in PROFILES


def declared(answers: Mapping[str, Mapping]) -> dict[str, str]:
    """State to profile, of the answers by question."""
    return {
        link.removeprefix("etat-"): str(answer["valueCoding"]["code"])
        for link, answer in sorted(answers.items())
        if link in STATES and answer_valid(answer)
    }
