"""Enrichment: who owns the service, how bad it is, which trace it belongs to.

The stage sets attributes and never edits a line. Configuration::

    catalog: services.yaml     # service to team, tier, owner, environment; null: none
    static: {region: eu-1}     # attributes of every record
    levels: true               # set detected_level
    trace_context: true        # set trace_id and span_id

Attributes: ``team``, ``tier``, ``owner``, ``environment`` (that of the credential wins over the
catalog's), the static ones, ``detected_level`` (one of trace, debug, info, warn, error, fatal),
``trace_id`` (32 hex digits) and ``span_id`` (16). What a record does not say is not set.
"""

from headrig import StageSpec

from processors.enrichment.settings import wanted_fields
from processors.enrichment.stage import Enricher, make_enricher

SPEC = StageSpec(kind="enrich", factory=make_enricher, fields=wanted_fields)

__all__ = ["SPEC", "Enricher"]
