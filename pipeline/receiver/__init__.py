"""The HTTP edge for writers: credentials, limits, decoding of each dialect, true answers.

``ingest`` is the ASGI application of the ingest routes; it reads and inflates a request (``body``),
lets a dialect (``dialect_json``, ``dialect_loki``) decode it to an `Inbound`, hands that to the flow
and answers in the dialect's way. Refusals are problem documents (``problem``) that never quote content.
"""
