"""How an operator writes a size, a duration, an address and a secret; what is wrong is answered with an example."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr

_SIZE = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB|TiB)?\Z")
_UNITS = {None: 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\Z")
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:]+\]|[^:]+):[0-9]+\Z")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _size(value: object) -> object:
    if isinstance(value, str):
        match = _SIZE.match(value.strip())
        if match is None:
            raise ValueError('write a size such as "16MiB"')
        return int(match[1]) * _UNITS[match[2]]
    return value


def _seconds(value: object) -> object:
    if isinstance(value, str):
        match = _DURATION.match(value.strip())
        if match is None:
            raise ValueError('write a duration such as "5s" or "24h"')
        return float(match[1]) * _SECONDS[match[2]]
    return value


def _address(value: object) -> object:
    if not isinstance(value, str) or _ADDRESS.match(value) is None:
        raise ValueError("write an address and a port such as 127.0.0.1:8080")
    return value


def _secret(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value.startswith("env:"):
        name = value[4:]
        if name not in os.environ:
            raise ValueError(f"the environment has no {name}")
        return os.environ[name].strip()
    if value.startswith("file:"):
        path = Path(value[5:])
        try:
            return path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ValueError(f"cannot read the secret's file: {error.strerror}") from error
    raise ValueError("secrets are references: write env:NAME or file:PATH")


Size = Annotated[int, BeforeValidator(_size), Field(gt=0)]
Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0)]
Address = Annotated[str, BeforeValidator(_address)]
Secret = Annotated[SecretStr, BeforeValidator(_secret), Field(min_length=1)]
