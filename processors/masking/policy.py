r"""The policy file: which action for which detector, of which tenant, and what is let through.

::

    version: 3
    default: redact
    actions: {pii: pseudonym, payment-card: partial}
    allow:
      - {pattern: '.*@example\.(com|org)', detectors: [email]}
    tenants:
      acme: {actions: {email: keep}, allow: []}

A detector's own entry goes before one of its category, and of two of a kind that of the tenant goes first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import re2
import yaml
from headrig import ConfigError

from processors.masking.actions import UNREAD, Action
from processors.masking.allow import Allowance, check_names, parse_allow
from processors.masking.pack import CATEGORIES
from processors.masking.placeholders import NESTED

BUILT_IN = "built-in"
"""Version of the policy that is in force without a file."""
_KEYS = ("version", "default", "actions", "allow", "tenants")
_TENANT_KEYS = ("actions", "allow")
_VERSION = r"[A-Za-z0-9._\-]{1,40}"
_HASH = (
    r"(?i)hash(ed|ing)?|md[245]|sha-?_?[0-9x_/\-]*|blake[0-9a-z]*|murmur[0-9]*|fingerprint|crc[0-9]*|digest"
)


@dataclass(frozen=True)
class Section:
    """What is said for everybody, or for one tenant."""

    actions: Mapping[str, Action] = field(default_factory=dict)
    allow: tuple[Allowance, ...] = ()


@dataclass(frozen=True)
class Policy:
    """A policy file.

    Attributes:
        version: As the operator numbers it.
        default: For detectors of which nothing is said.
        everyone: For all tenants.
        tenants: For one tenant each.
        digest: SHA-256 of what it says, hex.
    """

    version: str = BUILT_IN
    default: Action = Action.REDACT
    everyone: Section = field(default_factory=Section)
    tenants: Mapping[str, Section] = field(default_factory=dict)
    digest: str = ""

    def action(self, tenant: str, detector: str, category: str) -> Action:
        """Return the action for the findings of a detector."""
        sections = (self.tenants.get(tenant, self.everyone), self.everyone)
        for name in (detector, category):
            for section in sections:
                if name in section.actions:
                    return section.actions[name]
        return self.default

    def allowances(self, tenant: str, service: str | None) -> tuple[Allowance, ...]:
        """Return the entries that may let a finding of this tenant and service through."""
        own = self.tenants[tenant].allow if tenant in self.tenants else ()
        return tuple(
            each for each in (*own, *self.everyone.allow) if not each.services or service in each.services
        )

    def plain(self, tenant: str) -> bool:
        """Tell whether the findings of a tenant are all redacted; without a look at what is let through."""
        sections = (self.tenants.get(tenant, self.everyone), self.everyone)
        actions = {self.default, *(action for section in sections for action in section.actions.values())}
        return actions == {Action.REDACT}

    @property
    def uses_pseudonyms(self) -> bool:
        """Some findings become pseudonyms."""
        sections = (self.everyone, *self.tenants.values())
        return Action.PSEUDONYM in (self.default, *(a for each in sections for a in each.actions.values()))


def load_policy(path: Path, detectors: Collection[str]) -> Policy:
    """Read a policy file.

    Args:
        path: YAML.
        detectors: Names of all detectors, third-party ones too.

    Raises:
        ConfigError: Names the file, the place in it and what to write instead.
    """
    try:
        content = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot read the policy: {error.strerror}", path=path.name) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path.name}:{mark.line + 1}" if mark else path.name
        raise ConfigError("it is not valid YAML", path=place) from None
    return parse_policy(content, detectors, path.name)


def parse_policy(content: Any, detectors: Collection[str], place: str = "policy") -> Policy:
    """Make a policy of what YAML gave; arguments and errors as `load_policy`."""
    known = {*detectors, *CATEGORIES}
    if not isinstance(content, Mapping):
        raise ConfigError(f"a policy has {', '.join(_KEYS)}", path=place)
    check_names(content, _KEYS, place)
    version = content.get("version")
    if isinstance(version, bool) or not re2.fullmatch(_VERSION, str(version)) or version is None:
        raise ConfigError(
            "write a number, or a short text of letters, digits, dots and dashes", path=f"{place}: version"
        )
    tenants = content.get("tenants") or {}
    if not isinstance(tenants, Mapping):
        raise ConfigError(
            "write a mapping from tenant to its `actions` and `allow`", path=f"{place}: tenants"
        )
    for name, section in tenants.items():
        if not isinstance(section, Mapping):
            raise ConfigError("write `actions` and `allow`", path=f"{place}: tenants.{name}")
        check_names(section, _TENANT_KEYS, f"{place}: tenants.{name}")
    canonical = json.dumps(content, sort_keys=True, default=str).encode()
    return Policy(
        version=str(version),
        default=_action(content.get("default", "redact"), f"{place}: default"),
        everyone=_section(content, known, f"{place}: "),
        tenants={
            str(name): _section(section, known, f"{place}: tenants.{name}.")
            for name, section in tenants.items()
        },
        digest=hashlib.sha256(canonical).hexdigest(),
    )


def _section(content: Mapping[str, Any], known: Collection[str], place: str) -> Section:
    given = content.get("actions") or {}
    if not isinstance(given, Mapping):
        raise ConfigError("write a mapping from detector or category to action", path=f"{place}actions")
    check_names(given, known, f"{place}actions")
    actions = {name: _action(action, f"{place}actions.{name}") for name, action in given.items()}
    if actions.get(NESTED, Action.REDACT) not in UNREAD:
        raise ConfigError(
            f"this text was not scanned; only {', '.join(UNREAD)} are possible",
            path=f"{place}actions.{NESTED}",
        )
    return Section(actions, parse_allow(content.get("allow") or [], known, f"{place}allow"))


def _action(given: Any, place: str) -> Action:
    name = str(given)
    if re2.fullmatch(_HASH, name):
        raise ConfigError(
            "hashes without a key are refused: who has the log tries all values (every social security number, "
            "phone number or card in seconds to hours) and reads them back; write pseudonym, which is keyed HMAC-SHA-256",
            path=place,
        )
    check_names([name], [action.value for action in Action], place)
    return Action(name)
