"""Numbers that are met together name one human being: who would be made one of two whose national identity is known."""

from collections.abc import Mapping, Sequence


def conflicts(patients: Sequence[tuple[str, Sequence[str]]], known: Mapping[str, tuple[object, bool]]) -> list[int]:
    """Ranks of the patients whose numbers lead to two persons whose INS is known, through whatever other patients.

    patients: (INS or "", own numbers) of each; known: number -> (person, whether its INS is known). Disjoint sets of numbers: each has one INS at most."""
    parents: dict[object, object] = {}

    def root(node: object) -> object:
        while parents.get(node, node) != node:
            node = parents[node]
        return node

    def node_of(number: str) -> object:
        return known[number][0] if number in known else number

    holders = {person: person for person, qualified in known.values() if qualified}
    found = []
    for rank, (ins, own) in enumerate(patients):
        roots = {root(node_of(number)) for number in (ins, *own) if number}
        if ins:
            holders.setdefault(root(node_of(ins)), node_of(ins))
        held = {holders[one] for one in roots if one in holders}
        if len(held) > 1:
            found.append(rank)
            continue
        first = min(roots, key=str, default=None)
        parents |= dict.fromkeys(roots - {first}, first)
        if held:
            holders[first] = held.pop()
    return found
