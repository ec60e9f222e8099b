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
    """Set ``attributes["owner"]`` from the sending service."""

    def __init__(self, config: OwnerConfig, host: Host) -> None:
        self._owners = config.owners
        self._fallback = config.fallback
        host.log.debug("owner knows %d services", len(config.owners))

    def process(self, record: Record) -> Record:
        """Name the owner."""
        record.attributes["owner"] = self._owners.get(record.resource.service or "", self._fallback)
        return record


SPEC = ProcessorSpec(kind="owner", config=OwnerConfig, factory=Owner, writes=("attributes.owner",))
