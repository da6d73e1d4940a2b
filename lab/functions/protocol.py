"""The messages that a Functions host and its worker exchange, built from a table.

No generated code: the table below is the part of FunctionRpc that indexing, loading and
invoking need (Azure/azure-functions-language-worker-protobuf), turned into message classes
when this module is imported. `protos` is the namespace that the worker library asks for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import duration_pb2, timestamp_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE: Final = "AzureFunctionsRpcMessages"

# A message's name, then its fields: [oneof/]name number [repeated] type
MESSAGES: Final = """
StreamingMessage
  request_id 1 string
  content/rpc_log 2 RpcLog
  content/invocation_request 4 InvocationRequest
  content/invocation_response 5 InvocationResponse
  content/function_load_request 8 FunctionLoadRequest
  content/function_load_response 9 FunctionLoadResponse
  content/worker_status_request 12 WorkerStatusRequest
  content/worker_status_response 13 WorkerStatusResponse
  content/worker_terminate 14 WorkerTerminate
  content/worker_init_response 16 WorkerInitResponse
  content/worker_init_request 17 WorkerInitRequest
  content/start_stream 20 StartStream
  content/invocation_cancel 21 InvocationCancel
  content/function_environment_reload_request 25 FunctionEnvironmentReloadRequest
  content/function_environment_reload_response 26 FunctionEnvironmentReloadResponse
  content/functions_metadata_request 29 FunctionsMetadataRequest
  content/function_metadata_response 30 FunctionMetadataResponse
WorkerInitRequest
  host_version 1 string
  capabilities 2 map<string,string>
  worker_directory 4 string
  function_app_directory 5 string
WorkerInitResponse
  worker_version 1 string
  capabilities 2 map<string,string>
  result 3 StatusResult
  worker_metadata 4 WorkerMetadata
WorkerMetadata
  runtime_name 1 string
  runtime_version 2 string
  worker_version 3 string
  worker_bitness 4 string
  custom_properties 5 map<string,string>
StatusResult
  result 1 string
  exception 2 RpcException
  logs 3 repeated RpcLog
  status 4 StatusResult.Status
RpcException
  stack_trace 1 string
  message 2 string
  source 3 string
  is_user_exception 4 bool
  type 5 string
FunctionsMetadataRequest
  function_app_directory 1 string
FunctionMetadataResponse
  function_metadata_results 1 repeated RpcFunctionMetadata
  result 2 StatusResult
  use_default_metadata_indexing 3 bool
RpcFunctionMetadata
  directory 1 string
  script_file 2 string
  entry_point 3 string
  name 4 string
  bindings 6 map<string,BindingInfo>
  is_proxy 7 bool
  status 8 StatusResult
  language 9 string
  raw_bindings 10 repeated string
  function_id 13 string
  managed_dependency_enabled 14 bool
  retry_options 15 RpcRetryOptions
  properties 16 map<string,string>
BindingInfo
  type 2 string
  direction 3 BindingInfo.Direction
  data_type 4 BindingInfo.DataType
  properties 5 map<string,string>
RpcRetryOptions
  max_retry_count 2 int32
  delay_interval 3 Duration
  minimum_interval 4 Duration
  maximum_interval 5 Duration
  retry_strategy 6 RpcRetryOptions.RetryStrategy
FunctionLoadRequest
  function_id 1 string
  metadata 2 RpcFunctionMetadata
  managed_dependency_enabled 3 bool
FunctionLoadResponse
  function_id 1 string
  result 2 StatusResult
  is_dependency_downloaded 3 bool
FunctionEnvironmentReloadRequest
  environment_variables 1 map<string,string>
  function_app_directory 2 string
FunctionEnvironmentReloadResponse
  worker_metadata 1 WorkerMetadata
  capabilities 2 map<string,string>
  result 3 StatusResult
InvocationRequest
  invocation_id 1 string
  function_id 2 string
  input_data 3 repeated ParameterBinding
  trigger_metadata 4 map<string,TypedData>
  trace_context 5 RpcTraceContext
  retry_context 6 RetryContext
RpcTraceContext
  trace_parent 1 string
  trace_state 2 string
  attributes 3 map<string,string>
RetryContext
  retry_count 1 int32
  max_retry_count 2 int32
  exception 3 RpcException
InvocationResponse
  invocation_id 1 string
  output_data 2 repeated ParameterBinding
  result 3 StatusResult
  return_value 4 TypedData
ParameterBinding
  name 1 string
  rpc_data/data 2 TypedData
TypedData
  data/string 1 string
  data/json 2 string
  data/bytes 3 bytes
  data/stream 4 bytes
  data/http 5 RpcHttp
  data/int 6 sint64
  data/double 7 double
  data/collection_bytes 8 CollectionBytes
  data/collection_string 9 CollectionString
  data/collection_double 10 CollectionDouble
  data/collection_sint64 11 CollectionSInt64
  data/model_binding_data 12 ModelBindingData
  data/collection_model_binding_data 13 CollectionModelBindingData
CollectionBytes
  bytes 1 repeated bytes
CollectionString
  string 1 repeated string
CollectionDouble
  double 1 repeated double
CollectionSInt64
  sint64 1 repeated sint64
ModelBindingData
  version 1 string
  source 2 string
  content_type 3 string
  content 4 bytes
CollectionModelBindingData
  model_binding_data 1 repeated ModelBindingData
RpcHttp
  method 1 string
  url 2 string
  headers 3 map<string,string>
  body 4 TypedData
  params 10 map<string,string>
  status_code 12 string
  query 15 map<string,string>
  enable_content_negotiation 16 bool
  rawBody 17 TypedData
  cookies 19 repeated RpcHttpCookie
RpcHttpCookie
  name 1 string
  value 2 string
  domain 3 NullableString
  path 4 NullableString
  expires 5 NullableTimestamp
  secure 6 NullableBool
  http_only 7 NullableBool
  same_site 8 RpcHttpCookie.SameSite
  max_age 9 NullableDouble
NullableString
  string/value 1 string
NullableDouble
  double/value 1 double
NullableBool
  bool/value 1 bool
NullableTimestamp
  timestamp/value 1 Timestamp
StartStream
  worker_id 2 string
WorkerStatusRequest
WorkerStatusResponse
WorkerTerminate
  grace_period 1 Duration
InvocationCancel
  grace_period 1 Duration
  invocation_id 2 string
RpcLog
  invocation_id 1 string
  category 2 string
  level 3 RpcLog.Level
  message 4 string
  event_id 5 string
  exception 6 RpcException
  properties 7 string
  log_category 8 RpcLog.RpcLogCategory
"""

# Values count from 0.
ENUMS: Final = """
StatusResult.Status Failure Success Cancelled
BindingInfo.Direction in out inout
BindingInfo.DataType undefined string binary stream
RpcRetryOptions.RetryStrategy exponential_backoff fixed_delay
RpcHttpCookie.SameSite None Lax Strict ExplicitNone
RpcLog.Level Trace Debug Information Warning Error Critical None
RpcLog.RpcLogCategory User System CustomMetric
"""

_FIELD: Final = re.compile(r"(?:(\w+)/)?(\w+) (\d+) (repeated )?(.+)")
_MAP: Final = re.compile(r"map<(\w+),(\w+)>")
_SCALARS: Final = {
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "sint64": FieldDescriptorProto.TYPE_SINT64,
    "double": FieldDescriptorProto.TYPE_DOUBLE,
}
_WELL_KNOWN: Final = {
    "Duration": ".google.protobuf.Duration",
    "Timestamp": ".google.protobuf.Timestamp",
}
_ENUM_NAMES: Final = {line.split()[0] for line in ENUMS.split("\n") if line}


@dataclass(frozen=True, slots=True)
class Field:
    """One row of the table."""

    oneof: str
    name: str
    number: int
    repeated: bool
    type: str


def rows() -> Iterator[tuple[str, list[Field]]]:
    """Yield each message's name with its fields, in the table's order."""
    for block in re.split(r"\n(?=\w)", MESSAGES.strip()):
        name, *lines = block.split("\n")
        yield name, [_field(line.strip()) for line in lines]


def _field(line: str) -> Field:
    found = _FIELD.fullmatch(line)
    if found is None:
        raise ValueError(f"not a row of the descriptor table: {line!r}")
    oneof, name, number, repeated, kind = found.groups()
    return Field(oneof or "", name, int(number), bool(repeated), kind)


def _describe(name: str, fields: list[Field]) -> DescriptorProto:
    message = DescriptorProto(name=name)
    for field in fields:
        _add(message, field)
    for line in ENUMS.strip().split("\n"):
        full_name, *values = line.split()
        if full_name.startswith(f"{name}."):
            message.enum_type.append(_enum(full_name.removeprefix(f"{name}."), values))
    return message


def _enum(name: str, values: list[str]) -> EnumDescriptorProto:
    enum = EnumDescriptorProto(name=name)
    for number, value in enumerate(values):
        enum.value.add(name=value, number=number)
    return enum


def _add(message: DescriptorProto, field: Field) -> None:
    proto = message.field.add(name=field.name, number=field.number)
    proto.label = FieldDescriptorProto.LABEL_OPTIONAL
    if entry := _MAP.fullmatch(field.type):
        proto.label = FieldDescriptorProto.LABEL_REPEATED
        _type(proto, f"{message.name}.{_add_entry(message, field.name, *entry.groups())}")
        return
    _type(proto, field.type)
    if field.repeated:
        proto.label = FieldDescriptorProto.LABEL_REPEATED
    if field.oneof:
        proto.oneof_index = _oneof(message, field.oneof)


def _add_entry(message: DescriptorProto, name: str, key: str, value: str) -> str:
    entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
    entry.options.map_entry = True
    for number, (label, kind) in enumerate([("key", key), ("value", value)], start=1):
        _add(entry, Field("", label, number, repeated=False, type=kind))
    return entry.name


def _oneof(message: DescriptorProto, name: str) -> int:
    names = [oneof.name for oneof in message.oneof_decl]
    if name not in names:
        message.oneof_decl.add(name=name)
        return len(names)
    return names.index(name)


def _type(proto: FieldDescriptorProto, kind: str) -> None:
    if kind in _SCALARS:
        proto.type = _SCALARS[kind]
        return
    is_enum = kind in _ENUM_NAMES
    proto.type = (
        FieldDescriptorProto.TYPE_ENUM if is_enum else FieldDescriptorProto.TYPE_MESSAGE
    )
    proto.type_name = _WELL_KNOWN.get(kind, f".{PACKAGE}.{kind}")


def _build() -> SimpleNamespace:
    pool = DescriptorPool()
    file = FileDescriptorProto(name="functions_worker.proto", package=PACKAGE, syntax="proto3")
    for known in (duration_pb2, timestamp_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
        file.dependency.append(known.DESCRIPTOR.name)
    for name, fields in rows():
        file.message_type.append(_describe(name, fields))
    pool.AddSerializedFile(file.SerializeToString())
    names = {name: f"{PACKAGE}.{name}" for name, _ in rows()}
    # The worker library needs a Timestamp of the same pool for a cookie that expires.
    names["Timestamp"] = "google.protobuf.Timestamp"
    return SimpleNamespace(
        **{
            name: GetMessageClass(pool.FindMessageTypeByName(full_name))
            for name, full_name in names.items()
        }
    )


protos: Any = _build()
