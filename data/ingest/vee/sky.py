"""Where the sun stands and what a clear sky gives: published formulas, on arrays.

Here: physics alone. Not here: what a meter may therefore say (`days`), or clouds.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Instants = npt.NDArray[np.datetime64]
Degrees = float | Floats


def solar_elevation_sine(instants: Instants, latitude: Degrees, longitude: Degrees) -> Floats:
    """Sine of the sun's elevation at UTC `instants` (n,); degrees north and east,
    one place or n.

    Declination and equation of time: J. W. Spencer, "Fourier series representation of the position of
    the sun", Search 2(5), 1971. Good to a few hundredths of a degree.
    """
    seconds = instants.astype("datetime64[s]").astype(np.int64)
    year_start = instants.astype("datetime64[Y]").astype("datetime64[s]").astype(np.int64)
    angle = 2 * np.pi * (seconds - year_start) / (365.0 * 86_400)
    cosines = [np.cos(k * angle) for k in (1, 2, 3)]
    sines = [np.sin(k * angle) for k in (1, 2, 3)]
    declination = (
        0.006918
        - 0.399912 * cosines[0]
        + 0.070257 * sines[0]
        - 0.006758 * cosines[1]
        + 0.000907 * sines[1]
        - 0.002697 * cosines[2]
        + 0.00148 * sines[2]
    )
    equation_of_time_minutes = 229.18 * (
        0.000075 + 0.001868 * cosines[0] - 0.032077 * sines[0] - 0.014615 * cosines[1] - 0.040849 * sines[1]
    )
    solar_minutes = (seconds % 86_400) / 60 + equation_of_time_minutes + 4 * longitude
    hour_angle = np.radians(solar_minutes / 4 - 180)
    phi = np.radians(latitude)
    sine: Floats = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour_angle)
    return sine


def clear_sky_w_per_m2(sine: Floats) -> Floats:
    """Irradiance on the ground (GHI) for sines of the sun's elevation (n,), 0 with the sun down.

    B. Haurwitz, "Insolation in relation to cloudiness and cloud density", J. Meteor. 2, 1945, with the
    coefficients of Reno, Hansen and Stein, SAND2012-2389.
    """
    up = np.maximum(sine, 1e-6)
    irradiance: Floats = np.where(sine > 0, 1098.0 * up * np.exp(-0.059 / up), 0.0)
    return irradiance
