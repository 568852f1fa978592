"""Names of months in the languages of the senders, and the months that a text names.

Not here: dates and times (`wallclock`).
"""

import re

# Latin letters with their marks, in the pattern languages of Python and of Arrow.
LETTERS = "A-Za-z\u00c0-\u017f"
_MONTHS = {
    name: number
    for number, names in enumerate(
        [
            # English, German, French, Spanish, Dutch, Italian, Danish, Norwegian, Swedish, Polish,
            # Portuguese, Czech, Finnish, Hungarian, Turkish, Romanian.
            "january jan januar jänner jän janvier janv enero ene januari gennaio gen styczeń stycznia"
            " sty janeiro leden ledna tammikuu tammikuuta tammi január ocak oca ianuarie ian",
            "february feb februar februari février févr fév febrero febbraio luty lutego lut fevereiro"
            " fev únor února helmikuu helmikuuta helmi február febr şubat şub februarie",
            "march mar märz mär mrz mars mart marzo maart mrt marts marzec marca março březen března"
            " maaliskuu maaliskuuta maalis március márc martie",
            "april apr avril avr abril abr aprile kwiecień kwietnia kwi duben dubna huhtikuu huhtikuuta"
            " huhti április ápr nisan nis aprilie",
            "may mai mayo mei maggio mag maj maja maio květen května toukokuu toukokuuta touko május máj"
            " mayıs",
            "june jun juni juin junio giugno giu czerwiec czerwca cze junho červen června kesäkuu"
            " kesäkuuta kesä június jún haziran haz iunie iun",
            "july jul juli juillet juil julio luglio lug lipiec lipca lip julho červenec července"
            " heinäkuu heinäkuuta heinä július júl temmuz tem iulie iul",
            "august aug août agosto ago augustus augusti sierpień sierpnia sie srpen srpna elokuu"
            " elokuuta elo augusztus ağustos ağu",
            "september sep sept septembre septiembre settembre set wrzesień września wrz setembro září"
            " syyskuu syyskuuta syys szeptember szept eylül eyl septembrie",
            "october oct oktober okt octobre octubre ottobre ott październik października paź outubro out"
            " říjen října lokakuu lokakuuta loka október ekim eki octombrie",
            "november nov novembre noviembre listopad listopada lis novembro marraskuu marraskuuta marras"
            " kasım kas noiembrie noi",
            "december dec dezember dez décembre déc diciembre dic dicembre desember des grudzień grudnia"
            " gru dezembro prosinec prosince joulukuu joulukuuta joulu aralık ara decembrie",
        ],
        1,
    )
    for name in names.split()
}


def find_month(name: str) -> int:
    """Return the number of a month by its name or a short form of it, 0 for another word."""
    return _MONTHS.get(name.lower().rstrip("."), 0)


def find_months(text: str) -> set[str]:
    """Return the months that a text names with their year, such as 2025-03 of `März 2025` and `03/2025`."""
    named = re.findall(rf"([{LETTERS}]{{3,12}})\.?[ ,.-]*(20[0-9]{{2}})(?![0-9])", text)
    found = [(year, find_month(name)) for name, year in named]
    found += [
        (year, int(month))
        for year, month in re.findall(r"(?<![0-9])(20[0-9]{2})[-/.](0[1-9]|1[0-2])(?![-/.0-9])", text)
    ]
    found += [
        (year, int(month))
        for month, year in re.findall(r"(?<![-/.0-9])(0?[1-9]|1[0-2])[-/.](20[0-9]{2})(?![0-9])", text)
    ]
    return {f"{year}-{month:02}" for year, month in found if month}
