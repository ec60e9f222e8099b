"""The masking stage: from a `RawBatch` to a `Batch`, fail closed.

A batch is masked as a whole; if anything at all goes wrong it is masked line by line, so that one
bad line costs its neighbours time but nothing else. A line that cannot be masked leaves with a
verdict that holds its size and a keyed digest.
"""

from __future__ import annotations

import difflib
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrig import Attributes, Batch, ConfigError, ProcessorError, Verdict

from processors.masking import confirm, pack
from processors.masking.confirm import Confirmer
from processors.masking.database import ENGINES, KINDS, EngineError, Pattern, PatternError, Scanner
from processors.masking.decode import WorkError
from processors.masking.engine import DepthError, Engine
from processors.masking.envelope import Envelopes, mask_attributes
from processors.masking.fields import TAIL, FieldNames, FieldPolicy, words
from processors.masking.gitleaks import GitleaksRule
from processors.masking.keywords import Keywords
from processors.masking.placeholders import Placeholders
from processors.masking.splice import Masked
from processors.masking.third_party import Third, ThirdParty
from processors.masking.timed import TimedOutError

if TYPE_CHECKING:
    from headrig import Detector, DetectorSpec, Host
    from headrig._raw import RawBatch

UNSCANNED = "unscanned"
TOO_DEEP = "depth"
TOO_COSTLY = "work"
TOO_SLOW = "timeout"
FAILED = "error"
_KEYS = {"packs", "disable", "enable", "allow_keys", "max_depth", "fields", "engine"}


class Masker:
    """Masks secrets and personal data.

    Args:
        config: ``packs`` (files or directories, relative to the configuration), ``disable``
            (detector names), ``enable`` (those of addresses, else off), ``allow_keys`` (field names that are
            never masked), ``max_depth``, ``engine`` (one of `ENGINES`; all mask alike).
        host: Lends the directories and the digest key.

    Raises:
        ConfigError: A pack or a name is wrong.
    """

    def __init__(self, config: Mapping[str, Any], host: Host) -> None:
        if unknown := set(config) - _KEYS:
            name = min(unknown)
            near = difflib.get_close_matches(name, _KEYS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(_KEYS))}"
            raise ConfigError(f"unknown key; {hint}", path=f"masking.{name}")
        paths = [host.config_dir / Path(path) for path in config.get("packs", ("masking",))]
        self.pack = pack.load(paths, disable=config.get("disable", ()), enable=config.get("enable", ()))
        allowed = frozenset("_".join(words(key)) for key in config.get("allow_keys", ()))
        self._names = self.pack.names.merged(FieldNames(allowed=allowed))
        self._max_depth = int(config.get("max_depth", 64))
        self._host = host
        self._engine_name = config.get("engine", ENGINES[0])
        if self._engine_name not in ENGINES:
            raise ConfigError(f"is one of {', '.join(ENGINES)}", path="masking.engine")
        self._options = {
            key: value for key, value in sorted(config.items()) if key not in ("packs", "engine")
        }
        self._third: list[Third] = []
        self._empty: Attributes = {}
        self._build()
        if self._is_makeshift():
            host.log.warning("masking: candidates are found by re2, slower: the package hyperscan is missing")

    def _build(self) -> None:
        rules = [rule for rule in self.pack.rules if not rule.keywords]
        keywords = Keywords([rule for rule in self.pack.rules if rule.keywords])
        placeholders = Placeholders((*self.pack.detectors, *(name for name, _, _ in self._third)))
        policy = FieldPolicy(self._names, placeholders)
        groups: dict[str, list[Pattern]] = {kind: [] for kind in KINDS}
        groups["main"] += field_patterns(policy)
        for tag, rule in enumerate(rules, confirm.FIRST_RULE):
            instead = rule.instead.encode() if isinstance(rule, GitleaksRule) else b""
            groups[rule.database].append(Pattern(rule.pattern.encode(), tag, rule.caseless, instead))
        first = confirm.FIRST_RULE + len(rules)
        for tag, expression in enumerate(keywords.expressions, first):
            groups["main"].append(Pattern(expression[0], tag, expression[1]))
        first += len(keywords.expressions)
        for tag, (_, _, literals) in enumerate(self._third, first):
            groups["main"] += [Pattern(_literal(literal), tag, caseless=True) for literal in literals]
        try:
            scanner = Scanner(list(groups.values()), self._host.cache_dir, self._engine_name)
        except PatternError as error:
            place = error.tag - confirm.FIRST_RULE
            name = rules[place].name if 0 <= place < len(rules) else "fields"
            raise ConfigError(
                f"{error}", path=f"{self.pack.files.get(name, 'masking.packs')}: {name}"
            ) from error
        except EngineError as error:
            raise ConfigError(f"{error}", path="masking.engine") from error
        except Exception as error:
            raise ConfigError(f"the patterns do not compile: {error}", path="masking.packs") from error
        self.engine = scanner.engine
        finders = [(rule.name, rule.compile()) for rule in rules]
        third_party = ThirdParty(self._third, placeholders)
        self._engine = Engine(scanner, Confirmer(finders, keywords, policy), third_party, self._max_depth)
        self._envelopes = Envelopes(self._mask_one)

    @property
    def notes(self) -> list[str]:
        """What an operator should know of the configuration, one sentence each."""
        slower = ", slower: the package hyperscan is missing" if self._is_makeshift() else ""
        about = f"{len(self.pack.rules)} detectors; candidates are found by {self.engine}{slower}"
        return [about, *self.pack.notes]

    def _is_makeshift(self) -> bool:
        return self.engine == "re2" and self._engine_name == "auto"

    @property
    def digest(self) -> str:
        """SHA-256 of the packs, the options and the kinds of third-party detectors, hex."""
        about = [self.pack.digest, self._options, sorted(name for name, _, _ in self._third)]
        return hashlib.sha256(json.dumps(about, sort_keys=True, default=list).encode()).hexdigest()

    def add_detectors(self, detectors: list[tuple[DetectorSpec[Any], Detector]]) -> None:
        """Add third-party detectors; their literals join the prefilter."""
        self._third += [(spec.kind, detector, spec.literals) for spec, detector in detectors]
        self._build()

    def mask(self, raw: RawBatch, /) -> Batch:
        """Mask every line and envelope of a batch."""
        masked, failed = self._mask_rows(raw.lines, raw.buffer, raw.heads)
        batch = Batch(
            resource=raw.resource,
            lines=raw.lines.copy(),
            heads=list(raw.heads),
            time_ns=list(raw.time_ns),
            attributes=[self._empty] * len(raw.lines),
            envelopes=[None] * len(raw.lines),
            origin=list(range(len(raw.lines))),
            changed=sorted(masked.lines),
        )
        for row, line in masked.lines.items():
            batch.lines[row] = line
            batch.heads[row] = None
        batch.masked.update(chain.from_iterable(masked.found.values()))
        if raw.envelope_of is not None:
            self._mask_envelopes(raw, raw.envelope_of, batch, failed)
        if failed:
            self._quarantine(batch, raw.lines, failed)
        return batch

    def _mask_envelopes(self, raw: RawBatch, places: list[int], batch: Batch, failed: dict[int, str]) -> None:
        envelopes, bad, found = self._envelopes.mask(raw.envelopes)
        batch.envelopes = [envelopes[place] for place in places]
        batch.masked.update(found)
        if bad:
            failed.update({row: FAILED for row, place in enumerate(places) if place in bad})

    def mask_batch(self, batch: Batch, rows: list[int], known: Sequence[Attributes] = (), /) -> None:
        """Scan rows again; a row that fails leaves the batch with a verdict.

        Attributes that ``known`` has for the row with the same value are not scanned: stages of ours set
        them, and what an operator wrote must read alike on every row.
        """
        lines = [batch.lines[row] for row in rows]
        masked, failed = self._mask_rows(lines, b"\n".join(lines), None)
        changed = set(batch.changed)
        for place, line in masked.lines.items():
            batch.lines[rows[place]] = line
            batch.heads[rows[place]] = None
            changed.add(rows[place])
            batch.masked.update(masked.found[place])
        batch.changed = sorted(changed)
        bad = {rows[place]: reason for place, reason in failed.items()}
        memo: dict[tuple[int, int], Attributes] = {}
        for row, old in zip(rows, known or repeat(self._empty), strict=False):
            attributes = batch.attributes[row]
            key = id(attributes), id(old)
            try:
                if key not in memo:
                    new = {name: value for name, value in attributes.items() if old.get(name) != value}
                    masked_new, found = mask_attributes(new, self._mask_one)
                    batch.masked.update(found)
                    kept = {name: value for name, value in attributes.items() if name not in new}
                    memo[key] = {**kept, **masked_new} if found else attributes
                batch.attributes[row] = memo[key]
            except Exception:
                bad[row] = FAILED
        if bad:
            self._quarantine(batch, batch.lines, bad)

    def mask_line(self, line: bytes) -> bytes:
        """Mask one line, JSON or plain text.

        Raises:
            ProcessorError: It could not be scanned completely.
        """
        return self._mask_one(line)[0]

    def mask_text(self, text: str) -> str:
        """Mask a text; errors as `mask_line`."""
        return self.mask_line(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def explain(self, line: bytes) -> list[tuple[str, str, int]]:
        """Return (detector, category, count) of what would be masked in a line, without its content."""
        categories = {rule.name: rule.category for rule in self.pack.rules}
        found = self._mask_one(line)[1]
        return [(name, categories.get(name, "generic"), count) for name, count in sorted(found.items())]

    def _mask_one(self, line: bytes) -> tuple[bytes, Counter[str]]:
        masked, failed = self._mask_rows([line], line, None)
        if failed:
            raise ProcessorError(f"{UNSCANNED}: {failed[0]}")
        return masked.lines.get(0, line), Counter(masked.found.get(0, ()))

    def _mask_rows(
        self, lines: Sequence[bytes], buffer: bytes, heads: Sequence[Any] | None
    ) -> tuple[Masked, dict[int, str]]:
        """Mask lines; what cannot be masked comes back as row to reason."""
        try:
            return self._engine.run(lines, buffer, heads), {}
        except Exception:
            return self._one_by_one(lines, heads)

    def _one_by_one(
        self, lines: Sequence[bytes], heads: Sequence[Any] | None
    ) -> tuple[Masked, dict[int, str]]:
        masked = Masked()
        failed: dict[int, str] = {}
        for row, line in enumerate(lines):
            try:
                one = self._engine.run([line], line, heads[row : row + 1] if heads is not None else None)
            except DepthError:
                failed[row] = TOO_DEEP
            except WorkError:
                failed[row] = TOO_COSTLY
            except TimedOutError:
                failed[row] = TOO_SLOW
            except Exception:
                failed[row] = FAILED
            else:
                if one.lines:
                    masked.lines[row], masked.found[row] = one.lines[0], one.found[0]
        return masked, failed

    def _quarantine(self, batch: Batch, lines: Sequence[bytes], failed: Mapping[int, str]) -> None:
        for row, detail in sorted(failed.items()):
            line = lines[row]
            digest = hmac.digest(self._host.key, line, "sha256")
            batch.verdicts.append(
                Verdict(batch.origin[row], "quarantined", UNSCANNED, detail, len(line), digest)
            )
        batch.keep([row for row in range(len(batch.lines)) if row not in failed])


def field_patterns(policy: FieldPolicy) -> list[Pattern]:
    """Return the prefilter of sensitive field names, in JSON and in free text, and of name/value pairs."""
    long, short = policy.prefilter()
    tail = b"%d" % TAIL
    keys = b"name|key|field|header|param(?:eter)?|k|n|label|property|variable|attribute"
    patterns = []
    if long:
        patterns += [
            Pattern(long + rb"[A-Za-z0-9_.\-]{0," + tail + rb"}'?\s{0,4}[:=]", confirm.FIELD, caseless=True),
            Pattern(long + rb'[^"\n]{0,' + tail + rb'}"\s*:', confirm.FIELD, caseless=True),
        ]
    if short:
        patterns += [
            Pattern(short + rb'[0-9]?"\s*[:=]', confirm.FIELD, caseless=True),
            Pattern(short + rb"[0-9]?'?\s{0,4}[:=]", confirm.FIELD, caseless=True),
        ]
    if long or short:
        phrase = b"|".join(filter(None, (long, short)))
        pair = rb'"(?:' + keys + rb')"\s*:\s*"[^"\n]{0,160}(?:' + phrase + rb')[^"\n]{0,' + tail + rb'}"'
        patterns.append(Pattern(pair, confirm.PAIR, caseless=True))
    return patterns


def _literal(text: str) -> bytes:
    return b"".join(b"\\x%02x" % byte for byte in text.encode())
