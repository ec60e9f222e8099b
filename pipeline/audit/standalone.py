"""Checks the evidence that lies beside this file. Needs Python 3.9 or newer and nothing else; reads, never writes.

For each event it computes the hash of the event's bytes, follows the path in its proof up to a root, and compares
that with the root that the log's key signed. An event that was changed, a proof of another event, another index or
another log does not pass. Formats: RFC 6962 section 2.1, C2SP tlog-proof, tlog-checkpoint and signed-note; signature:
Ed25519, RFC 8032.

usage: python3 verify.py [--key FILE]     exit code: 0 all hold, 1 something does not, 2 nothing could be checked
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from pathlib import Path

# Edwards curve of RFC 8032 section 5.1.
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
Point = tuple[int, int, int, int]
Key = tuple[str, bytes, bytes]


def recover_x(y: int, sign: int) -> int | None:
    """Return the x coordinate that belongs to y, or None (section 5.1.3)."""
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    return P - x if x & 1 != sign else x


def decompress(data: bytes) -> Point | None:
    """Return a point in extended coordinates, or None."""
    number = int.from_bytes(data, "little")
    y, sign = number & ((1 << 255) - 1), number >> 255
    if y >= P:
        return None
    x = recover_x(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


def add(one: Point, two: Point) -> Point:
    """Add two points (section 5.1.4)."""
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = two
    a, b = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    c, d = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(scalar: int, point: Point) -> Point:
    """Multiply a point."""
    total = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point, scalar = add(point, point), scalar >> 1
    return total


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X = recover_x(BASE_Y, 0) or 0
BASE: Point = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def holds(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether an Ed25519 signature is right (section 5.1.7)."""
    key = decompress(public)
    point = decompress(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or key is None or point is None or scalar >= ORDER:
        return False
    digest = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    left, right = multiply(scalar, BASE), add(point, multiply(digest, key))
    same_x = (left[0] * right[2] - right[0] * left[2]) % P == 0
    return same_x and (left[1] * right[2] - right[1] * left[2]) % P == 0


def read_key(text: str) -> Key:
    """Return name, key id and public key of a verifier key; ValueError when its parts do not fit."""
    name, hint, encoded = text.strip().split("+", 2)
    data = base64.b64decode(encoded, validate=True)
    identity = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
    if len(data) != 33 or data[0] != 1 or identity.hex() != hint:
        raise ValueError("the key is no Ed25519 verifier key")
    return name, identity, data[1:]


def open_checkpoint(note: bytes, key: Key) -> tuple[int, bytes]:
    """Return size and root of a checkpoint that the key signed; ValueError when it did not."""
    name, identity, public = key
    cut = note.rindex(b"\n\n")
    text, lines = note[: cut + 1], note[cut + 2 :].decode().split("\n")
    for line in lines:
        if line.startswith("\N{EM DASH} " + name + " "):
            blob = base64.b64decode(line.rsplit(" ", 1)[1], validate=True)
            if blob[:4] == identity:
                if not holds(public, text, blob[4:]):
                    raise ValueError("the signature of the checkpoint is wrong")
                origin, size, root = text.decode().split("\n")[:3]
                if origin != name:
                    raise ValueError("the checkpoint is of another log")
                return int(size), base64.b64decode(root, validate=True)
    raise ValueError("the key did not sign the checkpoint")


def check_inclusion(leaf: bytes, index: int, size: int, path: list[bytes], root: bytes) -> bool:
    """Tell whether a path shows a leaf hash at an index of a tree (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, at, last = leaf, index, size - 1
    for sibling in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            node = hashlib.sha256(b"\x01" + sibling + node).digest()
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\x01" + node + sibling).digest()
        at, last = at >> 1, last >> 1
    return last == 0 and node == root


def check_event(event: bytes, proof: bytes, key: Key, opened: dict[bytes, tuple[int, bytes]]) -> int:
    """Check one event; ``opened`` remembers checkpoints that were opened already. ValueError says what fails."""
    head, gap, note = proof.partition(b"\n\n")
    lines = head.decode().split("\n")
    if not gap or lines[0] != "c2sp.org/tlog-proof@v1" or not lines[1].startswith("index "):
        raise ValueError("the proof is malformed")
    if note not in opened:
        opened[note] = open_checkpoint(note, key)
    size, root = opened[note]
    path = [base64.b64decode(line, validate=True) for line in lines[2:]]
    index = int(lines[1][6:])
    if not check_inclusion(hashlib.sha256(b"\x00" + event).digest(), index, size, path, root):
        raise ValueError(f"the event is not what is at index {index} of the log")
    return index


def main(arguments: list[str]) -> int:
    """Check everything that lies here; print what does not hold."""
    here = Path(__file__).resolve().parent
    key_file = Path(arguments[1]) if arguments[:1] == ["--key"] and len(arguments) == 2 else here / "log.vkey"
    try:
        key = read_key(key_file.read_text())
        wanted = json.loads((here / "manifest.json").read_text())["indexes"]
    except (OSError, ValueError, KeyError) as error:
        print(f"UNKNOWN {key_file.name}: {error}")
        return 2
    opened: dict[bytes, tuple[int, bytes]] = {}
    failed = 0
    for index in wanted:
        try:
            event = (here / "events" / f"{index}.json").read_bytes()
            proof = (here / "proofs" / f"{index}.tlog-proof").read_bytes()
            if check_event(event, proof, key, opened) != index:
                raise ValueError("the proof is of another index")
        except (OSError, ValueError, IndexError) as error:
            print(f"FAIL event {index}: {error}")
            failed += 1
    strange = {path.stem for path in (here / "events").glob("*")} - {str(index) for index in wanted}
    for name in sorted(strange):
        print(f"FAIL events/{name}: the manifest does not name it")
    if failed or strange:
        return 1
    signed = ", ".join(f"{size} entries" for size, _ in opened.values())
    print(f"verified: {len(wanted)} events of {key[0]}, signed at {signed or 'nothing'}")
    print(
        f"trusted key: {key[0]}+{key[1].hex()} of {key_file.name}; compare it with the key that you were given"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
