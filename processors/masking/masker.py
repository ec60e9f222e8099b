"""The masking stage: from a `RawBatch` to a `Batch`, fail closed.

A line that cannot be masked leaves with a verdict that holds its size and a keyed digest. One that the policy
drops stays, redacted, until all stages have seen it: it may be an audit event.
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

from headrig import Attributes, Batch, ConfigError, RejectedError, Resource, Verdict

from processors.masking import confirm, handed, pack, spread, wrapped
from processors.masking.confirm import Confirmer
from processors.masking.database import ENGINES, KINDS, EngineError, Pattern, PatternError, Scanner
from processors.masking.decisions import Decisions
from processors.masking.engine import Engine
from processors.masking.envelope import Envelopes, mask_attributes
from processors.masking.fields import BEFORE, TAIL, FieldPolicy
from processors.masking.gitleaks import GitleaksRule
from processors.masking.keywords import Keywords
from processors.masking.marks import Marks, crowded
from processors.masking.names import FieldNames, words
from processors.masking.placeholders import Placeholders
from processors.masking.rows import FAILED, UNSCANNED, Rows
from processors.masking.splice import Masked
from processors.masking.third_party import Third, ThirdParty

if TYPE_CHECKING:
    from headrig import Detector, DetectorSpec, Host
    from headrig._raw import RawBatch

    from processors.masking.actions import Decision

POLICY = "masking policy"
"""Detail of the verdict on a record that the policy drops."""
_GIVEN = {"pseudonym_keys", "plugins", "tenants"}
"""What the application adds to what an operator writes; a secret is among it."""
_KEYS = {"packs", "disable", "enable", "allow_keys", "max_depth", "fields", "policy", "engine"}
NOBODY = Resource("default")


class Masker:
    """Masks secrets and personal data.

    Args:
        config: ``packs`` (files or directories, relative to the configuration), ``disable``
            (detector names), ``enable`` (those of addresses, else off), ``allow_keys`` (field names that are
            never masked), ``max_depth``, ``engine`` (one of `ENGINES`; all mask alike); and what `Decisions` takes.
        host: Lends the directories and the digest key.

    Raises:
        ConfigError: A pack, the policy or a name is wrong.
    """

    def __init__(self, config: Mapping[str, Any], host: Host) -> None:
        if unknown := set(config) - _KEYS - _GIVEN:
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
        left_out = {"packs", "policy", "engine", *_GIVEN}
        self._options = {key: value for key, value in sorted(config.items()) if key not in left_out}
        self._third: list[Third] = []
        self._empty: Attributes = {}
        self.decisions = Decisions(config, self.pack, host)
        self._build()
        if self._is_makeshift():
            host.log.warning("masking: candidates are found by re2, slower: the package hyperscan is missing")

    def _build(self) -> None:
        rules = [rule for rule in self.pack.rules if not rule.keywords]
        keywords = Keywords([rule for rule in self.pack.rules if rule.keywords])
        names = (*self.decisions.detectors, *(name for name, _, _ in self._third))
        placeholders = Placeholders(names, self.decisions.pseudonyms)
        self.decisions.renew(placeholders)
        self._marks = Marks(self.decisions.policy.version, placeholders.detectors)
        policy = FieldPolicy(self._names, placeholders)
        groups: dict[str, list[Pattern]] = {kind: [] for kind in KINDS}
        groups["main"] += field_patterns(policy) + handed_patterns(policy)
        groups["main"].append(Pattern(spread.EXPRESSION, confirm.KEY))
        groups["digits"] += wrapped_patterns()
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
        pem = next((rule.name for rule in rules if rule.finder == "pem"), "")
        self._engine = Engine(
            scanner, Confirmer(finders, keywords, policy), third_party, pem, self._max_depth
        )
        self._rows = Rows(self._engine)
        self._envelopes = Envelopes(self._rows.one)

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
        """SHA-256 of the packs, the options, the policy and the kinds of third-party detectors, hex."""
        third = sorted(name for name, _, _ in self._third)
        about = [self.pack.digest, self._options, third, self.decisions.about]
        return hashlib.sha256(json.dumps(about, sort_keys=True, default=list).encode()).hexdigest()

    def add_detectors(self, detectors: list[tuple[DetectorSpec[Any], Detector]]) -> None:
        """Add third-party detectors; their literals join the prefilter."""
        self._third += [(spec.kind, detector, spec.literals) for spec, detector in detectors]
        self._build()

    def mask(self, raw: RawBatch, /) -> Batch:
        """Mask every line and envelope of a batch."""
        decision = self.decisions.of(raw.resource)
        masked, failed = self._rows.many(raw.lines, raw.buffer, raw.heads, decision)
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
            batch.attributes[row] = self._marks.of(masked.found[row])
        batch.masked.update(chain.from_iterable(masked.found.values()))
        if raw.envelope_of is not None:
            self._mask_envelopes(raw, raw.envelope_of, batch, masked, failed, decision)
        self._note(batch, masked)
        if failed:
            self._quarantine(batch, raw.lines, failed)
        return batch

    def _mask_envelopes(
        self,
        raw: RawBatch,
        places: list[int],
        batch: Batch,
        masked: Masked,
        failed: dict[int, str],
        decision: Decision,
    ) -> None:
        covered = self._envelopes.mask(raw.envelopes, decision)
        batch.envelopes = [covered[place].envelope for place in places]
        for each in covered:
            batch.masked.update(each.found)
            masked.kept.update(each.kept)
        if any(each.envelope is None or each.found or each.dropped for each in covered):
            for row, place in enumerate(places):
                each = covered[place]
                if each.envelope is None:
                    failed[row] = FAILED
                if each.dropped:
                    masked.dropped.setdefault(row, each.dropped)
                if each.found:
                    batch.attributes[row] = self._marks.of((*masked.found.get(row, ()), *each.found))
        full = {place for place, each in enumerate(covered) if crowded(each.envelope)}
        if full:
            batch.attributes = [
                self._empty if place in full else attributes
                for place, attributes in zip(places, batch.attributes, strict=True)
            ]

    def _note(self, batch: Batch, masked: Masked, rows: Sequence[int] | None = None) -> None:
        """Count what is kept, and note what leaves once it was seen whether it is an audit event."""
        batch.kept.update(masked.kept)
        for place, detector in masked.dropped.items():
            row = place if rows is None else rows[place]
            origin = batch.origin[row]
            batch.leaving[origin] = Verdict(origin, "dropped", detector, POLICY, len(batch.lines[row]))

    def mask_batch(self, batch: Batch, rows: list[int], known: Sequence[Attributes] = (), /) -> None:
        """Scan rows again; a row that fails leaves the batch with a verdict.

        Attributes that ``known`` has for the row with the same value are not scanned: stages of ours set
        them, and what an operator wrote must read alike on every row. Nor are the marks of the masking before.
        """
        decision = self.decisions.of(batch.resource)
        lines = [batch.lines[row] for row in rows]
        masked, failed = self._rows.many(lines, b"\n".join(lines), None, decision)
        changed = set(batch.changed)
        for place, line in masked.lines.items():
            batch.lines[rows[place]] = line
            batch.heads[rows[place]] = None
            changed.add(rows[place])
            batch.masked.update(masked.found[place])
        batch.changed = sorted(changed)
        bad = {rows[place]: reason for place, reason in failed.items()}
        bad |= dict.fromkeys(self._mask_their_attributes(batch, rows, known, masked, decision), FAILED)
        self._note(batch, masked, rows)
        if bad:
            self._quarantine(batch, batch.lines, bad)

    def _mask_their_attributes(
        self, batch: Batch, rows: list[int], known: Sequence[Attributes], masked: Masked, decision: Decision
    ) -> list[int]:
        """Mask the attributes of rows, add to their marks, and return the rows where that failed."""
        bad: list[int] = []
        memo: dict[tuple[int, int], tuple[Attributes, Masked]] = {}
        marked: dict[tuple[int, tuple[str, ...]], Attributes] = {}
        for place, (row, old) in enumerate(zip(rows, known or repeat(self._empty), strict=False)):
            attributes = batch.attributes[row]
            key = id(attributes), id(old)
            try:
                if key not in memo:
                    memo[key] = self._mask_attributes(attributes, old, decision)
                    batch.masked.update(memo[key][1].found.get(0, ()))
                    masked.kept.update(memo[key][1].kept)
            except Exception:
                bad.append(row)
                continue
            attributes, own = memo[key]
            batch.attributes[row] = attributes
            found = (*masked.found.get(place, ()), *own.found.get(0, ()))
            if found and not crowded(batch.envelopes[row]):
                both = id(attributes), found
                if both not in marked:
                    marked[both] = self._marks.added(attributes, found)
                batch.attributes[row] = marked[both]
            if own.dropped:
                masked.dropped.setdefault(place, own.dropped[0])
        return bad

    def _mask_attributes(
        self, attributes: Attributes, old: Attributes, decision: Decision
    ) -> tuple[Attributes, Masked]:
        new = {
            name: value
            for name, value in attributes.items()
            if old.get(name) != value and not self._marks.ours(name, value)
        }
        masked_new, masked = mask_attributes(new, self._rows.one, decision)
        if not masked.lines:
            return attributes, masked
        kept = {name: value for name, value in attributes.items() if name not in new}
        return {**kept, **masked_new}, masked

    def mask_line(self, line: bytes, resource: Resource = NOBODY) -> bytes:
        """Mask one line, JSON or plain text, as one of this resource; what the policy drops is redacted.

        Raises:
            ProcessorError: It could not be scanned completely.
        """
        return self._rows.one(line, self.decisions.of(resource)).lines.get(0, line)

    def mask_text(self, text: str, resource: Resource = NOBODY) -> str:
        """Mask a text; as `mask_line`."""
        line = text.encode("utf-8", "surrogatepass")
        return self.mask_line(line, resource).decode("utf-8", "surrogatepass")

    def explain(self, line: bytes, resource: Resource = NOBODY) -> list[tuple[str, str, int]]:
        """Return (detector, category, count) of what would be masked in a line, without its content."""
        categories = {name: group.category for name, group in self._names.personal.items()}
        categories.update({rule.name: rule.category for rule in self.pack.rules})
        found = Counter(self._rows.one(line, self.decisions.of(resource)).found.get(0, ()))
        return [(name, categories.get(name, "generic"), count) for name, count in sorted(found.items())]

    def pseudonyms(self, tenant: str, detector: str, value: str) -> list[tuple[str, str]]:
        """Return (key id, token) of a value for every key, the active one first; empty without keys.

        Raises:
            RejectedError: There is no such detector.
        """
        if detector not in self.decisions.detectors:
            raise RejectedError("there is no detector of this name", reason="detector")
        text = value.encode("utf-8", "surrogatepass")
        tokens = self.decisions.pseudonyms.tokens(tenant, detector, text)
        return [(key, token.decode()) for key, token in tokens]

    def _quarantine(self, batch: Batch, lines: Sequence[bytes], failed: Mapping[int, str]) -> None:
        for row, detail in sorted(failed.items()):
            line = lines[row]
            digest = hmac.digest(self._host.key, line, "sha256")
            batch.verdicts.append(
                Verdict(batch.origin[row], "quarantined", UNSCANNED, detail, len(line), digest)
            )
            batch.leaving.pop(batch.origin[row], None)
        batch.keep([row for row in range(len(batch.lines)) if row not in failed])


def field_patterns(policy: FieldPolicy) -> list[Pattern]:
    """Return the prefilter of sensitive field names, in JSON and in free text, and of name/value pairs."""
    long, short, lone = policy.prefilter()
    tail = b"{0,%d}" % TAIL
    text, either = rb"'?\s{0,4}[:=]", rb"""["']?\s{0,4}[:=]"""
    fields = [rb"%b[A-Za-z0-9_.\-]%b%b" % (each, tail, text) for each in long]
    fields += [rb'%b[^"\n]%b"\s*:' % (each, tail) for each in long]
    fields += [each + b"[0-9]?" + either for each in short]
    fields += [b"[^A-Za-z0-9_.]" + each + either for each in lone]
    keys = b"name|key|field|header|param(?:eter)?|k|n|label|property|variable|attribute"
    pair = rb'"(?:%b)"\s*:\s*"' % keys
    pairs = [rb'%b[^"\n]*(?:%b)' % (pair, each) for each in _together(long)]
    pairs += [rb'%b[^"\n]*(?:%b)[0-9]?"' % (pair, each) for each in _together(short)]
    pairs += [pair + BEFORE + each + b'"' for each in lone]
    return [
        Pattern(each, tag, caseless=True)
        for tag, patterns in ((confirm.FIELD, fields), (confirm.PAIR, pairs))
        for each in patterns
    ]


def _together(alternations: list[bytes]) -> list[bytes]:
    """Join alternations, eight at a time: behind an open repeat fewer expressions are faster."""
    return [b"|".join(alternations[start : start + 8]) for start in range(0, len(alternations), 8)]


def handed_patterns(policy: FieldPolicy) -> list[Pattern]:
    """Return the prefilter of sensitive names whose value does not follow a colon or equals sign."""
    long, short = policy.credentials()
    if not long and not short:
        return []
    tail = b"{0,%d}" % TAIL
    spelled = [rb'%b[^"\n]%b"\s{0,4}=' % (each, tail) for each in long]
    spelled += [rb"%b[A-Za-z0-9_.\-]%b(?:\]\s{0,8}|\s{5,16})[:=]" % (each, tail) for each in long]
    return [
        *(Pattern(each, confirm.HANDED, caseless=True) for each in handed.expressions(long, short)),
        *(Pattern(each, confirm.FIELD, caseless=True) for each in spelled),
    ]


def wrapped_patterns() -> list[Pattern]:
    """Return the prefilter of text in base64 and hex."""
    return [Pattern(wrapped.BASE64, confirm.BASE64), Pattern(wrapped.HEX, confirm.HEX)]


def _literal(text: str) -> bytes:
    return b"".join(b"\\x%02x" % byte for byte in text.encode())
