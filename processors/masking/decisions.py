"""From the configuration to what is done to findings, for each tenant and service."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrig import ConfigError

from processors.masking.actions import Action, Decision
from processors.masking.placeholders import NAME, NESTED, Placeholders
from processors.masking.policy import Policy, load_policy
from processors.masking.pseudonym import Pseudonyms

if TYPE_CHECKING:
    from headrig import Host, Resource

    from processors.masking.pack import Pack

_MEMO = 4096


class Decisions:
    """The policy in force.

    Args:
        config: Of the masking stage: ``policy`` (a file, relative to the configuration), ``pseudonym_keys``
            ((id, secret) pairs, the first is active), ``plugins`` (kinds of third-party detectors that are
            configured), ``tenants`` (those that tokens have).
        pack: Names the detectors and their categories.
        host: Lends directory and log.

    Raises:
        ConfigError: The policy or the keys are wrong.
    """

    def __init__(self, config: Mapping[str, Any], pack: Pack, host: Host) -> None:
        try:
            self.pseudonyms = Pseudonyms(config.get("pseudonym_keys", ()))
        except ValueError as error:
            raise ConfigError(str(error), path="pseudonyms.keys") from None
        self.detectors = frozenset((NAME, NESTED, *pack.detectors, *config.get("plugins", ())))
        self.policy = Policy()
        if config.get("policy"):
            self.policy = load_policy(host.config_dir / Path(str(config["policy"])), self.detectors)
        if self.policy.uses_pseudonyms and not self.pseudonyms:
            raise ConfigError(
                f"{config['policy']} makes pseudonyms; give a key such as "
                "`keys: [{id: k1, key: env:HEADRIG_PSEUDONYM_KEY}]`",
                path="pseudonyms.keys",
            )
        self._categories = {name: kind.category for name, kind in pack.names.personal.items()}
        self._categories.update({rule.name: rule.category for rule in pack.rules})
        self._placeholders = Placeholders(self.detectors, self.pseudonyms)
        self._memo: dict[tuple[str, str | None], Decision] = {}
        _warn(self.policy, config.get("tenants"), host)

    def renew(self, placeholders: Placeholders) -> None:
        """Go on with placeholders that know more detectors."""
        self._placeholders = placeholders
        self._memo.clear()

    def of(self, resource: Resource) -> Decision:
        """Return what is done to the findings in the records of a resource."""
        key = resource.tenant, resource.service
        decision = self._memo.get(key)
        if decision is None:
            if len(self._memo) >= _MEMO:
                self._memo.clear()
            decision = self._memo[key] = self._decide(*key)
        return decision

    def _decide(self, tenant: str, service: str | None) -> Decision:
        policy, categories = self.policy, self._categories
        allowances = policy.allowances(tenant, service)
        return Decision(
            self._placeholders,
            lambda name: policy.action(tenant, name, categories.get(name, "generic")),
            partial(self.pseudonyms.token, tenant),
            categories,
            allowances,
            plain=policy.plain(tenant) and not allowances,
        )

    @property
    def about(self) -> list[Any]:
        """What makes this policy another one, for a digest: what the file says, and the ids of keys."""
        return [self.policy.digest, self.pseudonyms.ids]


def _warn(policy: Policy, known: Collection[str] | None, host: Host) -> None:
    """Say what is allowed and may be a mistake: a tenant that no token has, and a default that hides nothing."""
    strangers = sorted(set(policy.tenants) - set(known)) if known is not None else []
    if strangers:
        host.log.warning(
            "the masking policy names tenants that no token has", extra={"data": {"tenants": strangers[:20]}}
        )
    if policy.default == Action.KEEP:
        host.log.warning("the masking policy keeps every finding of which it says nothing else")
