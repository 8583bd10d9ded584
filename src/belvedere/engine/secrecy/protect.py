"""The whole protection of a table: primary rules, secondary suppression, derived sums, insiders, audit, repair.

What cannot be proven safe is not published: `Protection.leaks` must be empty, and nothing else goes out. Same
input and seed, same mask. The order of steps is that of the secrecy brief, §4.0.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from belvedere.engine.secrecy import attackers, audit, certificate, intervals, rules
from belvedere.engine.secrecy.certificate import Certificate
from belvedere.engine.secrecy.derived import Sums
from belvedere.engine.secrecy.errors import SecrecyError
from belvedere.engine.secrecy.field import draw_prime
from belvedere.engine.secrecy.intervals import Demand, System
from belvedere.engine.secrecy.repair import Repairer, Unprotectable
from belvedere.engine.secrecy.replay import audit_mask, interval_questions
from belvedere.engine.secrecy.republish import republish
from belvedere.engine.secrecy.rules import Parameters
from belvedere.engine.secrecy.suppression import Columns, columns, secondary
from belvedere.engine.secrecy.table import Table, readers, room_of, without_implied_zeros

MAX_ROUNDS = 40
FEW_EXTRA = 0.01
WORKERS = 2
FEW, COMPANY = 250, 12  # insiders with few demands are asked twelve at a time
SMALL = 2_500  # cells up to which several ways of protecting are compared
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Protection:
    """A mask and how it was found. `mask` and `primary` are bool over cells; `leaks` sentences that name codes
    and never values, empty when clean; `figures` counts and seconds of each step."""

    mask: np.ndarray
    primary: np.ndarray
    rounds: int
    leaks: tuple[str, ...]
    certificate: Certificate
    figures: dict[str, float] = field(default_factory=dict)


def protect(
    table: Table,
    parameters: Parameters,
    *,
    seed: int,
    sticky: np.ndarray | None = None,
    primary: np.ndarray | None = None,
    derived: bool = True,
    certified: bool = True,
    rounds: int = 2,
    say: Progress = lambda _: None,
) -> Protection:
    """Protect a table. `sticky` cells were masked before and stay so; `primary` replaces the rules' own cells;
    `derived` closes derived sums; `certified` proves the intervals; `rounds` bounds the search for superfluous secondaries. SecrecyError S110
    when what is told beforehand exposes a sensitive cell, S111 when a cell cannot be protected."""
    return _Work(table, parameters, seed, derived, say).run(sticky, primary, rounds, certified)


class _Work:
    """One run of the protection, with what its steps share."""

    def __init__(self, table: Table, parameters: Parameters, seed: int, derived: bool, say: Progress) -> None:
        self.table, self.parameters, self.seed, self.say = table, parameters, seed, say
        self.started = self.step_started = time.process_time()
        self.figures: dict[str, float] = {}
        self.columns: Columns = columns(table.lattice)
        self.system = audit.System.of(table.lattice)
        self.sums = Sums(table.lattice, table.given, parameters, table.partition, table.settled) if derived else None

    def run(self, sticky: np.ndarray | None, primary: np.ndarray | None, rounds: int, certified: bool) -> Protection:
        table = self.table
        if primary is None:
            primary = rules.primary(table.lattice, table.given, self.parameters, table.affiliated)
        hidden = np.zeros(len(table.lattice), dtype=bool) if sticky is None else sticky & ~table.told
        primary = without_implied_zeros(table, primary & ~table.told, seed=self.seed)
        empty = table.given.counted() == 0
        self.who = readers(table, primary | (hidden & empty), federations=self.parameters.federations_attack)
        self.empty = empty & ~primary & ~hidden
        self.sensitive = sensitive = primary
        self.hushed, self.kept = hidden & ~primary, hidden | primary
        self._done("primary_s", "règles primaires")
        mask, turns = self._suppressed(sensitive)
        small = len(table.lattice) <= SMALL
        masks = [self._closed(mask), *([self._closed(self.kept.copy())] if small else [])]
        self._done("repair_s", "réparations")
        mask = min((self._republished(mask, 16 if small else rounds) for mask in masks), key=lambda m: (int(m.sum()), float(table.value[m].sum())))
        if small:
            mask = self._republished(mask, MAX_ROUNDS)
        self._done("republish_s", "masques superflus republiés")
        proof, unproven = Certificate.empty(len(mask)), list[str]()
        if certified:
            mask, proof, unproven = self._certified(mask)
            self._done("counts_s", "intervalles des effectifs")
        # What everybody can compute and nobody needs hidden may as well be read.
        mask = mask & ~(audit.determined(self.system, mask, seed=self.seed, runs=2) & ~self.kept)
        leaks = tuple(audit_mask(table, mask, sensitive, seed=self.seed, who=self.who, sums=self.sums)) + tuple(unproven)
        self._done("audit_s", "audits")
        self.figures |= {"cpu_s": round(time.process_time() - self.started, 3), "insiders": sum(len(names) for names in self.who.names)}
        return Protection(mask, primary, turns, leaks, proof, self.figures)

    def _republished(self, mask: np.ndarray, rounds: int) -> np.ndarray:
        broken = self._told_with if self.sums else _nothing
        return republish(
            self.table.lattice, self.system, mask, self.kept, self.sensitive, self.who, self.table.value, broken, seed=self.seed, rounds=rounds
        )  # fmt: skip

    def _suppressed(self, sensitive: np.ndarray) -> tuple[np.ndarray, int]:
        """A mask by elimination, its derived sums closed, after as many turns as they need."""
        table, hidden = self.table, sensitive
        for turn in range(1, MAX_ROUNDS + 1):
            mask, exposed = secondary(
                self.columns, sensitive=hidden, known=self.empty | table.told, value=table.value,
                prime=draw_prime(self.seed, turn), owners=self.who.owners, never=self.hushed,
            )  # fmt: skip
            if len(exposed):
                raise SecrecyError("S110", table.lattice.name(int(exposed[0])))
            extra = self._extra(mask)
            self.say(f"tour {turn} : {int(mask.sum())} cellules masquées")
            hidden = hidden | extra
            if extra.sum() <= FEW_EXTRA * mask.sum():
                mask = mask | extra  # the rest is for the repairs, cheaper than one more elimination
                break
        self._done("suppression_s", "suppression secondaire")
        return mask, turn

    def _extra(self, mask: np.ndarray) -> np.ndarray:
        """Cells that derived sums ask to hide besides those of a mask."""
        extra = np.zeros(len(mask), dtype=bool)
        while self.sums and (more := self.sums.close(mask | extra, self.table.value, self.table.told)):
            extra[more] = True
        return extra

    def _closed(self, mask: np.ndarray) -> np.ndarray:
        """A larger mask that every reader fails on: each leak is repaired, and derived sums closed again."""
        table, hidden = self.table, self.sensitive
        repairer = Repairer(table.lattice, table.value, self.empty | table.told)
        mask = mask.copy()
        for turn in range(MAX_ROUNDS):
            nobody = np.zeros(len(mask), dtype=bool)
            leaks = [("le public", nobody, audit.determined(self.system, mask, seed=self.seed + turn, runs=1) & hidden)]
            for label, partition, number, cells in attackers.disclosed(self.system, mask, self.sensitive, self.who, seed=self.seed + turn):
                leaks.append((label, self.who.learned(partition, number), np.isin(np.arange(len(mask)), cells)))
            for label, learned, cells in leaks:
                self._repair(repairer, mask, label, learned, cells)
            extra = self._extra(mask & ~audit.determined(self.system, mask, seed=self.seed + turn, runs=1))
            mask |= extra
            hidden = hidden | extra
            if not extra.any() and not any(cells.any() for _, _, cells in leaks):
                return mask
        return mask

    def _repair(self, repairer: Repairer, mask: np.ndarray, label: str, learned: np.ndarray, cells: np.ndarray) -> None:
        left = np.flatnonzero(cells)
        left = left[np.argsort(self.table.value[left], kind="stable")]
        while len(left):
            self.figures["repairs"] = self.figures.get("repairs", 0) + 1
            try:
                mask[repairer.circuit(int(left[0]), mask, learned)] = True
            except Unprotectable:
                raise SecrecyError("S111", self.table.lattice.name(int(left[0])), reader=label) from None
            left = left[audit.determined(self.system, mask & ~learned, seed=self.seed, runs=1)[left]]

    def _certified(self, mask: np.ndarray) -> tuple[np.ndarray, Certificate, list[str]]:
        """A mask whose intervals are wide enough, hiding more where they are not; the proof, and what lacks one."""
        repairer = Repairer(self.table.lattice, self.table.value, self.empty | self.table.told)
        pending: set[str] | None = None
        proof, failed = Certificate.empty(len(mask)), list[tuple[Demand, int, np.ndarray]]()
        for turn in range(MAX_ROUNDS):
            # Hiding more takes no move away: what was proven for a reader stays proven.
            questions = list(interval_questions(self.table, mask, self.sensitive, self.parameters, self.who, pending))
            failed = [(rest, k, q[1]) for q, rest in zip(questions, self._searched(questions, proof, turn), strict=True) for k in range(len(rest))]
            if not failed:
                break
            self.figures["interval_repairs"] = self.figures.get("interval_repairs", 0) + len(failed)
            before, pending = mask.copy(), {rest.reader for rest, _, _ in failed}
            for rest, k, learned in failed:
                room = room_of(self.table, rest.reader, self.who)
                try:
                    mask[repairer.move(int(rest.cell[k]), float(rest.sign[k] * rest.level[k]), mask, learned, room)] = True
                except Unprotectable:
                    continue
            mask = self._closed(mask)
            if (mask == before).all():
                break
        self._done("amounts_s", "intervalles des montants")
        cells = sorted({int(rest.cell[k]) for rest, k, _ in failed})
        asked = intervals.count_demands(self.table.given.patients, mask & self.sensitive, self.parameters.patients)
        system = intervals.counts_system(self.table.lattice, mask, self.table.given.patients, self.table.partition)
        rest = certificate.search(proof, system, asked, "patients", seed=self.seed, singles=False, whole=False)
        self.figures |= {"counts_asked": len(asked), "counts_unproven": len(rest), "certificates": len(proof.reader)}
        return mask, proof, [f"encadrée de trop près : {self.table.lattice.name(cell)}" for cell in cells]

    def _searched(self, questions: list[tuple[Demand, np.ndarray, System]], proof: Certificate, turn: int) -> list[Demand]:
        """What could not be proven of each question; what could goes to the proof, in the same order always."""
        cells = len(self.table.lattice)
        parts = [Certificate.empty(cells) for _ in questions]

        def search(rank: int) -> Demand:
            asked, _, system = questions[rank]
            left = ~parts[rank].meets(asked)
            return certificate.search(parts[rank], system, asked.only(left), "amount", seed=self.seed + turn)

        def together(ranks: list[int]) -> list[np.ndarray]:
            system, asked = intervals.common([(questions[rank][2], questions[rank][0]) for rank in ranks], self.table.lattice)
            return intervals.certify(system, asked, seed=self.seed + turn, singles=False)[0]

        few = [rank for rank, (asked, _, _) in enumerate(questions) if asked.reader and len(asked) <= FEW]
        groups = [few[start : start + COMPANY] for start in range(0, len(few), COMPANY)]
        with ThreadPoolExecutor(WORKERS) as pool:  # HiGHS leaves Python's lock
            # What moves nothing that any of several readers knows serves all of them.
            for ranks, vectors in zip(groups, pool.map(together, groups), strict=True):
                for rank in ranks:
                    asked = questions[rank][0]
                    parts[rank].add([vector for vector in vectors if asked.met(vector).any()], asked.reader, "amount")
            rests = list(pool.map(search, range(len(questions))))
        proof.extend(parts)
        return rests

    def _told_with(self, mask: np.ndarray) -> np.ndarray:
        assert self.sums is not None
        return self.sums.told_with(mask & ~audit.determined(self.system, mask, seed=self.seed, runs=1))

    def _done(self, name: str, words: str) -> None:
        now = time.process_time()
        self.figures[name], self.step_started = round(now - self.step_started, 3), now
        self.say(f"{words} : {self.figures[name]:.2f} s")


def _nothing(_: np.ndarray) -> np.ndarray:
    return np.zeros(0, dtype=np.int64)
