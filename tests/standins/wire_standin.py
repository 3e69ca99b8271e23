"""What pd-server and tikv-server speak to client-go, as far as the stand-ins speak it: pdpb, BatchCommands.

Names and numbers are those of pingcap/kvproto. The messages are made when this is imported, not generated:
only the stand-ins use them. A message that is passed on as it came has the type `bytes`, which is the same
on the wire.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from subjects.tikv.wire import tikv_pb2

MESSAGES = {
    "ResponseHeader": "uint64 cluster_id=1",
    "Member": "string name=1, uint64 member_id=2, string* peer_urls=3, string* client_urls=4",
    "Store": "uint64 id=1, string address=2, int32 state=3, string version=5, string status_address=7",
    "Held": "Region region=1, Peer leader=2",
    "Timestamp": "int64 physical=1, int64 logical=2",
    "GetMembersRequest": "",
    "GetMembersResponse": "ResponseHeader header=1, Member* members=2, Member leader=3, Member etcd_leader=4",
    "TsoRequest": "uint32 count=2",
    "TsoResponse": "ResponseHeader header=1, uint32 count=2, Timestamp timestamp=3",
    "GetRegionRequest": "bytes region_key=2",
    "GetRegionByIDRequest": "uint64 region_id=2",
    "GetRegionResponse": "ResponseHeader header=1, Region region=2, Peer leader=3",
    "ScanRegionsRequest": "bytes start_key=2, int32 limit=3, bytes end_key=4",
    "ScanRegionsResponse": (
        "ResponseHeader header=1, Region* region_metas=2, Peer* leaders=3, Held* regions=4"
    ),
    "GetStoreRequest": "uint64 store_id=2",
    "GetStoreResponse": "ResponseHeader header=1, Store store=2",
    "GetAllStoresRequest": "bool exclude_tombstone_stores=2",
    "GetAllStoresResponse": "ResponseHeader header=1, Store* stores=2",
    "Command": "|bytes raw_get=13, |bytes raw_put=15, |bytes raw_scan=19, |bytes empty=255",
    "BatchCommandsRequest": "Command* requests=1, uint64* request_ids=2",
    "BatchCommandsResponse": "Command* responses=1, uint64* request_ids=2",
}
"""Message → its fields. `*`: a repeated one; `|`: one of a oneof; a capital begins the name of a message."""

_THEIRS = {"Region", "Peer"}
_FIELD = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "tikv_standin"


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="standin.proto", package=_PACKAGE, syntax="proto3")
    file.dependency.append(tikv_pb2.DESCRIPTOR.name)
    for name, text in MESSAGES.items():
        message = file.message_type.add(name=name)
        if "|" in text:
            message.oneof_decl.add(name="kind")
        for each in filter(None, text.split(", ")):
            kind, _, rest = each.partition(" ")
            field, _, number = rest.partition("=")
            bare = kind.strip("*|")
            made = message.field.add(name=field, number=int(number))
            made.label = _FIELD.LABEL_REPEATED if kind.endswith("*") else _FIELD.LABEL_OPTIONAL
            if kind.startswith("|"):
                made.oneof_index = 0
            if bare[0].isupper():
                made.type = _FIELD.TYPE_MESSAGE
                made.type_name = f".{'tikvpb' if bare in _THEIRS else _PACKAGE}.{bare}"
            else:
                made.type = _FIELD.Type.Value(f"TYPE_{bare.upper()}")
    return file


_POOL = descriptor_pool.Default()
_POOL.Add(_file())


def message(name: str) -> Any:
    """Return the class of one of `MESSAGES`."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
