"""HDR (PQ) to SDR, and BT.2020's colours to BT.709's: the formulas, and tables of them.

The signal is decoded by the EOTF of SMPTE ST 2084 (BT.2100). Where the primaries are BT.2020's, linear light is brought to
BT.709's (the matrix of BT.2087). The largest of red, green and blue goes through the EETF of BT.2390 (section 5.4.1), from the
10,000 nits that PQ can say to the 203 nits of BT.2408's reference white, which is SDR's white; the other two are scaled alike, so
that hues stay. What comes out is encoded by the inverse of BT.1886 with a black of 0, a gamma of 2.4. What a file says of the
display on which it was graded is not used: it is often missing or wrong, and the same light gives the same picture.

HLG is made to be seen on an SDR screen as it is, so its curve stays. Its colours, and those of SDR in BT.2020, are brought to
BT.709 with a gamma of 2.4. Colours that BT.709 does not have are cut off.

Not covered: primaries other than these two, and Dolby Vision without a picture that others can show.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

WHITE = 203.0
"""Nits of SDR's white."""

PEAK = 10_000.0
"""Nits of the brightest light that PQ can say."""

_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32

_GAMMA = 2.4

_TO_BT709 = np.array(
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]], np.float32
)

_STEPS = 2**14
"""Entries of a table, even in the fourth root of light: finer than 8 bits can tell."""

_AT_ONCE = 2**18
"""Pixels that are worked on at once, so that memory does not depend on the size of frames."""


@dataclass(frozen=True)
class Conversion:
    """What is to be done to the RGB of a film: map its tones from PQ, its colours from BT.2020, or both."""

    pq: bool
    wide: bool

    def applied(self, pixels: np.ndarray) -> np.ndarray:
        """(height, width, 3) uint16 to uint8 of the same shape, as BT.709 in SDR."""
        converted = np.empty(pixels.shape, np.uint8)
        rows = max(1, _AT_ONCE // max(1, pixels.shape[1]))
        for row in range(0, len(pixels), rows):
            converted[row : row + rows] = self._converted(pixels[row : row + rows])
        return converted

    def _converted(self, pixels: np.ndarray) -> np.ndarray:
        light = (_pq_light() if self.pq else _gamma_light())[pixels]
        if self.wide:
            light = light @ _TO_BT709.T
        if self.pq:
            brightest = light.max(-1, keepdims=True)
            light *= _scales()[_step(brightest / np.float32(PEAK / WHITE))]
        coded: np.ndarray = _encoded()[_step(light)]
        return coded


def from_pq(signal: np.ndarray) -> np.ndarray:
    """Nits of a PQ signal from 0 to 1."""
    root = signal ** (1 / _M2)
    nits: np.ndarray = PEAK * (np.maximum(root - _C1, 0) / (_C2 - _C3 * root)) ** (1 / _M1)
    return nits


def to_pq(nits: np.ndarray) -> np.ndarray:
    """The PQ signal of nits from 0 to 10,000."""
    power = (nits / PEAK) ** _M1
    signal: np.ndarray = ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2
    return signal


def tone_mapped(nits: np.ndarray) -> np.ndarray:
    """Nits from 0 to `PEAK` as nits from 0 to `WHITE`: BT.2390's EETF, whose black is 0 on both sides."""
    signal = to_pq(nits)
    most = to_pq(np.array(WHITE))
    knee = 1.5 * most - 0.5
    t = (np.maximum(signal, knee) - knee) / (1 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    return from_pq(np.where(signal < knee, signal, spline))


def _step(light: np.ndarray) -> np.ndarray:
    """The entry of a table for light from 0 to 1; what lies outside is cut off."""
    steps: np.ndarray = np.sqrt(np.sqrt(light.clip(0, 1))) * np.float32(_STEPS - 1) + np.float32(0.5)
    return steps.astype(np.uint16)


def _table() -> np.ndarray:
    light: np.ndarray = (np.arange(_STEPS) / (_STEPS - 1)) ** 4
    return light


@cache
def _pq_light() -> np.ndarray:
    """Light of 16 bits of PQ; 1 is `WHITE`."""
    return (from_pq(np.arange(2**16) / (2**16 - 1)) / WHITE).astype(np.float32)


@cache
def _gamma_light() -> np.ndarray:
    """Light of 16 bits of an SDR signal."""
    light: np.ndarray = (np.arange(2**16) / (2**16 - 1)) ** _GAMMA
    return light.astype(np.float32)


@cache
def _scales() -> np.ndarray:
    """By what light is multiplied, for light from 0 to 1, which is `PEAK`."""
    nits = PEAK * np.maximum(_table(), 1e-12)
    scales: np.ndarray = tone_mapped(nits) / nits
    return scales.astype(np.float32)


@cache
def _encoded() -> np.ndarray:
    """8 bits of an SDR signal, for light from 0 to 1."""
    signal: np.ndarray = np.rint(255 * _table() ** (1 / _GAMMA)).astype(np.uint8)
    return signal
