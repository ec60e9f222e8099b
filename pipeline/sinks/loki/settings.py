"""How to reach Loki and what it accepts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from headrig import ConfigError

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LokiSettings:
    """Settings of the Loki sink.

    Attributes:
        url: Base address, e.g. ``http://loki:3100``; a path in it is kept as a prefix.
        org: ``X-Scope-OrgID`` of a push: a fixed value, or a template with ``{tenant}``; empty
            sends none. Never what a client sent.
        orgs: Tenant to ``X-Scope-OrgID``, where the template does not fit.
        username, password: Basic authentication.
        bearer: Bearer token; excludes basic.
        ca_file: Certificates to trust instead of the system's.
        push_bytes: Largest push, inflated. Loki's burst (6 MB by default) also caps one request.
        timeout_s: One push, all together.
        connect_timeout_s: Making a connection.
        connections: Pushes in flight, over all tenants.
        late_after_s: Records older than this are sent with the label ``late`` at once. It must stay
            below half of Loki's ``max_chunk_age`` (1 h) minus its ``creation_grace_period``
            (10 min); 0 waits for Loki to refuse them, which it does not always say.
        alone: Which streams get a push of their own, see `pipeline.sinks.loki.plan`; with ``never``
            records can get lost.
        introduced_s: For how long a stream counts as known; below Loki's ``chunk_idle_period`` (30 min).
    """

    url: str
    org: str = "{tenant}"
    orgs: Mapping[str, str] = field(default_factory=dict)
    username: str = ""
    password: str = field(default="", repr=False)
    bearer: str = field(default="", repr=False)
    ca_file: str = ""
    push_bytes: int = 4 * MIB
    timeout_s: float = 30.0
    connect_timeout_s: float = 5.0
    connections: int = 8
    late_after_s: int = 2700
    alone: Literal["busy", "always", "never"] = "busy"
    introduced_s: int = 1200

    def __post_init__(self) -> None:
        """Raise `ConfigError` for what cannot work."""
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError("must be http://host[:port] or https://…", path="sinks.loki.url")
        if parts.username or parts.password:
            raise ConfigError("must not hold credentials: use username and password", path="sinks.loki.url")
        if self.bearer and self.username:
            raise ConfigError("choose either bearer or username and password", path="sinks.loki.bearer")
        for name, value in (("org", self.org), *((f"orgs.{key}", value) for key, value in self.orgs.items())):
            if not value.isprintable():
                raise ConfigError("must be printable text", path=f"sinks.loki.{name}")
        for name, least in (
            ("push_bytes", MIB),
            ("connections", 1),
            ("late_after_s", 0),
            ("introduced_s", 1),
        ):
            if getattr(self, name) < least:
                raise ConfigError(f"must be at least {least}", path=f"sinks.loki.{name}")
        for name in ("timeout_s", "connect_timeout_s"):
            if getattr(self, name) <= 0:
                raise ConfigError("must be more than 0", path=f"sinks.loki.{name}")

    def org_of(self, tenant: str) -> str:
        """Return the ``X-Scope-OrgID`` for a tenant; empty for none."""
        known = self.orgs.get(tenant)
        return self.org.replace("{tenant}", tenant) if known is None else known
