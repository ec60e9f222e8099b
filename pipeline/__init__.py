"""The application headrig. Private: nobody imports it; what plugins and services import is `headrig`.

``receiver`` takes requests, ``flow`` runs the stages and commits, ``buffer`` and ``audit`` are the durable logs,
``sinks`` deliver, ``query`` reads back, ``app`` wires a worker, ``supervisor`` keeps the processes running.
"""
