"""Google's own SQL engine in this process: analysis and execution of GoogleSQL without any server.

Belongs here: the WebAssembly build of ZetaSQL, BigQuery's set of language features, catalogs of tables, and
the passage of values between Python and the engine. What a statement is for (dbt, a model, a test) does not.
"""

import ctypes
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from wasmtime import Config
from zetasql import types as zt
from zetasql.core import wasm_client
from zetasql.core.exceptions import ServerError
from zetasql.core.local_service import ZetaSqlLocalService
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2
from zetasql.wasi._pb2.zetasql.proto import simple_catalog_pb2
from zetasql.wasi._pb2.zetasql.public import value_pb2

Row = tuple[Any, ...]
EXACT = Context(prec=120)
EPOCH_DATE = date(1970, 1, 1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

KINDS: dict[str, int] = {
    "INT64": zt.TypeKind.TYPE_INT64,
    "FLOAT64": zt.TypeKind.TYPE_DOUBLE,
    "BOOL": zt.TypeKind.TYPE_BOOL,
    "STRING": zt.TypeKind.TYPE_STRING,
    "BYTES": zt.TypeKind.TYPE_BYTES,
    "DATE": zt.TypeKind.TYPE_DATE,
    "DATETIME": zt.TypeKind.TYPE_DATETIME,
    "TIME": zt.TypeKind.TYPE_TIME,
    "TIMESTAMP": zt.TypeKind.TYPE_TIMESTAMP,
    "NUMERIC": zt.TypeKind.TYPE_NUMERIC,
    "BIGNUMERIC": zt.TypeKind.TYPE_BIGNUMERIC,
    "INTERVAL": zt.TypeKind.TYPE_INTERVAL,
    "JSON": zt.TypeKind.TYPE_JSON,
}
ALIASES = {
    "INTEGER": "INT64",
    "INT": "INT64",
    "BIGINT": "INT64",
    "FLOAT": "FLOAT64",
    "BOOLEAN": "BOOL",
    "DECIMAL": "NUMERIC",
    "BIGDECIMAL": "BIGNUMERIC",
}

# Released in ZetaSQL but refused by BigQuery. Left on, a statement that production refuses would pass here.
NOT_IN_BIGQUERY = (
    "FEATURE_ADDITIONAL_DATE_TIME_FUNCTIONS",
    "FEATURE_AGGREGATE_FILTERING",
    "FEATURE_ALIASES_FOR_STRING_AND_DATE_FUNCTIONS",
    "FEATURE_BARE_ARRAY_ACCESS",
    "FEATURE_CHAINED_FUNCTION_CALLS",
    "FEATURE_ENABLE_MEASURES",
    "FEATURE_FOR_UPDATE",
    "FEATURE_INSERT_ON_CONFLICT_CLAUSE",
    "FEATURE_LATERAL_COLUMN_REFERENCES",
    "FEATURE_LATERAL_JOIN",
    "FEATURE_LIMIT_OFFSET_EXPRESSIONS",
    "FEATURE_MAP_TYPE",
    "FEATURE_MULTILEVEL_AGGREGATION",
    "FEATURE_ROW_TYPE",
    "FEATURE_TIMESTAMP_NANOS",
    "FEATURE_TIMESTAMP_PICOS",
    "FEATURE_TIMESTAMP_PRECISION",
    "FEATURE_UUID_TYPE",
)
ONLY_IN_BIGQUERY = ("FEATURE_CREATE_VIEWS_WITH_COLUMN_OPTIONS",)


class GoogleSqlError(Exception):
    """A statement that Google's analyzer or reference implementation refuses; the message is Google's."""


@dataclass(frozen=True)
class Column:
    """A column of a relation; `type` is a GoogleSQL type without parameters, such as NUMERIC."""

    name: str
    type: str


@dataclass(frozen=True)
class Relation:
    """A table of the catalog; `path` is (project, dataset, table)."""

    path: tuple[str, str, str]
    columns: tuple[Column, ...]

    @property
    def quoted(self) -> str:
        """The name as dbt renders it."""
        return ".".join(f"`{part}`" for part in self.path)


@dataclass(frozen=True)
class Analysed:
    """What the analyzer says of a statement: its resolved kind, what it names, and its columns.

    `columns` are those of the table that the statement makes, if it makes one, else those that it puts out.
    """

    kind: str
    target: tuple[str, ...]
    columns: tuple[Column, ...]


class _CachedConfig(Config):
    """The first start compiles 28 MB of WebAssembly in under a minute; the cache makes later ones quick."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = True


def _base(client: Any) -> int:
    return ctypes.addressof(client.memory.data_ptr().contents)


def _write(client: Any, pointer: int, payload: bytes) -> None:
    ctypes.memmove(_base(client) + pointer, payload, len(payload))


def _read(client: Any, pointer: int, size: int) -> bytes:
    return ctypes.string_at(_base(client) + pointer, size)


_LOCK = threading.RLock()


@lru_cache(maxsize=1)
def _service() -> ZetaSqlLocalService:
    # The wheel copies byte by byte, which takes minutes on a table of some thousand rows.
    wasm_client.Config = _CachedConfig
    wasm_client.WasmClient.write_bytes = _write
    wasm_client.WasmClient.read_bytes = _read
    return ZetaSqlLocalService.get_instance()


def _guarded(call: Callable[[], Any], sql: str) -> Any:
    with _LOCK:
        try:
            return call()
        except ServerError as error:
            raise GoogleSqlError(f"{error}\n{sql.strip()}") from error


@lru_cache(maxsize=1)
def _language() -> zt.LanguageOptions:
    _service()
    language = zt.LanguageOptions.maximum_features()
    language.product_mode = zt.ProductMode.PRODUCT_EXTERNAL
    refused = {getattr(zt.LanguageFeature, name) for name in NOT_IN_BIGQUERY}
    added = {getattr(zt.LanguageFeature, name) for name in ONLY_IN_BIGQUERY}
    language.enabled_language_features = sorted({*language.enabled_language_features, *added} - refused)
    return language


@lru_cache(maxsize=1)
def _options() -> Any:
    return zt.AnalyzerOptions(language_options=_language(), default_timezone="UTC").to_proto()


def type_name(declared: str) -> str:
    """`numeric(20, 9)` or `integer` -> `NUMERIC` or `INT64`, the type without alias and parameters."""
    bare = declared.split("(", maxsplit=1)[0].strip().upper()
    return ALIASES.get(bare, bare)


def _name_of(kind: int) -> str:
    for name, value in KINDS.items():
        if value == kind:
            return name
    return str(zt.TypeKind(kind).name).removeprefix("TYPE_")


@lru_cache(maxsize=1)
def _functions() -> Any:
    return zt.ZetaSQLBuiltinFunctionOptions(language_options=_language()).to_proto()


def _add_table(catalog: Any, name: str, columns: Sequence[Column]) -> None:
    table = catalog.table.add(name=name)
    for column in columns:
        added = table.column.add(name=column.name, is_writable_column=True)
        added.type.type_kind = KINDS[type_name(column.type)]


def _nested(relations: Sequence[Relation]) -> Any:
    """project -> dataset -> table, as BigQuery resolves a path of three names."""
    root = simple_catalog_pb2.SimpleCatalogProto(name="root")
    root.builtin_function_options.CopyFrom(_functions())
    datasets: dict[tuple[str, str], Any] = {}
    projects: dict[str, Any] = {}
    for relation in relations:
        project, dataset, name = relation.path
        if project not in projects:
            projects[project] = root.catalog.add(name=project)
        if (project, dataset) not in datasets:
            datasets[project, dataset] = projects[project].catalog.add(name=dataset)
        _add_table(datasets[project, dataset], name, relation.columns)
    return root


_REGISTERED: OrderedDict[bytes, int] = OrderedDict()
MOST_CATALOGS = 16


def _registered(request: Any) -> int:
    """The id of a catalog in the engine; building one costs more than a query, so the last ones are kept."""
    client, pb = _service().wasm_client, local_service_pb2
    key = request.SerializeToString(deterministic=True)
    if key not in _REGISTERED:
        answer = client.call_grpc_func("ZetaSqlLocalService_RegisterCatalog", request, pb.RegisterResponse)
        _REGISTERED[key] = answer.registered_id
        if len(_REGISTERED) > MOST_CATALOGS:
            oldest = pb.UnregisterRequest(registered_id=_REGISTERED.popitem(last=False)[1])
            client.call_grpc_func("ZetaSqlLocalService_UnregisterCatalog", oldest)
    _REGISTERED.move_to_end(key)
    return _REGISTERED[key]


def _innermost(node: Any) -> Any:
    """The message of a node's own class: each message of a base class holds the one of its subclass."""
    while node.DESCRIPTOR.oneofs and (inner := node.WhichOneof(node.DESCRIPTOR.oneofs[0].name)):
        node = getattr(node, inner)
    return node


def _kind_of(node: Any) -> str:
    """ResolvedCreateTableAsSelectStmtProto -> CreateTableAsSelect."""
    return str(node.DESCRIPTOR.name).removeprefix("Resolved").removesuffix("StmtProto")


def _attribute(node: Any, name: str) -> Any:
    """A repeated field of a node or of one of its base classes, which are its `parent`; empty if absent."""
    while name not in node.DESCRIPTOR.fields_by_name:
        if "parent" not in node.DESCRIPTOR.fields_by_name:
            return ()
        node = node.parent
    return getattr(node, name)


def _columns_of(statement: Any) -> tuple[Column, ...]:
    if defined := _attribute(statement, "column_definition_list"):
        return tuple(Column(c.name, _name_of(c.type.type_kind)) for c in defined)
    outputs = _attribute(statement, "output_column_list")
    return tuple(Column(c.name, _name_of(c.column.type.type_kind)) for c in outputs)


def analyse(sql: str, relations: Sequence[Relation]) -> Analysed:
    """One statement -> its kind and output columns; raises GoogleSqlError where the analyzer refuses it."""
    client = _service().wasm_client
    request = local_service_pb2.AnalyzeRequest(sql_statement=sql)
    request.options.CopyFrom(_options())
    catalog = local_service_pb2.RegisterCatalogRequest(simple_catalog=_nested(relations))

    def run() -> Any:
        request.registered_catalog_id = _registered(catalog)
        return client.call_grpc_func(
            "ZetaSqlLocalService_Analyze", request, local_service_pb2.AnalyzeResponse
        )

    # The wheel's own classes of the resolved tree cost as much as the analysis itself.
    statement = _innermost(_guarded(run, sql).resolved_statement)
    return Analysed(_kind_of(statement), tuple(_attribute(statement, "name_path")), _columns_of(statement))


@dataclass(frozen=True)
class Contents:
    """A relation and its rows in Python's types: Decimal, date, datetime (aware for TIMESTAMP), str, ..."""

    relation: Relation
    rows: Sequence[Row]


def _int_bytes(value: int) -> bytes:
    size = max(1, (value.bit_length() + 8) // 8)
    return value.to_bytes(size, "little", signed=True)


def _encode_decimal(value: Any, scale: int) -> bytes:
    scaled = Decimal(value).scaleb(scale, EXACT)
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{value} has more than {scale} decimal places")
    return _int_bytes(int(scaled))


def _decode_decimal(payload: bytes, scale: int) -> Decimal:
    return Decimal(int.from_bytes(payload, "little", signed=True)).scaleb(-scale, EXACT)


def _encode_timestamp(value: datetime) -> Timestamp:
    if value.tzinfo is None:
        raise ValueError(f"TIMESTAMP {value} has no time zone")
    seconds, rest = divmod((value - EPOCH) // timedelta(microseconds=1), 1_000_000)
    return Timestamp(seconds=seconds, nanos=rest * 1000)


def _encode_datetime(value: datetime) -> Any:
    packed = value.year << 26 | value.month << 22 | value.day << 17
    packed |= value.hour << 12 | value.minute << 6 | value.second
    return value_pb2.ValueProto.Datetime(bit_field_datetime_seconds=packed, nanos=value.microsecond * 1000)


def _decode_datetime(packed: int, nanos: int) -> datetime:
    return datetime(
        packed >> 26,
        packed >> 22 & 0xF,
        packed >> 17 & 0x1F,
        packed >> 12 & 0x1F,
        packed >> 6 & 0x3F,
        packed & 0x3F,
        nanos // 1000,
    )


ENCODERS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "INT64": lambda v: {"int64_value": int(v)},
    "FLOAT64": lambda v: {"double_value": float(v)},
    "BOOL": lambda v: {"bool_value": v},
    "STRING": lambda v: {"string_value": v},
    "DATE": lambda v: {"date_value": (v - EPOCH_DATE).days},
    "DATETIME": lambda v: {"datetime_value": _encode_datetime(v)},
    "TIMESTAMP": lambda v: {"timestamp_value": _encode_timestamp(v)},
    "NUMERIC": lambda v: {"numeric_value": _encode_decimal(v, 9)},
    "BIGNUMERIC": lambda v: {"bignumeric_value": _encode_decimal(v, 38)},
}
DECODERS: dict[str, Callable[[Any], Any]] = {
    "int64_value": int,
    "double_value": float,
    "bool_value": bool,
    "string_value": str,
    "date_value": lambda v: EPOCH_DATE + timedelta(days=v),
    "datetime_value": lambda v: _decode_datetime(v.bit_field_datetime_seconds, v.nanos),
    "timestamp_value": lambda v: EPOCH + timedelta(seconds=v.seconds, microseconds=v.nanos // 1000),
    "numeric_value": lambda v: _decode_decimal(v, 9),
    "bignumeric_value": lambda v: _decode_decimal(v, 38),
}


def _encode(value: Any, type_: str) -> Any:
    if value is None:
        return value_pb2.ValueProto()
    return value_pb2.ValueProto(**ENCODERS[type_](value))


def _decode_cell(cell: Any) -> Any:
    field = cell.WhichOneof("value")
    if field is None:
        return None
    if field not in DECODERS:
        raise GoogleSqlError(
            f"a result of kind {field} has no counterpart in Python here: cast it in the query"
        )
    return DECODERS[field](getattr(cell, field))


_ENCODED: OrderedDict[int, tuple[Contents, Any]] = OrderedDict()
MOST_ENCODED = 64


def _encoded(table: Contents) -> Any:
    """Return the rows as the engine reads them; the last tables are kept, since queries repeat them."""
    known = _ENCODED.get(id(table.rows))
    if known is None or known[0].rows is not table.rows or known[0].relation != table.relation:
        types = [type_name(c.type) for c in table.relation.columns]
        data = local_service_pb2.TableData()
        for row in table.rows:
            data.row.add().cell.extend([_encode(v, t) for v, t in zip(row, types, strict=True)])
        known = _ENCODED[id(table.rows)] = table, data
        if len(_ENCODED) > MOST_ENCODED:
            _ENCODED.popitem(last=False)
    _ENCODED.move_to_end(id(table.rows))
    return known[1]


def _request(sql: str, contents: Sequence[Contents]) -> tuple[str, Any]:
    """Contents are found by names of one part only, so every path of three parts becomes one quoted name."""
    request = local_service_pb2.RegisterCatalogRequest()
    request.simple_catalog.builtin_function_options.CopyFrom(_functions())
    for table in contents:
        name = ".".join(table.relation.path)
        sql = sql.replace(table.relation.quoted, f"`{name}`")
        _add_table(request.simple_catalog, name, table.relation.columns)
        data = request.table_content[name].table_data
        data.SetInParent()  # a table without rows still has contents
        data.CopyFrom(_encoded(table))
    return sql, request


def execute(sql: str, contents: Sequence[Contents]) -> tuple[tuple[Column, ...], list[Row]]:
    """Run one query in Google's reference implementation; raises GoogleSqlError where it refuses it.

    Tables are written in `sql` as dbt renders them, each part in backticks.
    """
    client, pb = _service().wasm_client, local_service_pb2
    text, catalog = _request(sql, contents)
    request = pb.PrepareQueryRequest(sql=text)
    request.options.CopyFrom(_options())

    def run() -> tuple[tuple[Column, ...], list[Row]]:
        request.registered_catalog_id = _registered(catalog)
        prepared = client.call_grpc_func(
            "ZetaSqlLocalService_PrepareQuery", request, pb.PrepareQueryResponse
        ).prepared
        evaluate = pb.EvaluateQueryRequest(prepared_query_id=prepared.prepared_query_id)
        try:
            found = client.call_grpc_func(
                "ZetaSqlLocalService_EvaluateQuery", evaluate, pb.EvaluateQueryResponse
            )
        finally:
            unprepare = pb.UnprepareQueryRequest(prepared_query_id=prepared.prepared_query_id)
            client.call_grpc_func("ZetaSqlLocalService_UnprepareQuery", unprepare)
        columns = tuple(Column(c.name, _name_of(c.type.type_kind)) for c in prepared.columns)
        rows = [tuple(_decode_cell(cell) for cell in row.cell) for row in found.content.table_data.row]
        return columns, rows

    result: tuple[tuple[Column, ...], list[Row]] = _guarded(run, sql)
    return result
