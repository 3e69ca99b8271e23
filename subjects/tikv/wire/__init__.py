"""TiKV's messages, generated from `tikv.proto`.

    python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. subjects/tikv/wire/tikv.proto

run in the root of the repository, by a Python that has grpcio-tools (no part of the environment of
development). The generated code is checked in, so that nobody needs it to install operator.
"""
