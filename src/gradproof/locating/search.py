"""Which of many entries are wrong, from function values alone, in a few dozen evaluations.

The probes that refuted a gradient already name a single wrong entry: their entries are random whole numbers, so that the
ratio of two residuals is that of the code words of the entry that is wrong, and of hardly another one (a position code,
read off at no cost). Where no entry explains the residuals, the entries are halved at random, and what is not clean is
looked at in the same way. A few candidates are told apart by a fresh probe over them alone. An entry
is blamed only once it was read by itself, with a bar from its own samples.

Related: group testing; the sparse Fourier transform's one-sparse decoding (Hassanieh, Indyk, Katabi & Price 2012).
"""

__all__ = ["SHARP", "Search"]

from collections import Counter, deque
from collections.abc import Sequence

import numpy as np

from gradproof.arrays import HostArray, blocks
from gradproof.judging.compare import along
from gradproof.judging.probed import Probed
from gradproof.judging.probes import Probes
from gradproof.judging.reader import Reader
from gradproof.locating.entries import Entries, Found
from gradproof.locating.readings import Part, Reading
from gradproof.locating.scope import Scope
from gradproof.numeric.probe import Probe, sign_probe
from gradproof.verdict import Estimate

DENSE = {4: 14, 5: 24}
"""Parts that are not clean after so many halvings (of 16, of 32) where far more than ten entries are wrong."""

ONE_BY_ONE = 6
"""Entries that are read one after the other rather than split."""

SHARP = 256.0
"""Part of the residual to which slopes are read. Ten wrong of 10⁴ took 139 evaluations with 64, 135 with 256, 144 with
1024; four random parts for two halves took 162 with 256."""

BLURRED = 16.0
"""Bars within which what is known by difference alone is read on its own."""

WORTH_DECODING = 1 / 8
"""Share of the entries that may remain candidates."""

HIDDEN = 2.0**-20
"""Part of the largest residual: errors smaller than that may go unseen beside others of the same leaf."""

ATTAINABLE = 8.0
"""Multiple of a whole probe's bar to which one entry can be read in a few evaluations."""

LOOKED_AT = 4
"""Random entries that are read before anything is halved, as long as they are wrong: where all are, most of the leaf is.
Of leaves in which one entry in ten is wrong, one in ten thousand would be taken for such."""

EACH = 32.0
"""Part of a typical entry's error to which it is read, were all equally wrong."""

FEW = 4
"""Candidates that are always told apart by a fresh probe."""

MOST_PROBES = 6
"""Fresh ones to tell candidates apart."""

MOST_ROUNDS = 6
"""Over everything. A wrong entry far smaller than another is found once that one was corrected."""


class Search:
    """Looks for the wrong entries of `gradient` within `scope`, whose refuting probes are `whole`."""

    def __init__(
        self, probes: Probes, gradient: Sequence[Estimate], scope: Scope, whole: Sequence[Probed], most: int
    ) -> None:
        self._probes = probes
        self._gradient = gradient
        self.scope = scope
        self._whole = list(whole)
        self._others = [self._of_others(probed.probe) for probed in whole]
        self._second = whole[1].probe if len(whole) > 1 else probes.draw(sign_probe)
        self.most = most
        """Evaluations after which the search is given up."""
        self.reader = Reader(probes.line, [probed.climbed for probed in whole])
        self.found: dict[int, Found] = {}
        self._looked = False
        self.looked_at: dict[int, Found] = {}
        """Wrong entries of a sample, where many are."""
        self._entries = Entries(scope, gradient, self.reader)
        self._whole_residual = self._largest = abs(self._everything().readings[0].residual)
        self.exhaustive = False
        """Whether the search goes on although far more entries look wrong than could be named."""
        self.dense = False
        """Whether far more entries are wrong than could be named."""

    def _of_others(self, probe: Probe) -> tuple[float, float]:
        """What the claim, which is right there, adds along a probe in leaves outside of the scope, and its bar."""
        others = [leaf for leaf in range(len(self._gradient)) if leaf not in self.scope.leaves]
        claim = along(self._gradient, probe.of_leaves(others))
        return claim.value, claim.bar

    def run(self) -> bool:
        """Whether the entries `found` explain everything that the probes showed."""
        for _ in range(MOST_ROUNDS):
            part = self._everything()
            if all(reading.clean for reading in part.readings):
                part = self._read_sharply()
            if all(reading.clean for reading in part.readings):
                return True
            known = len(self.found)
            self._hunt(part)
            if self.dense or self.exhausted or len(self.found) == known:
                return False
        return False

    def reading_of(self, entries: HostArray, need: float | None = None) -> tuple[float, float]:
        """Residual along the first probe over these entries alone, and its bar."""
        reading = self._read(self._whole[0].probe, entries, need or self._need)
        return reading.residual, reading.bar

    @property
    def rng(self) -> np.random.Generator:
        """Of all that is drawn here."""
        return self._probes.rng

    def entry(self, entry: int, need: float | None = None) -> Found | None:
        """What is wrong with one entry; None if nothing is to within what can be known, if possible to `need`."""
        return self._entries.wrong(entry, need or self._need, at_any_price=entry not in self.found)

    def derivative(self, entry: int, need: float) -> tuple[float, float]:
        """The function's derivative in one entry, and its bar."""
        return self._entries.derivative(entry, need)

    @property
    def exhausted(self) -> bool:
        """Whether all evaluations are spent."""
        return self.reader.evaluations >= self.most

    @property
    def _need(self) -> float:
        return abs(self._whole_residual) / SHARP

    def _everything(self) -> Part:
        entries = self.scope.everything()
        part = Part(entries, [], found=dict(self.found))
        for probed, (others, others_bar) in zip(self._whole, self._others, strict=True):
            claim, bar = self.scope.claimed(self._gradient, probed.probe, entries)
            off, bar = claim + others - float(probed.slope.value[0]), bar + others_bar
            reading = Reading(probed.probe, off, bar + float(probed.slope.bar[0]))
            part.readings.append(self._corrected(reading, self.found))
        if len(part.readings) == 1:
            self._whole_residual = part.readings[0].residual
            part.readings.append(self._read_part(part, self._second))
        self._whole_residual = part.readings[0].residual
        return part

    def _corrected(self, reading: Reading, found: dict[int, Found]) -> Reading:
        if not found:
            return reading
        v = self.scope.along(reading.probe, np.array(list(found)))
        errors, bars = (np.array([getattr(f, name) for f in found.values()]) for name in ("error", "bar"))
        return Reading(
            reading.probe, reading.residual - float(errors @ v), reading.bar + float(bars @ np.abs(v))
        )

    def _hunt(self, whole: Part) -> None:
        queue, dirty = deque([whole]), Counter[int]()
        while queue and not self.exhausted:
            part = queue.popleft()
            if len(part.entries) <= ONE_BY_ONE:
                self.take(self.one_by_one(part.entries))
                continue
            entry = self._single(part)
            if entry is not None:
                self._register(part, *entry)
                queue.extend([] if part.clean else [part])
                continue
            if part.depth == 0 and self._looks_dense(part):
                self.dense = True
                return
            children = self._split(part)
            dirty[part.depth + 1] += len(children)
            if dirty[part.depth + 1] >= DENSE.get(part.depth + 1, np.inf) and not self.exhaustive:
                self.dense = True
                return
            queue.extend(children)

    @property
    def _finest(self) -> float:
        """As sharply as found entries are read, so that their bars do not hide smaller ones."""
        sharpest = min(float(probed.slope.bar[0]) for probed in self._whole)
        return max(ATTAINABLE * sharpest, HIDDEN * self._largest)

    def _read_sharply(self) -> Part:
        """Everything, once the bars of what was found are no wider than those of the whole probes: they would hide more.

        One wrong entry alone is known from a whole probe better than from any reading of its own.
        """
        if len(self.found) == 1:
            self._sharpen_the_only_one(*next(iter(self.found.items())))
        finest = self._finest
        for entry, found in list(self.found.items()) if len(self.found) > 1 else []:
            leaf, index = self.scope.place(entry)
            if found.bar * float(self.scope.point.sizes[leaf][index]) > finest and not self.exhausted:
                self.found[entry] = self.entry(entry, finest) or found
        return self._everything()

    def _sharpen_the_only_one(self, entry: int, found: Found) -> None:
        whole, (others, others_bar) = self._whole[0], self._others[0]
        v = float(self.scope.along(whole.probe, np.array([entry]))[0])
        claim, bar = self.scope.claimed(self._gradient, whole.probe, self.scope.everything())
        error = (claim + others - float(whole.slope.value[0])) / v
        bar = (bar + others_bar + float(whole.slope.bar[0])) / abs(v)
        if abs(error - found.error) <= found.bar + bar and bar < found.bar:
            self.found[entry] = Found(error, bar)

    def single(self) -> bool:
        """Whether one entry alone explains everything; it is found then."""
        part = self._everything()
        entry = self._single(part)
        if entry is not None:
            self._register(part, *entry)
            part = self._read_sharply()
        return bool(self.found) and all(reading.clean for reading in part.readings)

    def _looks_dense(self, whole: Part) -> bool:
        """Whether a few random entries are all wrong: far more are than could be named. Else those that are count as found."""
        if self.exhaustive or self._looked or len(whole.entries) <= LOOKED_AT:
            return False
        self._looked, wrong = True, {}
        for entry in self.rng.choice(whole.entries, LOOKED_AT, replace=False):
            found = self.entry(int(entry), self._of_each)
            if found is None:
                break
            wrong[int(entry)] = found
        if len(wrong) == LOOKED_AT:
            self.looked_at = wrong
            return True
        for entry in wrong.keys() - self.found.keys():
            self._register(whole, entry, wrong[entry])
        return False

    @property
    def _of_each(self) -> float:
        return abs(self._whole_residual) / (EACH * np.sqrt(self.scope.size))

    def one_by_one(self, entries: HostArray) -> dict[int, Found]:
        """What is wrong with each of these entries; where that is little or nothing, read as sharply as the whole probes were."""
        finest, wrong = self._finest, {}
        for entry in [int(e) for e in entries if int(e) not in self.found]:
            found = self.entry(entry, max(self._of_each, finest))
            if found is None or abs(found.error) < BLURRED * found.bar:
                found = self.entry(entry, finest)
            if found is not None:
                wrong[entry] = found
        return wrong

    def take(self, found: dict[int, Found]) -> None:
        """Count these entries as found."""
        self.found |= found

    def _register(self, part: Part, entry: int, found: Found) -> None:
        self.found[entry] = part.found[entry] = found
        part.readings = [self._corrected(reading, {entry: found}) for reading in part.readings]

    def _single(self, part: Part) -> tuple[int, Found] | None:
        """The entry that alone explains what was read of the part, if there is one."""
        chosen = self._candidates(part.entries, part.readings)
        for _ in range(MOST_PROBES):
            if not 1 < len(chosen) <= max(len(part.entries) * WORTH_DECODING, FEW):
                break
            fresh = self.scope.only(self._probes.draw(sign_probe), chosen)
            reading = self._read(fresh, chosen, self._need, part.found)
            if reading.clean:
                return None
            chosen = self._candidates(chosen, [*part.readings, reading])
        if len(chosen) != 1 or int(chosen[0]) in self.found:
            return None
        found = self.entry(int(chosen[0]))
        return (int(chosen[0]), found) if found else None

    def _candidates(self, entries: HostArray, readings: Sequence[Reading]) -> HostArray:
        """Those of the entries that alone would explain all readings."""
        first, *rest = readings
        kept = []
        for part in blocks(len(entries)):
            block = entries[part]
            v = self.scope.along(first.probe, block)
            fits = v != 0
            for other in rest:
                w = self.scope.along(other.probe, block)
                off = np.abs(first.residual * w - other.residual * v)
                fits &= off <= first.bar * np.abs(w) + other.bar * np.abs(v)
            kept.append(block[fits])
        return np.concatenate(kept)

    def _split(self, part: Part) -> list[Part]:
        """Random parts that are not clean, each with two readings."""
        shuffled = self._probes.rng.permutation(part.entries)
        pieces = [self._child(piece, part) for piece in np.array_split(shuffled, 2)]
        self._read_parts(pieces, part.readings[0], self._whole[0].probe)
        dirty = [piece for piece in pieces if not piece.clean]
        if dirty and max(len(piece.entries) for piece in dirty) > ONE_BY_ONE:
            self._read_parts(dirty, part.readings[1], self._second)
        return dirty

    def _read_parts(self, parts: Sequence[Part], total: Reading, probe: Probe) -> None:
        """Read all parts along `probe` but the last, which is known from the others and the `total`."""
        rest, rest_bar = total.residual, total.bar
        for part in parts[:-1]:
            part.readings.append(self._read_part(part, probe))
            rest, rest_bar = rest - part.readings[-1].residual, rest_bar + part.readings[-1].bar
        last = parts[-1]
        blurred = rest_bar > self._need or rest_bar < abs(rest) < BLURRED * rest_bar
        by_difference = Reading(self.scope.only(total.probe, last.entries), rest, rest_bar)
        last.readings.append(self._read_part(last, probe) if blurred else by_difference)

    def _child(self, entries: HostArray, part: Part) -> Part:
        found = {e: f for e, f in part.found.items() if e in entries} if part.found else {}
        return Part(entries, [], part.depth + 1, found)

    def _read_part(self, part: Part, probe: Probe) -> Reading:
        return self._read(probe, part.entries, self._need, part.found)

    def _read(
        self, probe: Probe, entries: HostArray, need: float, found: dict[int, Found] | None = None
    ) -> Reading:
        restricted = self.scope.only(probe, entries)
        claim, claim_bar = self.scope.claimed(self._gradient, restricted, entries)
        value, bar = self.reader.read(restricted, len(entries) / self.scope.size, need)
        return self._corrected(Reading(restricted, claim - value, bar + claim_bar), found or {})
