"""Name the team that owns a service."""

from dataclasses import dataclass

from headrig import Host, ProcessorSpec, Record


@dataclass(frozen=True, kw_only=True)
class OwnerConfig:
    """Values from the operator.

    Attributes:
        owners: Service to team.
        fallback: Team of a service that is not listed.
    """

    owners: dict[str, str]
    fallback: str = "unowned"


class Owner:
    """Set ``attributes["owner"]`` by the service."""

    def __init__(self, config: OwnerConfig, host: Host) -> None:
        self._owners = config.owners
        self._fallback = config.fallback
        host.log.debug("owner knows %d services", len(config.owners))

    def process(self, record: Record) -> Record:
        """Name the owner; one that the service catalog named stays, unless the table knows better."""
        # The resource is what the credential says; without a service there, the line says it.
        service = record.resource.service or record.body.get("service")
        if isinstance(service, str) and service in self._owners:
            record.attributes["owner"] = self._owners[service]
        else:
            record.attributes.setdefault("owner", self._fallback)
        return record


SPEC = ProcessorSpec(kind="owner", config=OwnerConfig, factory=Owner, writes=("attributes.owner",))
