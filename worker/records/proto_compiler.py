"""Message classes of a .proto file's text, by Google's compiler in the wheel `grpcio-tools` (extra `registry`)."""

from __future__ import annotations

import base64
import importlib.resources
import re
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

_NAME: Final = "value.proto"
# Some registries keep a file in the form in which Confluent's Python client registers it: its descriptor in base64.
_BASE64: Final = re.compile(r"[A-Za-z0-9+/\s]+=*\s*")
_lock = threading.Lock()


class ProtoError(Exception):
    """The text is no .proto file that can be compiled."""


def compile_proto(text: str, imports: Mapping[str, str]) -> Any:
    """The descriptor of the file `text`, which may import `imports` (name -> text) and Google's well-known types.

    Each text is that of a .proto file, or a serialized FileDescriptorProto in base64. Raises ProtoError.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool  # noqa: PLC0415 - the extra `registry`

    files = descriptor_pb2.FileDescriptorSet.FromString(_run_compiler({**imports, _NAME: text}))
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


def _run_compiler(texts: Mapping[str, str]) -> bytes:
    from grpc_tools import protoc  # noqa: PLC0415 - the extra `registry`

    bundled = importlib.resources.files("grpc_tools") / "_proto"
    with _lock, tempfile.TemporaryDirectory() as folder:
        sources, descriptors, output = (Path(folder, name) for name in ("sources", "in", "out"))
        try:
            _write(texts, sources.resolve(), descriptors)
        except (OSError, ValueError) as error:  # names and texts that are those of no file
            raise ProtoError(f"{type(error).__name__}: {error}") from error
        flags = [f"-I{sources}", f"-I{bundled}", f"--descriptor_set_in={descriptors}", "--include_imports"]
        if protoc.main(["protoc", *flags, f"--descriptor_set_out={output}", _NAME]) != 0:
            raise ProtoError("the compiler's message is on standard error")
        return output.read_bytes()


def _write(texts: Mapping[str, str], sources: Path, descriptors: Path) -> None:
    """Write the files where the compiler finds them: texts in a folder, descriptors in one set."""
    from google.protobuf import descriptor_pb2, message  # noqa: PLC0415 - the extra `registry`

    found = descriptor_pb2.FileDescriptorSet()
    sources.mkdir()
    for name, text in texts.items():
        if _BASE64.fullmatch(text):
            try:
                found.file.add().ParseFromString(base64.b64decode(text))
            except (ValueError, message.DecodeError) as error:
                raise ProtoError(f"{name} is neither a .proto file nor a descriptor") from error
            found.file[-1].name = name
            continue
        path = (sources / name).resolve()
        if not path.is_relative_to(sources):
            raise ProtoError(f"the import {name!r} leaves the folder of the files")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    descriptors.write_bytes(found.SerializeToString())
