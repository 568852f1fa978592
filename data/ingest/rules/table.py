"""The rules that a meter file and its readings must keep: one table of ids, severities and remedies.

Here: the id of each rule, the date and thresholds from which it holds, and what to do when it is broken. Not
here: the code that checks a rule (`formats` for bytes and rows, `judge` for readings, `days` for whole days),
or a tenant's own thresholds, which are rows of `vee_thresholds`. An id never changes its meaning: ids are
stored with quarantined readings and with gate results.

Severities: `info` (reported, nothing to do), `issue` (row kept, somebody should look at it), `severe` (row
kept, and its meter is held back on the date), `reject` (row quarantined), `terminate` (file refused, nothing
written).
"""

from data.ingest.rules.day_table import DAYS, IngestRule, Severity

_ASK_SENDER = "Ask the sender for a corrected file and ingest that."

_TABLE: tuple[tuple[str, Severity, str, str], ...] = (
    ("FILE-UNREADABLE", "terminate", "the file can be opened", "Check the path and the permissions."),
    (
        "FILE-UNSAFE",
        "terminate",
        "the file is a regular file of its own in the folder of its tenant: no link, no pipe",
        "Send the file itself, or a copy of it.",
    ),
    ("FILE-EMPTY", "terminate", "the file has content", _ASK_SENDER),
    (
        "FILE-DAMAGED",
        "terminate",
        "a gzip or zip file unpacks completely and its checksums agree",
        "Transfer the file again; if it is still damaged, ask the sender for it again.",
    ),
    (
        "FILE-ARCHIVE",
        "terminate",
        "an archive holds plain files only: no encryption, no path outside it, no archive inside",
        "Unpack it by hand, look at what is inside, and ingest the meter files one by one.",
    ),
    (
        "FILE-TOO-LARGE",
        "terminate",
        "the size of the file, packed and unpacked, is within the limits for meter files",
        "Split a large file. Be careful with an archive: it may have been made to fill the disk.",
    ),
    (
        "FILE-FORMAT",
        "terminate",
        "the content is in a supported format",
        "Send a format that docs/formats.md names, pass its name with --format if it was detected wrongly, "
        "or read an interval CSV with --mapping.",
    ),
    (
        "FILE-CUT",
        "terminate",
        "the file is complete: NEM12 ends with its 900 record, CSV with a line end, XML with its last end "
        "tag, EDIFACT with its UNZ segment",
        "Transfer the file again; if it is still cut, ask the sender for it again.",
    ),
    (
        "FILE-NO-DATA",
        "terminate",
        "the file holds at least one reading",
        "Nothing to ingest; ask the sender if readings were due.",
    ),
    (
        "FILE-METERS",
        "terminate",
        "at least one meter of the file is configured for the tenant that it is ingested for",
        "If the file is another tenant's, ingest it with --tenant of that tenant. If its meters are new, "
        "ingest it again with --create-meters PROPERTY. If a mapping names its meters, check the mapping.",
    ),
    (
        "FILE-NEW-METERS",
        "terminate",
        "a file that creates meters creates no more than are allowed",
        "Look at the meters with `myproperty inspect`: a mapping may name the wrong column as `identifier`. "
        "If they are right, ingest the file with --max-new-meters N.",
    ),
    ("FILE-NOTHING-LEFT", "terminate", "at least one reading of the file can be used", _ASK_SENDER),
    ("ROW-ENCODING", "reject", "a row is valid text: no invalid byte, no NUL", _ASK_SENDER),
    ("ROW-VALUE", "reject", "a value is a plain decimal number", _ASK_SENDER),
    (
        "ROW-PRECISION",
        "reject",
        "a value fits 11 digits before and 9 after the decimal point, and is never rounded",
        "Ask the sender for values in a larger or smaller unit; if the last digits are the noise of a "
        "program, declare `decimals` in the mapping.",
    ),
    (
        "ROW-UNIT",
        "reject",
        "the unit is known and is one that the register can have",
        "Ask the sender for the unit; a unit is never guessed.",
    ),
    ("ROW-TIMESTAMP", "reject", "a date or instant exists and carries its offset", _ASK_SENDER),
    ("ROW-INTERVAL", "reject", "the interval length is a positive number of seconds", _ASK_SENDER),
    (
        "ROW-LENGTH",
        "reject",
        "a row that states both ends of its interval has the length that the mapping declares",
        "If the rows are totals beside the intervals, nothing is missing; if not, read them by a mapping "
        "with their `interval_minutes`.",
    ),
    (
        "ROW-QUALITY",
        "reject",
        "the quality is known, and null exactly where the value is missing",
        _ASK_SENDER,
    ),
    (
        "ROW-NAME",
        "reject",
        "an identifier, register or serial number has at most 100 letters, none of them invisible, none that "
        "only looks like another",
        _ASK_SENDER,
    ),
    ("ROW-CHANNEL", "reject", "identifier, register and channel are given and known", _ASK_SENDER),
    ("NEM12-HEADER", "terminate", "NEM12 starts with a 100 record", _ASK_SENDER),
    ("NEM12-RECORD", "reject", "a record has a known type and stands in the right place", _ASK_SENDER),
    (
        "NEM12-CHANNEL",
        "reject",
        "a 200 record names NMI, suffix, unit and an interval that divides a day",
        _ASK_SENDER,
    ),
    ("NEM12-VALUE-COUNT", "reject", "a 300 record holds one value for each interval of a day", _ASK_SENDER),
    ("NEM12-DATE", "reject", "the day of a 300 record exists", _ASK_SENDER),
    ("NEM12-QUALITY", "reject", "a quality flag is one of A E F N S V, with a two-digit method", _ASK_SENDER),
    ("NEM12-RANGE", "reject", "a 400 record covers intervals of its own day only", _ASK_SENDER),
    ("NEM12-VERSION", "reject", "an update time exists", _ASK_SENDER),
    (
        "NEM12-UNCOVERED",
        "reject",
        "each value of a day with the quality V has its quality in a 400 record",
        "Ask the sender for the 400 records: a value without a quality is not billed.",
    ),
    (
        "NEM-INCOMPLETE",
        "issue",
        "a file starts with its 100 record and ends with its 900 record; it was read all the same, as its "
        "mapping says",
        "Compare the first and the last day with the sender's: nothing proves that the file is whole.",
    ),
    (
        "NEM-HEADER-TIME",
        "issue",
        "the time in a 100 record exists; its records keep their own update times",
        "Tell the sender.",
    ),
    (
        "DSMR-TELEGRAM",
        "reject",
        "a telegram of a smart meter is whole: its checksum fits, and each of its values stands once",
        "Nothing to do if the log has the next telegram: the energy lies between the reads around it.",
    ),
    (
        "CMEP-RECORD",
        "reject",
        "a record of CMEP has all its fields, as many values as it counts, and an interval of at most days",
        "If the reason names the constant, declare it in the mapping; else ask the sender again.",
    ),
    (
        "IEC-PROFILE",
        "reject",
        "a block of a load profile names its columns, and each of its lines has a value for each of them",
        "Read the meter out again; values of another block are not concerned.",
    ),
    ("NEM13-HEADER", "terminate", "NEM13 starts with a 100 record", _ASK_SENDER),
    ("NEM13-RECORD", "reject", "a record has a known type and all its fields", _ASK_SENDER),
    ("NEM13-QUALITY", "reject", "both reads of a register have a quality flag A, E, F or S", _ASK_SENDER),
    ("NEM13-DATES", "reject", "both read times exist and the current one is later", _ASK_SENDER),
    (
        "NEM13-ROLLOVER",
        "reject",
        "a register goes down only by passing its last digit, to less than half of its range or as the "
        "quantity says",
        "Ask the meter operator if the meter was exchanged or read wrongly.",
    ),
    (
        "NEM13-QUANTITY",
        "reject",
        "the quantity is the difference of the registers to 0.1 % or one step, or 5, 10, 15 and so on times "
        "the difference, as with a current transformer",
        "Ask the sender which of the two is right, and ingest the corrected file: neither is taken.",
    ),
    ("CSV-HEADER", "terminate", "the header has the canonical columns and no others", _ASK_SENDER),
    ("CSV-COLUMNS", "reject", "a row has as many fields as the header", _ASK_SENDER),
    (
        "FILE-MAPPING",
        "terminate",
        "a mapping declares what the file leaves out: its meter or the zone of its times",
        "Write a mapping (docs/formats.md; `myproperty inspect FILE --suggest-mapping` proposes one) and "
        "give it with --mapping.",
    ),
    (
        "MAP-COLUMNS",
        "terminate",
        "the columns that the mapping names are in the file, once each and as many as a day needs",
        "Correct the mapping, or ask the sender what has changed.",
    ),
    (
        "MAP-SHEETS",
        "terminate",
        "a workbook has one sheet with content, or the mapping names those to read; names are in the file",
        'Name the sheets, or the files of an archive, in the mapping: sheets: ["Readings"], or ["20*"].',
    ),
    (
        "MAP-ORDER",
        "terminate",
        "where an hour occurs twice, rows are in the order that the mapping declares",
        "Set `order` in the mapping to the order of the rows.",
    ),
    (
        "MAP-CONFLICT",
        "terminate",
        "rows for one interval of one register do not contradict each other in mass",
        "Declare in the mapping what distinguishes the rows: the register in `columns`, the titles of the "
        "tables in `sections`, or the true `interval_minutes`.",
    ),
    (
        "MAP-SUM",
        "terminate",
        "no column of a channel is the sum of others of that channel, or the same as one; no row is a total",
        "Leave the sum or its parts out of `values`, or give them another channel; remove rows of totals, or "
        "name them in `ignore_rows`.",
    ),
    (
        "MAP-DIAL",
        "terminate",
        "the values of a channel of energy are amounts of intervals, not reads of a dial",
        "Declare `cumulative: true` for the column: the energy is then the difference of two reads.",
    ),
    (
        "MAP-DATES",
        "terminate",
        "the days of a file do not lie a month or a year apart",
        "Correct the order of day, month and year in the format of the times.",
    ),
    (
        "MAP-YEAR",
        "terminate",
        "each text of an archive or workbook states the year of its dates, in them or in its name",
        "Send the texts one by one, each with the `year` of its first row, or with that year in their names.",
    ),
    (
        "MAP-THOUSANDS",
        "terminate",
        "the decimal mark does not stand between thousands",
        "Declare `thousands`, and the other mark as `decimal`; `decimals: 3` if they are decimals.",
    ),
    (
        "MAP-INTERVAL",
        "terminate",
        "the values of a column follow each other at the declared length of an interval, and are no totals "
        "of weeks or months",
        "Set `interval_minutes` to the length that the file has; remove rows of other lengths. Totals of "
        "more than a day are not loaded: ask the sender for quarter-hours, hours or days.",
    ),
    (
        "MAP-BLOCK",
        "terminate",
        "values stand beside the dates of their own block of columns",
        "Write a mapping for each block, with the dates that stand before its values, or split the file.",
    ),
    (
        "MAP-TABLE",
        "terminate",
        "a file holds one table, or the mapping names its tables",
        "Declare the titles above the tables in `sections`, or split the file.",
    ),
    (
        "CSV-DAY",
        "reject",
        "a row for a day holds one value for each interval of that local day",
        "If the file counts wall-clock labels, set clock_change: wall_clock; if it keeps one offset all "
        "year, declare that zone, for example Etc/GMT.",
    ),
    (
        "CSV-LAST-ROW",
        "issue",
        "the last row has a line end, otherwise the file may be cut; the row was kept",
        "Compare the row with the sender's; if the file is cut, ask for it again.",
    ),
    (
        "ROW-SUM",
        "reject",
        "a register counts energy that no other register of its meter and channel counts",
        "Nothing to do if the other registers are the parts of this one, or the same energy: these are "
        "loaded. Configure a check meter as `other`. Else ask the sender what the registers count.",
    ),
    (
        "ROW-CUMULATIVE",
        "reject",
        "a value is the quantity of its interval, not a register read or a momentary value",
        "Ask the sender for the quantities of intervals, or read the reads of a table by a mapping with "
        "`cumulative: true`; register reads are never taken for energy.",
    ),
    (
        "ROW-DIAL",
        "reject",
        "a dial goes up, and has one read at one time",
        "If the dial began again at zero, declare resets: to_zero; if it passed its last digit, declare "
        "digits; else ask the meter operator if the meter was exchanged.",
    ),
    ("XML-SYNTAX", "terminate", "XML is well-formed, without deep nesting or endless text", _ASK_SENDER),
    (
        "XML-DOCTYPE",
        "terminate",
        "XML declares no document type and so no entities",
        "Be careful with the file: meter data need no document type. Ask the sender for a file without it.",
    ),
    ("GB-ENTRY", "reject", "an entry holds the ESPI resource that its link announces", _ASK_SENDER),
    (
        "GB-READING-TYPE",
        "reject",
        "a ReadingType in the same file says what the readings mean",
        "Ask the sender for a file with the ReadingType; unit and direction are never guessed.",
    ),
    (
        "GB-SHARED-START",
        "reject",
        "each reading of an IntervalBlock has a start of its own",
        "Ask the sender for the true start of each reading.",
    ),
    (
        "EDIFACT-SYNTAX",
        "terminate",
        "the interchange has its service segments in order and holds known segments only",
        _ASK_SENDER,
    ),
    (
        "EDIFACT-COUNT",
        "terminate",
        "UNT and UNZ give the references of their headers and the true counts",
        "Transfer the file again; if the counts are still wrong, parts are missing: ask the sender.",
    ),
    (
        "MSCONS-CANCELLATION",
        "reject",
        "a message brings values and does not cancel any",
        "Find the cancelled message and correct its readings by hand or by a corrected file.",
    ),
    (
        "MSCONS-PLACE",
        "issue",
        "the times of a value match its place in the period that its series fills; the place was used",
        "Compare the times in the file, stored with the row, with the meter; ask the sender which are right.",
    ),
    (
        "JSON-SYNTAX",
        "terminate",
        "JSON is well-formed, without deep nesting or endless text",
        _ASK_SENDER,
    ),
    (
        "JSON-CONTENT",
        "terminate",
        "a portal's answer holds intervals of a known length, no longer than a day",
        "Ask the portal for quarter-hours, half-hours or hours.",
    ),
    ("JSON-RECORD", "reject", "a line of NDJSON is an object with the canonical fields", _ASK_SENDER),
    (
        "JSON-PAGE",
        "info",
        "a file holds all pages of an answer",
        "Ingest the files of the other pages too.",
    ),
    (
        "JSON-END",
        "issue",
        "an interval ends after it starts; the row was kept with the length by wall-clock times",
        "Tell the sender.",
    ),
    (
        "VEE-SUPERSEDED",
        "info",
        "one value per register and interval: in one file the better quality wins, then the later version",
        "Nothing to do.",
    ),
    (
        "VEE-CONFLICT",
        "issue",
        "one version of a reading has one value; the later row of the file was kept",
        "Ask the sender which value is right.",
    ),
    (
        "VEE-OVERLAP",
        "issue",
        "intervals of one register do not overlap; the later record was kept",
        "Ask the sender which interval length is right.",
    ),
    (
        "VEE-REGISTER",
        "reject",
        "the identifier and register belong to a configured meter",
        "Add the meter register, then replay the quarantined readings.",
    ),
    (
        "VEE-UNIT",
        "reject",
        "the unit is the one configured for the meter register",
        "Correct the meter register or ask the sender, then replay.",
    ),
    (
        "VEE-INTERVAL",
        "reject",
        "the interval length is the one configured for the meter register",
        "Correct the meter register or ask the sender, then replay.",
    ),
    (
        "VEE-NEGATIVE",
        "reject",
        "energy on a one-direction channel is not below zero",
        "If the sign tells the direction, declare `negative` or `sign` in the mapping; else check the wiring "
        "and the register's direction with the meter operator.",
    ),
    (
        "VEE-FUTURE",
        "reject",
        "an interval has ended before it is ingested",
        "Check the clock of the device and the dates of the file; replay when the interval has ended.",
    ),
    (
        "VEE-DATE",
        "reject",
        "a reading lies between 1990 and 2100",
        "Check the clock of the device and the dates of the file.",
    ),
    (
        "VEE-ARCHIVED",
        "reject",
        "the readings of the date are not archived",
        "Restore the date with `myproperty partitions restore`, then replay the quarantined readings.",
    ),
    (
        "VEE-SENTINEL",
        "info",
        "4294967.295, 2147483.647 and 16777.215, and 1000 times these (Wh), mean that there is no value",
        "Nothing to do: the interval is a gap.",
    ),
    (
        "VEE-LONG",
        "reject",
        "a reading covers no more than a local day of 25 hours",
        "Nothing to correct: a total of weeks belongs to no reading date. The register reads of NEM13 are "
        "stored and compared with the sum of the intervals; ask the sender for the intervals.",
    ),
    (
        "VEE-ALIGNMENT",
        "reject",
        "an interval starts on a whole multiple of its length",
        "Ask the sender for the true start of each interval.",
    ),
    (
        "VEE-PRECISION",
        "reject",
        "the value is exact in kWh with 9 decimals",
        "Ask the sender for values in kWh.",
    ),
)

RULES: dict[str, IngestRule] = {rule.id: rule for rule in (*(IngestRule(*row) for row in _TABLE), *DAYS)}
