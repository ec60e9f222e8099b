"""An id that came before with another payload: the event gets an id of its own, which says so; pure.

The new id is SHA-256 over the taken id and the keyed digest of the record. So the same payload under the
same id is the same event on every retry, through whichever request it comes, and another payload is another.
"""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

import orjson

from pipeline.audit.frame import LINE_CONFLICT, pack_row, unpack_row
from pipeline.audit.leaf import fit


class OwnEntry(NamedTuple):
    """What goes into the log instead.

    Attributes:
        row: Bid, line with its mark, the new id, mac.
        leaf: With ``id`` and ``conflict``.
        blob: The line, when it does not fit the leaf any more.
    """

    row: bytes
    leaf: bytes
    blob: bytes | None


def own_entry(row: bytes, leaf: bytes) -> OwnEntry:
    """Return the entry of an event whose id is taken.

    A leaf that is no JSON object is kept as it is: nobody but a test makes one, and no event may be lost.
    """
    bid, line, taken, mac = unpack_row(row)
    identity = sha256(b"conflict\0" + taken + mac).digest()[:16]
    own = pack_row(bid, line | LINE_CONFLICT, identity, mac)
    try:
        fields = orjson.loads(leaf)
    except orjson.JSONDecodeError:
        return OwnEntry(own, leaf, None)
    if not isinstance(fields, dict):
        return OwnEntry(own, leaf, None)
    fields["conflict"], fields["id"] = fields.get("id", ""), identity.hex()
    if "cut" in fields:
        fields["cut"] = ["conflict" if name == "id" else name for name in fields["cut"]]
    raw = fields.get("raw")
    return OwnEntry(own, *fit(fields, raw.encode() if isinstance(raw, str) else None))
