"""From the configuration to plugins that run: load, make, enter, leave."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from headrig import ClassifierSpec, ConfigError, Detector, DetectorSpec, ProcessorSpec, StageSpec
from headrig._limits import LINE_BYTES

from pipeline.plugins import catalog as groups
from pipeline.plugins.catalog import Catalog
from pipeline.plugins.classifiers import ClassifierRunner, GuardedClassifier
from pipeline.plugins.configured import PluginEntry, PluginsSection, read_config, read_section
from pipeline.plugins.detectors import GuardedDetector
from pipeline.plugins.guard import Guard
from pipeline.plugins.processors import GuardedProcessor, ProcessorRunner
from pipeline.plugins.rows import MaskBatch, Wanted
from pipeline.plugins.watch import Watch

if TYPE_CHECKING:
    from headrig import Host

    from pipeline.plugins.suspects import SuspectSlot

_log = logging.getLogger("headrig.plugins")

STAGE_KINDS = ("mask", "enrich", "classify")
MOST = 255
"""Plugins in one configuration; `Suspects` numbers them in one byte."""
_PATIENCE_SECONDS = 10.0

S = TypeVar("S")


def load_stages(catalog: Catalog | None = None) -> dict[str, StageSpec]:
    """Load the three stages; a missing one, or one claimed twice, is a `ConfigError`."""
    catalog = catalog or Catalog.installed()
    return {kind: catalog.load(groups.STAGES, kind, StageSpec) for kind in STAGE_KINDS}


@dataclass(frozen=True, slots=True)
class Configured(Generic[S]):
    """A plugin that was loaded and whose values are right; not made yet.

    Attributes:
        spec: What the plugin declares.
        config: An instance of the spec's dataclass.
        deadline_ns: CPU time per record.
        number: 1 to 255, the same in every worker of this configuration.
        path: Place in the configuration.
    """

    spec: S
    config: Any
    deadline_ns: int
    number: int
    path: str


@dataclass(frozen=True, slots=True)
class Plugins:
    """The configured plugins, each list in configured order.

    Attributes:
        line_bytes: Longest line a processor may make.
    """

    detectors: tuple[Configured[DetectorSpec[Any]], ...] = ()
    processors: tuple[Configured[ProcessorSpec[Any]], ...] = ()
    classifiers: tuple[Configured[ClassifierSpec[Any]], ...] = ()
    line_bytes: int = LINE_BYTES

    @classmethod
    def load(
        cls,
        section: Mapping[str, Any] | PluginsSection,
        catalog: Catalog | None = None,
        *,
        line_bytes: int = LINE_BYTES,
    ) -> Plugins:
        """Import what the section ``plugins`` names and check its values; nothing else is imported.

        Raises:
            ConfigError: Names the place, e.g. ``plugins.processors[0].config.owners``.
        """
        wanted = read_section(section)
        if len(wanted.detectors) + len(wanted.processors) + len(wanted.classifiers) > MOST:
            raise ConfigError(f"more than {MOST} plugins", path="plugins")
        catalog = catalog or Catalog.installed()
        numbers = iter(range(1, MOST + 1))
        return cls(
            _load(catalog, groups.DETECTORS, wanted.detectors, DetectorSpec, numbers),
            _load(catalog, groups.PROCESSORS, wanted.processors, ProcessorSpec, numbers),
            _load(catalog, groups.CLASSIFIERS, wanted.classifiers, ClassifierSpec, numbers),
            line_bytes,
        )

    @property
    def fields(self) -> tuple[str, ...]:
        """JSON fields that heads must have for these plugins."""
        specs = [plugin.spec.reads for plugin in self.processors]
        specs += [plugin.spec.reads for plugin in self.classifiers]
        return tuple(dict.fromkeys(name for reads in specs for name in reads))

    @asynccontextmanager
    async def running(self, host: Host, *, slot: SuspectSlot | None = None) -> AsyncIterator[Running]:
        """Make the plugins and enter those that are async context managers; leave them at the end.

        Args:
            host: Lent to every plugin; its ``fields`` must cover `fields`.
            slot: This worker's place in `Suspects`; None without a supervisor.

        Raises:
            ConfigError: A factory or ``__aenter__`` raised, or took longer than 10 s.
        """
        async with AsyncExitStack() as stack:
            watch = Watch()
            stack.callback(watch.close)
            running = Running()
            for detector in self.detectors:
                find = await _make(detector, host, stack)
                guard = _guard(detector, host, watch, slot)
                running.detectors.append((detector.spec, GuardedDetector(find, guard)))
            for processor in self.processors:
                made = await _make(processor, host, stack)
                spec = processor.spec
                wanted = Wanted(spec.reads, spec.when, host.fields)
                guard = _guard(processor, host, watch, slot)
                running.processors.append(GuardedProcessor(made, guard, wanted, spec.writes, self.line_bytes))
            for classifier in self.classifiers:
                made = await _make(classifier, host, stack)
                wanted = Wanted(classifier.spec.reads, classifier.spec.when, host.fields)
                guard = _guard(classifier, host, watch, slot)
                running.classifiers.append(GuardedClassifier(made, guard, wanted))
            if running:
                watch.open()
            yield running


class Running:
    """Plugins that are ready; each list in configured order.

    Attributes:
        detectors: For the masking stage: spec and guarded detector.
    """

    def __init__(self) -> None:
        self.detectors: list[tuple[DetectorSpec[Any], Detector]] = []
        self.processors: list[GuardedProcessor] = []
        self.classifiers: list[GuardedClassifier] = []

    def __bool__(self) -> bool:
        return bool(self.detectors or self.processors or self.classifiers)

    def processor_runner(self, mask_batch: MaskBatch) -> ProcessorRunner | None:
        """Return what runs between enrich and classify; None when there is nothing to run."""
        return ProcessorRunner(self.processors, mask_batch) if self.processors else None

    def classifier_runner(self, mask_batch: MaskBatch) -> ClassifierRunner | None:
        """Return what runs after classify; None when there is nothing to run."""
        return ClassifierRunner(self.classifiers, mask_batch) if self.classifiers else None


def _load(
    catalog: Catalog, group: str, entries: tuple[PluginEntry, ...], spec_type: type[S], numbers: Iterator[int]
) -> tuple[Configured[S], ...]:
    loaded = []
    for index, entry in enumerate(entries):
        path = f"plugins.{group.removeprefix('headrig.')}[{index}]"
        spec: Any = catalog.load(group, entry.kind, spec_type, path=f"{path}.kind")
        config = read_config(spec.config, entry.config, path=f"{path}.config")
        loaded.append(Configured(spec, config, entry.deadline_ms * 1_000_000, next(numbers), path))
    return tuple(loaded)


def _guard(plugin: Configured[Any], host: Host, watch: Watch, slot: SuspectSlot | None) -> Guard:
    return Guard(plugin.spec.kind, plugin.number, plugin.deadline_ns, host.key, watch=watch, slot=slot)


async def _make(plugin: Configured[Any], host: Host, stack: AsyncExitStack) -> Any:
    """Make one plugin; what it raises at start is the operator's to solve."""
    kind = plugin.spec.kind
    try:
        made = plugin.spec.factory(plugin.config, host)
        if hasattr(made, "__aenter__"):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await made.__aenter__()
            stack.push_async_callback(_leave, kind, made)
    except ConfigError as error:
        raise ConfigError(str(error), path=f"{plugin.path}.config") from error
    except Exception as error:
        raise ConfigError(
            f"plugin {kind} did not start ({type(error).__name__})", path=plugin.path
        ) from error
    return made


async def _leave(kind: str, made: Any) -> None:
    """Leave a plugin's resources; one that fails or hangs here must not keep the others open."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await made.__aexit__(None, None, None)
    except Exception as error:
        _log.warning("plugin %s did not stop cleanly (%s)", kind, type(error).__name__)
