"""Named random streams: each is a function of (seed, stage, step, name) and of nothing else.

Resuming is exact, and a new component never shifts another one's noise.
"""

import hashlib

import torch


def generator(*key: str | int) -> torch.Generator:
    """A CPU generator seeded from the parts of `key`, the same on every machine."""
    digest = hashlib.sha256("\0".join(map(str, key)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
