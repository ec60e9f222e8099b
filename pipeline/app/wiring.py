"""From settings to stages: the one place that knows which parts there are."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from headrig import AuditEvent, ConfigError, StageSpec, Verdict

from pipeline.app.paths import Paths
from pipeline.audit.leaf import encode_leaf, encode_unscanned_leaf
from pipeline.flow.head import HeadDecoder
from pipeline.flow.shadow import Report, Shadow
from pipeline.flow.stages import Stages
from pipeline.labels import LabelSettings
from pipeline.plugins import Plugins, Running, load_stages
from pipeline.settings import Settings
from pipeline.streams import Streams


@dataclass(slots=True)
class AppHost:
    """What the application lends stages and plugins; see `headrig.Host`."""

    log: logging.Logger
    config_dir: Path
    cache_dir: Path
    key: bytes
    fields: Mapping[str, str] = field(default_factory=dict)

    def now_ns(self) -> int:
        """Return the current time, unix ns."""
        return time.time_ns()


class Leaves:
    """Makes leaves with the digests of the policies in force.

    Args:
        policy: Name of a rule set to its digest.
    """

    def __init__(self, policy: Mapping[str, str]) -> None:
        self._policy = policy

    def event(
        self, *, name: str, ts_ns: int, tenant: str, event: AuditEvent, raw: bytes
    ) -> tuple[bytes, bytes | None]:
        """Encode an audit event."""
        return encode_leaf(id=name, ts_ns=ts_ns, tenant=tenant, event=event, policy=self._policy, raw=raw)

    def unscanned(self, *, name: str, ts_ns: int, tenant: str, verdict: Verdict) -> bytes:
        """Encode what a record leaves that could not be scanned."""
        return encode_unscanned_leaf(
            id=name,
            ts_ns=ts_ns,
            tenant=tenant,
            size=verdict.size,
            reason=verdict.reason,
            hmac_hex=verdict.digest.hex(),
            policy=self._policy,
        )


class Blueprint:
    """Everything that can be made before the workers are forked, and is shared by them.

    Pattern databases and rules are compiled here once; a forked worker has them for nothing.

    Args:
        settings: The checked configuration.
        paths: The data directory.

    Raises:
        ConfigError: A stage, a rule pack or a plugin is not usable; names the place.
    """

    def __init__(self, settings: Settings, paths: Paths) -> None:
        self.settings = settings
        self.labels = LabelSettings(
            sources=settings.labels.sources,
            keep=settings.labels.keep,
            static=settings.labels.static,
            max_value_bytes=settings.labels.max_value,
            max_values=settings.labels.max_values,
            max_streams=settings.max_streams,
        )
        specs = load_stages()
        self.plugins = Plugins.load(settings.plugins, line_bytes=settings.limits.line)
        sections: dict[str, Mapping[str, Any]] = {
            "mask": self._masking(),
            "enrich": settings.enrichment,
            "classify": {"rules": ["classification"], **settings.classification},
        }
        fields = [*settings.time.fields, *self.labels.fields(), *self.plugins.fields]
        for kind, spec in specs.items():
            fields += spec.fields(sections[kind])
        self.heads = HeadDecoder(fields, max_depth=settings.limits.depth)
        self.host = AppHost(
            log=logging.getLogger("headrig.stages"),
            config_dir=settings.config_dir,
            cache_dir=paths.cache,
            key=paths.node_key(),
            fields=self.heads.fields,
        )
        self.made: dict[str, Any] = {
            kind: spec.factory(sections[kind], self.host) for kind, spec in specs.items()
        }
        self.shadow: tuple[Any, float] | None = self._candidate(specs["mask"])
        self._specs: dict[str, StageSpec] = specs
        self._sections: dict[str, Mapping[str, Any]] = sections

    def _masking(self) -> dict[str, Any]:
        """Return the section of masking, with what it must know of others; there is a secret in it."""
        settings = self.settings
        section = {key: value for key, value in settings.masking.items() if key != "shadow"}
        known = {
            "pseudonym_keys": [
                (each.id, each.key.get_secret_value().encode()) for each in settings.pseudonyms.keys
            ],
            "plugins": [each.spec.kind for each in self.plugins.detectors],
            "tenants": {token.tenant for token in settings.tokens} or {"default"},
        }
        if written := known.keys() & section.keys():
            raise ConfigError("unknown key; it is set elsewhere", path=f"masking.{min(written)}")
        return {"max_depth": settings.limits.depth, **section, **known}

    def _candidate(self, spec: StageSpec) -> tuple[Any, float] | None:
        """Make the masking stage of ``masking.shadow``: the section in force with its changes, and the share."""
        changes = self.settings.masking.get("shadow")
        if changes is None:
            return None
        if not isinstance(changes, Mapping):
            raise ConfigError("write what is different: policy, packs, disable …", path="masking.shadow")
        share = changes.get("share", 1.0)
        if not isinstance(share, int | float) or isinstance(share, bool) or not 0 < share <= 1:
            raise ConfigError("a share is above 0 and at most 1", path="masking.shadow.share")
        section = {**self._masking(), **{key: value for key, value in changes.items() if key != "share"}}
        try:
            return spec.factory(section, self.host), float(share)
        except ConfigError as error:
            raise ConfigError(str(error), path="masking.shadow") from error

    @property
    def leaves(self) -> Leaves:
        """Encoder of leaves; names the policies by their digests."""
        digests = {kind: str(stage.digest) for kind, stage in self.made.items() if hasattr(stage, "digest")}
        return Leaves(digests)

    def streams(self) -> Streams:
        """Make an encoder; its budget of label values is its own."""
        return Streams(self.labels, self.heads.fields)

    def stages(
        self, plugins: Running | None = None, observe: Any = None, report: Report | None = None
    ) -> Stages:
        """Put the stages together.

        Args:
            plugins: Third-party plugins that run; None for none.
            observe: Called after each stage, for ``explain``.
            report: Takes how a candidate policy differs; None leaves it out.
        """
        mask = self.made["mask"]
        after: list[tuple[str, Any]] = [("enrich", self.made["enrich"])]
        if plugins is not None:
            if plugins.detectors:
                mask.add_detectors(plugins.detectors)
                if self.shadow is not None:
                    self.shadow[0].add_detectors(plugins.detectors)
            if (processors := plugins.processor_runner(mask.mask_batch)) is not None:
                after.append(("processors", processors))
        after.append(("classify", self.made["classify"]))
        if plugins is not None and (classifiers := plugins.classifier_runner(mask.mask_batch)) is not None:
            after.append(("classifiers", classifiers))
        if self.shadow is not None and report is not None:
            mask = Shadow(mask, self.shadow[0], report, self.shadow[1])
        return Stages(mask, after, self.heads, observe)

    def selftest(self) -> list[str]:
        """Run the tests that the rule packs carry; return what failed."""
        failed = []
        for kind, spec in self._specs.items():
            if spec.selftest is not None:
                failed += spec.selftest(self._sections[kind], replace(self.host))
        return failed
