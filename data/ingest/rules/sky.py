"""The position of the sun and the irradiance of a clear sky, on arrays, by pvlib's models.

Here: the elevation of the sun, which is all that validation needs. Not here: what a meter may report under
that sky (`solar`), the yield of an array (`data.solar.reference`), or clouds. pvlib is imported inside
functions: it takes seconds.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Instants = npt.NDArray[np.datetime64]
Degrees = float | Floats


def solar_elevation_sine(instants: Instants, latitude: Degrees, longitude: Degrees) -> Floats:
    """Return the sine of the sun's elevation at UTC `instants` (n,); degrees north and east, one place or n.

    Declination and equation of time: J. W. Spencer, "Fourier series representation of the position of
    the sun", Search 2(5), 1971. Accurate to a few hundredths of a degree, for any number of places in one
    call; pvlib's exact positions take one place at a time.
    """
    from pvlib import solarposition

    times = pd.DatetimeIndex(instants, tz="UTC")
    seconds = instants.astype("datetime64[s]").astype(np.int64)
    year_start = instants.astype("datetime64[Y]").astype("datetime64[s]").astype(np.int64)
    day_of_year = 1 + (seconds - year_start) / 86_400
    hour_angle = solarposition.hour_angle(
        times, longitude, solarposition.equation_of_time_spencer71(day_of_year)
    )
    zenith = solarposition.solar_zenith_analytical(
        np.radians(latitude), np.radians(hour_angle), solarposition.declination_spencer71(day_of_year)
    )
    return np.asarray(np.cos(zenith), dtype=np.float64)


def clear_sky_w_per_m2(sine: Floats) -> Floats:
    """Return the irradiance on the ground (GHI) for sines of the sun's elevation (n,), 0 with the sun down.

    B. Haurwitz, "Insolation in relation to cloudiness and cloud density", J. Meteor. 2, 1945.
    """
    from pvlib import clearsky

    zenith = pd.Series(np.degrees(np.arccos(np.clip(sine, -1.0, 1.0))))
    return np.asarray(clearsky.haurwitz(zenith)["ghi"], dtype=np.float64)
