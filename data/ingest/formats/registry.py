"""The formats that the platform reads, in the order in which a file is compared with them.

A new format is one more line here. Detection, reading, mappings, the table in docs/formats.md, the tests of
damaged files and the fuzzer iterate over `FORMATS`.
"""

from data.ingest.formats import (
    asexml,
    canonical_csv,
    canonical_ndjson,
    canonical_parquet,
    cmep,
    datadis_json,
    dsmr,
    enedis_json,
    green_button,
    iec62056,
    mapped_csv,
    mapped_json,
    mapped_xml,
    mscons,
    n3rgy_json,
    nem12,
    nem13,
    octopus_json,
    solaredge_json,
)
from data.ingest.formats.format import FileFormat

# The first format that recognizes a text reads it: what is more specific stands above.
FORMATS: dict[str, FileFormat] = {
    format.name: format
    for format in (
        canonical_parquet.FORMAT,
        asexml.FORMAT,
        green_button.FORMAT,
        mscons.FORMAT,
        canonical_ndjson.FORMAT,
        datadis_json.FORMAT,
        enedis_json.FORMAT,
        solaredge_json.FORMAT,
        n3rgy_json.FORMAT,
        octopus_json.FORMAT,
        iec62056.FORMAT,
        dsmr.FORMAT,
        cmep.FORMAT,
        nem13.FORMAT,
        nem12.FORMAT,
        canonical_csv.FORMAT,
        mapped_csv.FORMAT,
        mapped_json.FORMAT,
        mapped_xml.FORMAT,
    )
}
