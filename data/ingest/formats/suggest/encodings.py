"""The encodings of texts that are not UTF-8, by the zone where their meters are.

Here: what programs of a region write. Not here: reading a text (`container`). Bytes do not tell one encoding
of single bytes from another, and of several bytes they tell it badly in a file with few words.
"""

_OF_ZONES: dict[str, tuple[str, ...]] = {
    "cp932": ("Asia/Tokyo", "Japan"),
    "gb18030": ("Asia/Shanghai", "Asia/Chongqing", "Asia/Urumqi", "PRC"),
    "cp949": ("Asia/Seoul", "ROK"),
    "cp950": ("Asia/Taipei", "Asia/Hong_Kong", "Asia/Macau"),
    "cp1250": (
        *("Europe/Prague", "Europe/Warsaw", "Europe/Budapest", "Europe/Bratislava", "Europe/Ljubljana"),
        *("Europe/Zagreb", "Europe/Bucharest", "Europe/Sarajevo", "Europe/Belgrade", "Europe/Tirane"),
        *("Poland",),
    ),
    "cp1251": (
        *("Europe/Sofia", "Europe/Kyiv", "Europe/Kiev", "Europe/Moscow", "Europe/Minsk", "Europe/Skopje"),
        *("Asia/Almaty", "Asia/Yekaterinburg"),
    ),
    "cp1253": ("Europe/Athens", "Asia/Nicosia"),
    "cp1254": ("Europe/Istanbul", "Turkey"),
    "cp1255": ("Asia/Jerusalem", "Israel"),
    "cp1257": ("Europe/Vilnius", "Europe/Riga", "Europe/Tallinn"),
}


def list_codecs(timezone: str | None) -> list[str]:
    """Return the encodings to try, the most likely one first."""
    return [*(codec for codec, zones in _OF_ZONES.items() if timezone in zones), "cp1252"]
