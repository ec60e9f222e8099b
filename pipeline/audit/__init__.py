"""The tamper-evident audit log: an append-only Merkle tree with one writer and signed checkpoints.

`server` is the process that writes; `client` is how workers reach it; `verify` is what an auditor runs.
Formats on disk: ``docs/formats/audit.md``.
"""
