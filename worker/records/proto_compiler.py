"""Message classes of a .proto file's text, by Google's compiler in the wheel `grpcio-tools` (extra `registry`)."""

from __future__ import annotations

import importlib.resources
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

_NAME: Final = "value.proto"
_lock = threading.Lock()


class ProtoError(Exception):
    """The text is no .proto file that can be compiled."""


def compile_proto(text: str, imports: Mapping[str, str]) -> Any:
    """The descriptor of the file `text`, which may import `imports` (name -> text) and Google's well-known types.

    Raises ProtoError.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool  # noqa: PLC0415 - the extra `registry`

    files = descriptor_pb2.FileDescriptorSet.FromString(_run_compiler(text, imports))
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool.FindFileByName(_NAME)


def message_class(file: Any, indexes: Sequence[int]) -> Any:
    """The class of the message at the path `indexes`: its place in the file, then that in the message before.

    Raises IndexError.
    """
    from google.protobuf import message_factory  # noqa: PLC0415 - the extra `registry`

    if min(indexes) < 0:
        raise IndexError(f"no message {list(indexes)}")
    message = list(file.message_types_by_name.values())[indexes[0]]
    for index in indexes[1:]:
        message = message.nested_types[index]
    return message_factory.GetMessageClass(message)


def _run_compiler(text: str, imports: Mapping[str, str]) -> bytes:
    from grpc_tools import protoc  # noqa: PLC0415 - the extra `registry`

    bundled = importlib.resources.files("grpc_tools") / "_proto"
    with _lock, tempfile.TemporaryDirectory() as folder:
        for name, body in {**imports, _NAME: text}.items():
            path = Path(folder, name).resolve()
            if not path.is_relative_to(Path(folder).resolve()):
                raise ProtoError(f"the import {name!r} leaves the folder of the files")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body)
        output = Path(folder, "descriptors")
        flags = [f"-I{folder}", f"-I{bundled}", "--include_imports", f"--descriptor_set_out={output}"]
        if protoc.main(["protoc", *flags, _NAME]) != 0:
            raise ProtoError("the compiler's message is on standard error")
        return output.read_bytes()
