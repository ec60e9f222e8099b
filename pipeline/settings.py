"""The operator's configuration: one YAML file, overlaid by the environment, complete before a socket opens.

``HEADRIG__SINKS__LOKI__URL=…`` sets ``sinks.loki.url``. Secrets are references, ``env:NAME`` or
``file:PATH``. Unknown keys are errors that name the nearest known one.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from headrig import ConfigError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.plugins import PluginsSection
from pipeline.setting_sources import Sources
from pipeline.setting_values import Address, Seconds, Secret, Size

_STREAMS = 2000
_KEY_BYTES = 32
Scope = Literal["write", "read", "audit", "admin"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Token(_Section):
    """A credential of a sender or reader."""

    token: Secret
    tenant: str = Field("default", min_length=1, max_length=100, pattern=r"^[A-Za-z0-9!._*'()-]+$")
    service: str | None = None
    environment: str | None = None
    scopes: tuple[Scope, ...] = ("write",)


class Rate(_Section):
    """What one tenant may send a second, to each worker."""

    records: int | None = Field(None, gt=0)
    bytes: Size | None = None


class Limits(_Section):
    """Bounds of one request and of what waits."""

    head: Size = 64 << 10
    read: Seconds = 30.0
    body: Size = 16 << 20
    inflated: Size = 64 << 20
    line: Size = 256 << 10
    depth: int = Field(64, gt=0, le=200)
    records: int = Field(100_000, gt=0)
    label_name: Size = 1 << 10
    label_value: Size = 2 << 10
    metadata: Size = 64 << 10
    metadata_entries: int = Field(128, gt=0)
    inflight: Size = 256 << 20
    rate: Rate = Rate()

    @model_validator(mode="after")
    def _possible(self) -> Limits:
        if self.inflight < self.body:
            raise ValueError("inflight is smaller than body, so a body within its limit could never be taken")
        return self


class Time(_Section):
    """Where a record's own time is found."""

    fields: tuple[str, ...] = ("timestamp", "time", "ts", "@timestamp", "datetime", "date", "eventTime", "t")


class Labels(_Section):
    """Which labels Loki streams have."""

    sources: dict[str, tuple[str, ...]] = {
        "service_name": (
            "resource.service", "body.service", "body.service_name", "body.service.name", "body.app", "body.application",
            "label.service_name", "label.service", "label.app", "label.application", "label.job",
        ),
        "env": ("resource.environment", "body.env", "body.environment", "label.env", "label.environment"),
    }  # fmt: skip
    keep: tuple[str, ...] = (
        "app", "application", "service", "service_name", "job", "env", "environment", "namespace", "cluster", "region", "component",
    )  # fmt: skip
    static: dict[str, str] = {}
    max_value: Size = 128
    max_values: int = Field(500, gt=0)
    max_streams: int | None = Field(
        None, gt=0, description="per tenant and worker; default: 2,000 over all workers, of Loki's 5,000"
    )

    @model_validator(mode="after")
    def _places(self) -> Labels:
        for name, places in self.sources.items():
            for place in places:
                kind, _, rest = place.partition(".")
                if (
                    kind not in ("resource", "body", "label")
                    or not rest
                    or (kind == "resource" and rest not in ("service", "environment", "tenant"))
                ):
                    raise ValueError(
                        f'{name}: "{place}" is no place; write resource.service, body.<field> or label.<name>'
                    )
        return self


class LokiSink(_Section):
    """A Grafana Loki."""

    url: str = Field(pattern=r"^https?://.+")
    tenant: str | None = Field(None, description="X-Scope-OrgID; {tenant} stands for the record's tenant")
    username: str | None = None
    password: Secret | None = None
    token: Secret | None = None
    timeout: Seconds = 30.0
    push: Size = 4 << 20
    alone: Literal["busy", "always"] = Field("busy", description="which streams get pushes of their own")


class ArchiveSink(_Section):
    """The embedded store, in Parquet."""

    enabled: bool | None = Field(None, description="default: on when there is no other sink")
    max_bytes: Size = 50 << 30
    max_age: Seconds = 90 * 86400.0
    linger: Seconds = 2.0


class Sinks(_Section):
    """Where records are delivered."""

    loki: LokiSink | None = None
    archive: ArchiveSink = ArchiveSink()

    @property
    def archiving(self) -> bool:
        """The archive is a sink."""
        return self.loki is None if self.archive.enabled is None else self.archive.enabled


class Buffer(_Section):
    """The write-ahead logs of the workers."""

    max_bytes: Size = Field(4 << 30, description="per worker")
    segment: Size = 64 << 20


class Idempotency(_Section):
    """The node's table of batch ids."""

    slots: int = Field(1 << 20, gt=31, description="24 bytes each; the oldest ids go first")


class Quarantine(_Section):
    """What was held back."""

    max_bytes: Size = 256 << 20


class Audit(_Section):
    """The tamper-evident log."""

    origin: str = Field("headrig.local/audit", pattern=r"^[^\s+]+$", max_length=200)
    key: Path | None = Field(None, description="default: made at the first start in data/keys")
    segment: Size = 64 << 20
    remember: int = Field(
        1_000_000,
        ge=1_000,
        le=100_000_000,
        description="event ids that are known again, about 110 bytes each",
    )
    tenant: str = Field(
        "audit",
        min_length=1,
        max_length=100,
        pattern=r"^[A-Za-z0-9!._*'()-]+$",
        description="Loki tenant of the leaves, where {tenant} is used",
    )


class CanarySection(_Section):
    """Secrets of headrig's own that are sent on a schedule and must never be found downstream."""

    every: Seconds | None = Field(None, description="default: never")
    patience: Seconds = 60.0
    tenant: str = Field("headrig", min_length=1, max_length=100, pattern=r"^[A-Za-z0-9!._*'()-]+$")
    selector: str = Field('{service_name="headrig-canary"}', pattern=r"^\{.+\}$", max_length=500)


class PseudonymKey(_Section):
    """A key that makes pseudonyms."""

    id: str = Field(pattern=r"^[a-z0-9]{1,16}$", description="stands in each pseudonym that it makes")
    key: Secret = Field(description="at least 32 characters")


class Pseudonyms(_Section):
    """How pseudonyms are made, where the masking policy wants some."""

    keys: tuple[PseudonymKey, ...] = Field(
        (), description="the first makes pseudonyms; those that the others made are known still"
    )

    @model_validator(mode="after")
    def _usable(self) -> Pseudonyms:
        if len({each.id for each in self.keys}) < len(self.keys):
            raise ValueError("keys: an id comes twice")
        for number, each in enumerate(self.keys):
            if len(each.key.get_secret_value().encode()) < _KEY_BYTES:
                raise ValueError(
                    f"keys.{number}.key: it has less than {_KEY_BYTES} bytes; make one with: openssl rand -hex 32"
                )
        return self


class Settings(_Section):
    """Everything an operator can set."""

    listen: Address = "127.0.0.1:8080"
    data: Path = Path("headrig-data")
    workers: int = Field(default_factory=lambda: min(os.cpu_count() or 1, 60), gt=0, le=60)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    drain: Seconds = 10.0
    tokens: tuple[Token, ...] = ()
    limits: Limits = Limits()
    time: Time = Time()
    labels: Labels = Labels()
    masking: dict[str, Any] = {}
    pseudonyms: Pseudonyms = Pseudonyms()
    enrichment: dict[str, Any] = {}
    classification: dict[str, Any] = {}
    plugins: PluginsSection = PluginsSection()
    buffer: Buffer = Buffer()
    idempotency: Idempotency = Idempotency()
    quarantine: Quarantine = Quarantine()
    audit: Audit = Audit()
    canary: CanarySection = CanarySection()
    sinks: Sinks = Sinks()
    config_dir: Path = Field(
        Path(), description="relative paths of rule packs start here; default: the file's directory"
    )

    @model_validator(mode="after")
    def _safe(self) -> Settings:
        if not self.tokens and self.host not in ("127.0.0.1", "localhost", "[::1]"):
            raise ValueError(
                "listen: without tokens headrig listens on loopback only; add tokens or listen on 127.0.0.1"
            )
        tenants = {token.tenant for token in self.tokens if "write" in token.scopes}
        if self.sinks.loki and len(tenants) > 1 and "{tenant}" not in (self.sinks.loki.tenant or ""):
            raise ValueError(
                "sinks.loki.tenant: the tokens are of several tenants, whose equal lines one Loki tenant would fold into "
                'one; write "{tenant}", which Loki with auth_enabled: true keeps apart'
            )
        if self.port >= 1 << 16:
            raise ValueError("listen: the port must be at most 65535")
        first: dict[str, int] = {}
        for number, token in enumerate(self.tokens):
            if (other := first.setdefault(token.token.get_secret_value(), number)) != number:
                raise ValueError(f"tokens.{number}.token: it is the same as that of tokens.{other}")
        if self.sinks.loki is None and not self.sinks.archiving:
            raise ValueError("sinks: there is none; give sinks.loki.url or enable sinks.archive")
        return self

    @property
    def max_streams(self) -> int:
        """Most distinct label sets of a tenant, for each worker."""
        return self.labels.max_streams or max(_STREAMS // self.workers, 1)

    @property
    def host(self) -> str:
        """Address to listen on."""
        return self.listen.rpartition(":")[0]

    @property
    def port(self) -> int:
        """Port to listen on; 0 lets the system choose."""
        return int(self.listen.rpartition(":")[2])


def load(
    path: Path | None,
    environment: Mapping[str, str],
    overrides: Mapping[str, Any] | None = None,
    options: Mapping[str, str] | None = None,
) -> Settings:
    """Load and check the configuration.

    Args:
        path: The YAML file; None for defaults only.
        environment: For the ``HEADRIG__`` overlay.
        overrides: From the command line, dotted path to value; they win.
        options: What the overrides are called there, dotted path to option.

    Raises:
        ConfigError: Names the file, variable or option, the place and what to write instead.
    """
    sources = Sources({} if path is None else _read(path), str(path) if path else "")
    for name, text in environment.items():
        if name.startswith("HEADRIG__"):
            place = name[len("HEADRIG__") :].lower().split("__")
            sources.put(place, text if text and _is_text(place) else _yaml(text, name), name)
    for dotted, value in (overrides or {}).items():
        sources.put(dotted.split("."), value, (options or {}).get(dotted, dotted))
    sources.values.setdefault("config_dir", str(path.parent) if path is not None else ".")
    try:
        return Settings.model_validate(sources.values)
    except ValidationError as error:
        raise _explained(error, sources) from None


def _yaml(text: str, name: str) -> Any:
    """Parse YAML; its error names the line and never quotes it, for it may hold a secret."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}" if mark else ""
        # Only these two say what is wrong without quoting more than a character.
        plain = isinstance(error, yaml.scanner.ScannerError | yaml.parser.ParserError)
        why = f": {getattr(error, 'problem', '')}" if plain else ""
        raise ConfigError(f"{name}{place} is not valid YAML{why}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 at byte {error.start}") from None
    values = _yaml(text, str(path))
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold a mapping at its top level")
    return values


def _explained(error: ValidationError, sources: Sources) -> ConfigError:
    problems = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        place = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = f"there is no such setting{_nearest(problem['loc'])}"
        problems.append(f"{place}: {message}" if place else message)
    return ConfigError(sources.blame(problems))


def _is_text(place: list[str]) -> bool:
    """Tell whether a setting is a text or a path: its value is no YAML, so that ``{tenant}`` is what it says."""
    field = getattr(_section(place), "model_fields", {}).get(place[-1])
    return field is not None and not {str, Path}.isdisjoint(
        (field.annotation, *getattr(field.annotation, "__args__", ()))
    )


def _nearest(location: tuple[int | str, ...]) -> str:
    known = list(getattr(_section(location), "model_fields", ()))
    close = difflib.get_close_matches(str(location[-1]), known, 1)
    return f'; did you mean "{close[0]}"?' if close else ""


def _section(location: Sequence[int | str]) -> Any:
    """Return the section in which a setting lies; None where it has no settings of ours."""
    model: Any = Settings
    for part in location[:-1]:
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            continue
        kinds = [
            kind
            for kind in (field.annotation, *getattr(field.annotation, "__args__", ()))
            if hasattr(kind, "model_fields")
        ]
        if not kinds:
            return None
        model = kinds[0]
    return model
