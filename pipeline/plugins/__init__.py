"""Third-party plugins: found by entry point, checked against their specs, run under guard.

`Plugins.load` reads the configuration section ``plugins`` and imports what it names, nothing else.
`Plugins.running` makes the plugins and owns their resources. In a batch a plugin can hurt only the
record it was given: what it raises, returns or overruns is turned into a verdict for that row.
"""

from pipeline.plugins.catalog import Catalog
from pipeline.plugins.classifiers import ClassifierRunner
from pipeline.plugins.configured import PluginEntry, PluginsSection, config_schema
from pipeline.plugins.detectors import GuardedDetector
from pipeline.plugins.guard import Guard, PluginError
from pipeline.plugins.loading import Plugins, Running, load_stages
from pipeline.plugins.processors import ProcessorRunner
from pipeline.plugins.suspects import Suspects, SuspectSlot
from pipeline.plugins.watch import Watch

__all__ = [
    "Catalog",
    "ClassifierRunner",
    "Guard",
    "GuardedDetector",
    "PluginEntry",
    "PluginError",
    "Plugins",
    "PluginsSection",
    "ProcessorRunner",
    "Running",
    "SuspectSlot",
    "Suspects",
    "Watch",
    "config_schema",
    "load_stages",
]
