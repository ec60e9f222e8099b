"""Leaf v1: one JSON object with sorted keys, at most 65,535 bytes. Table: docs/formats/audit.md.

The bytes are hashed and kept as they are; nobody serialises a leaf a second time.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import orjson

from pipeline.audit.entry import MAX_LEAF_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headrig import AuditEvent

LEAF_VERSION = 1
MAX_CUT_CHARACTERS = 1_024
_BLOB_KEY = b'"blob":{'
_BLOB_HINT = _BLOB_KEY[:5]
"""So short that it is looked for in another way, in half the time."""
_EVENT_LOG_ACTIVITY = 1008  # OCSF: Event Log Activity
_OTHER = 99  # OCSF: an activity that the class does not list
_CUT = ("id", "conflict", "actor", "target", "action", "outcome", "rule", "tenant")


def encode_leaf(
    *,
    id: str,  # noqa: A002 - as in the leaf
    ts_ns: int,
    tenant: str,
    event: AuditEvent,
    policy: Mapping[str, str],
    raw: bytes | None,
) -> tuple[bytes, bytes | None]:
    """Return the leaf of an audit event, and the blob to be stored beside it, or None.

    Args:
        id: The event id as text.
        ts_ns: Time of the record, unix ns.
        tenant: From the credential.
        event: What classification found.
        policy: Digests of the rule sets that were in force, by name.
        raw: The masked line as it goes to Loki, UTF-8; kept exactly, as a JSON string. Where the leaf
            would pass its bound, the leaf has its SHA-256 and length instead and it comes back as blob.
    """
    fields: dict[str, Any] = {
        "action": event.action,
        "activity_id": event.activity_id,
        "actor": event.actor,
        "class_uid": event.class_uid,
        "id": id,
        "outcome": event.outcome,
        "policy": policy,
        "rule": event.rule,
        "target": event.target,
        "tenant": tenant,
        "ts": str(ts_ns),
        "v": LEAF_VERSION,
    }
    if event.seq is not None:
        fields["seq"] = event.seq
    if event.ocsf:
        fields["ocsf"] = event.ocsf
    if raw is not None and len(raw) <= MAX_LEAF_BYTES:
        fields["raw"] = raw.decode()
    return fit(fields, raw)


def fit(fields: dict[str, Any], raw: bytes | None) -> tuple[bytes, bytes | None]:
    """Return the leaf of these fields, and the line as a blob when it does not fit the leaf."""
    try:
        data = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError):  # a mapping that is not JSON, e.g. a number above 64 bits
        data = b""
    if data and len(data) <= MAX_LEAF_BYTES and (raw is None or "raw" in fields):
        return data, None
    return _encode_large(fields, raw)


def _encode_large(fields: dict[str, Any], raw: bytes | None) -> tuple[bytes, bytes | None]:
    """Put the line into a blob, then leave out or shorten what is still too much, and say so in ``cut``.

    Nothing is lost by a cut: every field but the id is derived from the line, which is kept whole.
    """
    fields.pop("raw", None)
    if raw is not None:
        fields["blob"] = {"len": len(raw), "sha256": sha256(raw).hexdigest()}
    try:
        data = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError):
        data = b""
    if not data or len(data) > MAX_LEAF_BYTES:
        data = orjson.dumps(_cut(fields), option=orjson.OPT_SORT_KEYS)
    return data, raw


def _cut(fields: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in fields.items() if name != "ocsf"}
    cut = [*fields.get("cut", ()), *(["ocsf"] if "ocsf" in fields else [])]
    for name in _CUT:
        if name not in kept:
            continue
        text = str(kept[name]).encode("utf-8", "replace").decode()[:MAX_CUT_CHARACTERS]
        if text != kept[name]:
            kept[name] = text
            cut.append(name)
    if not -(2**63) <= kept.get("seq", 0) < 2**64:
        del kept["seq"]
        cut.append("seq")
    return {**kept, "cut": cut}


def encode_unscanned_leaf(
    *,
    id: str,  # noqa: A002
    ts_ns: int,
    tenant: str,
    size: int,
    reason: str,
    hmac_hex: str,
    policy: Mapping[str, str],
) -> bytes:
    """Return the leaf of a record that could not be scanned: that it came, never what it said.

    Args:
        size: Bytes of the line as received.
        reason: The short word of the verdict.
        hmac_hex: HMAC-SHA-256 of the line as received, lower-case hex.
    """
    return orjson.dumps(
        {
            "action": "quarantine",
            "activity_id": _OTHER,
            "actor": "headrig",
            "class_uid": _EVENT_LOG_ACTIVITY,
            "id": id,
            "outcome": "failure",
            "policy": policy,
            "rule": "headrig.unscanned",
            "target": "record",
            "tenant": tenant,
            "ts": str(ts_ns),
            "unscanned": {"hmac": hmac_hex, "reason": reason, "size": size},
            "v": LEAF_VERSION,
        },
        option=orjson.OPT_SORT_KEYS,
    )


def blob_name(blob: bytes) -> tuple[str, int]:
    """Return digest (hex) and length of a blob, as its leaf has them."""
    return sha256(blob).hexdigest(), len(blob)


def may_have_blobs(entries: bytes) -> bool:
    """Say whether any of many leaves may point at a blob: one search instead of one each."""
    return _BLOB_HINT in entries and _BLOB_KEY in entries


def blob_of(leaf: bytes) -> tuple[str, int] | None:
    """Return digest (hex) and length of the blob that a leaf points at, or None."""
    # In a JSON string the quotes would be escaped, so this finds keys only; most leaves stop here.
    if _BLOB_KEY not in leaf:
        return None
    try:
        blob = orjson.loads(leaf).get("blob")
        return str(blob["sha256"]), int(blob["len"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
