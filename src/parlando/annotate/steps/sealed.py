"""Whether a file is encrypted: by the marks that programs leave, or, where there are none, by looking like noise."""

from __future__ import annotations

import numpy as np

from parlando.audio.sniff import BinaryFile, sniff

LOOKED_AT_BYTES = 1 << 16
MARKS = {
    b"Salted__": "encrypted by openssl",
    b"age-encryption.org/": "encrypted by age",
    b"-----BEGIN PGP MESSAGE": "encrypted by PGP",
    b"AAXC": "an encrypted audiobook",
    b"LUKS\xba\xbe": "an encrypted volume",
    b"VeraCrypt": "an encrypted volume",
}
ZIP, ZIP_LOCKED = b"PK\x03\x04", 6
PGP_PACKETS = (0x84, 0x85, 0x8C, 0xC1, 0xC3, 0xD2)
MP4_LOCKED = (b"enca", b"drms", b"aavd")
"""Kinds of sound in an MP4 file that are encrypted: the common scheme's, and two shops' own."""
NOISE_BITS, NOISE_BYTES = 7.9, 4096
"""Entropy of a byte that only noise has, and how many bytes it takes to tell."""


def sealed_by(stream: BinaryFile) -> str:
    """What is known of the lock; empty where there is none."""
    stream.seek(0)
    head = stream.read(LOOKED_AT_BYTES)
    stream.seek(0)
    for mark, what in MARKS.items():
        if head.startswith(mark):
            return what
    if head.startswith(ZIP) and head[ZIP_LOCKED] & 1:
        return "an encrypted archive"
    if head[4:8] == b"ftyp":
        return "its sound is protected (DRM)" if any(kind in head for kind in MP4_LOCKED) else ""
    if sniff(stream) is not None or entropy_bits(head) < NOISE_BITS or len(head) < NOISE_BYTES:
        return ""
    packet = head[0] in PGP_PACKETS
    return "encrypted by PGP" if packet else "its bytes are noise, as those of encrypted files are"


def entropy_bits(content: bytes) -> float:
    """Bits of information in a byte, by how often each value is there."""
    counts = np.bincount(np.frombuffer(content, np.uint8), minlength=256)
    shares = counts[counts > 0] / max(1, len(content))
    return float(-(shares * np.log2(shares)).sum())
