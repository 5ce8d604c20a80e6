"""The colour of black-body light."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_XYZ_TO_RGB = np.array(  # IEC 61966-2-1
    (
        (3.2406255, -1.5372080, -0.4986286),
        (-0.9689307, 1.8757561, 0.0415175),
        (0.0557101, -0.2040211, 1.0569959),
    )
)

LUMINANCE = np.array((0.2126, 0.7152, 0.0722))
"""Luminance of linear red, green and blue (IEC 61966-2-1)."""


def chromaticity(kelvin: float) -> tuple[float, float]:
    """Returns the CIE 1931 (x, y) of a black body at 1667 to 25000 kelvin.

    Source: Kim et al., Design of advanced color temperature control system for HDTV applications, Journal of the Korean
    Physical Society 41, 2002: cubic splines of the Planckian locus.
    """
    inverse = 1e3 / kelvin
    if kelvin < 4000:
        x = np.polyval((-0.2661239, -0.2343589, 0.8776956, 0.179910), inverse)
    else:
        x = np.polyval((-3.0258469, 2.1070379, 0.2226347, 0.240390), inverse)
    if kelvin < 2222:
        y = np.polyval((-1.1063814, -1.34811020, 2.18555832, -0.20219683), x)
    elif kelvin < 4000:
        y = np.polyval((-0.9549476, -1.37418593, 2.09137015, -0.16748867), x)
    else:
        y = np.polyval((3.0817580, -5.87338670, 3.75112997, -0.37001483), x)
    return float(x), float(y)


def light_of(mireds: float) -> npt.NDArray[np.float64]:
    """Returns the linear sRGB (3,) of a black body's light, of luminance 1.

    ``mireds`` is 10^6 / temperature in kelvins, 40 to 599; equal steps look equal.
    """
    x, y = chromaticity(1e6 / mireds)
    light: npt.NDArray[np.float64] = _XYZ_TO_RGB @ np.array((x / y, 1.0, (1 - x - y) / y))
    return light
