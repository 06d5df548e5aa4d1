"""The protobuf code in the repository is what proto/ says, and proto/ says what TensorBoard and our own twin message say."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from tensorboard.compat.proto import config_pb2
from tensorboard.compat.proto import event_pb2 as tensorboard_pb2
from tensorboard.compat.proto import graph_pb2 as tensorboard_graph_pb2
from tensorboard.plugins.audio import plugin_data_pb2 as audio_pb2
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import plugin_data_pb2 as hparams_pb2
from tensorboard.plugins.image import plugin_data_pb2 as image_pb2
from tensorboard.plugins.mesh import plugin_data_pb2 as mesh_pb2
from tensorboard.plugins.pr_curve import plugin_data_pb2 as pr_curve_pb2

from tbbridge.events import event_pb2
from tbbridge.foreign import graph_pb2, plugins_pb2
from tbbridge.v1 import write_pb2
from tbbridge.wire import columns_pb2

ROOT = Path(__file__).parents[1]
GENERATED = ("*_pb2.py", "*_pb2.pyi")


def tree(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for pattern in GENERATED for path in folder.rglob(pattern)}


def test_committed_code_is_what_protoc_makes_of_proto(tmp_path: Path) -> None:
    protoc = Path(sysconfig.get_path("scripts"), "protoc")
    files = sorted(path.relative_to(ROOT / "proto").as_posix() for path in (ROOT / "proto").rglob("*.proto"))
    outputs = [f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    subprocess.run([protoc, f"--proto_path={ROOT / 'proto'}", *outputs, *files], check=True)
    made, committed = tree(tmp_path), tree(ROOT / "src")
    assert sorted(made) == sorted(committed), "run `make proto` and commit what it makes"
    assert made == committed, "run `make proto` and commit what it makes"


def short(full_name: str) -> str:
    """A message's or enum's name without its package, whose parts are in lower case."""
    return ".".join(part for part in full_name.split(".") if not part.islower())


def messages_in(message: Descriptor) -> dict[str, Descriptor]:
    """`message` and all that its fields can hold, by name without the package."""
    found: dict[str, Descriptor] = {}
    waiting = [message]
    while waiting:
        one = waiting.pop()
        name = short(one.full_name)
        if name not in found:
            found[name] = one
            waiting.extend(field.message_type for field in one.fields if field.message_type is not None)
    return found


PAIRS = [
    (event_pb2.Event, tensorboard_pb2.Event),
    (plugins_pb2.ImagePluginData, image_pb2.ImagePluginData),
    (plugins_pb2.AudioPluginData, audio_pb2.AudioPluginData),
    (plugins_pb2.PrCurvePluginData, pr_curve_pb2.PrCurvePluginData),
    (plugins_pb2.MeshPluginData, mesh_pb2.MeshPluginData),
    (plugins_pb2.Layout, layout_pb2.Layout),
    (plugins_pb2.SessionStartInfo, hparams_pb2.SessionStartInfo),
    (plugins_pb2.SessionEndInfo, hparams_pb2.SessionEndInfo),
    (graph_pb2.GraphDef, tensorboard_graph_pb2.GraphDef),
    (graph_pb2.RunMetadata, config_pb2.RunMetadata),
]
OURS: dict[str, Descriptor] = {}
THEIRS: dict[str, Descriptor] = {}
for ours_kind, theirs_kind in PAIRS:
    OURS |= messages_in(ours_kind.DESCRIPTOR)
    THEIRS |= messages_in(theirs_kind.DESCRIPTOR)


def kind_of(field: FieldDescriptor) -> tuple[object, ...]:
    """All about a field that its bytes depend on."""
    kind: str | None = None
    if field.message_type is not None:
        kind = short(field.message_type.full_name)
    if field.enum_type is not None:
        kind = short(field.enum_type.full_name)
    return field.name, field.number, field.type, field.is_repeated, field.is_packed, kind


@pytest.mark.parametrize("name", sorted(OURS))
def test_message_has_the_numbers_and_types_of_tensorboards(name: str) -> None:
    theirs = {field.name: kind_of(field) for field in THEIRS[name].fields}
    ours = {field.name: kind_of(field) for field in OURS[name].fields}
    assert ours.items() <= theirs.items()


def test_enums_have_the_values_of_tensorboards() -> None:
    def enums(messages: dict[str, Descriptor]) -> dict[str, dict[str, int]]:
        types = [field.enum_type for message in messages.values() for field in message.fields if field.enum_type is not None]
        return {short(enum.full_name): {value.name: value.number for value in enum.values} for enum in types}

    theirs = enums(THEIRS)
    ours = enums(OURS)
    assert sorted(ours) == [
        "AudioPluginData.Encoding",
        "DataClass",
        "DataType",
        "LogMessage.Level",
        "MeshPluginData.ContentType",
        "NullValue",
        "SessionLog.SessionStatus",
        "Status",
    ]
    for name, values in ours.items():
        assert values.items() <= theirs[name].items()


VARINT, FIXED64, LENGTH = 0, 1, 2
WIRE_TYPES = {
    FieldDescriptor.TYPE_UINT64: VARINT,
    FieldDescriptor.TYPE_UINT32: VARINT,
    FieldDescriptor.TYPE_BOOL: VARINT,
    FieldDescriptor.TYPE_ENUM: VARINT,
    FieldDescriptor.TYPE_SFIXED64: FIXED64,
    FieldDescriptor.TYPE_DOUBLE: FIXED64,
    FieldDescriptor.TYPE_STRING: LENGTH,
    FieldDescriptor.TYPE_BYTES: LENGTH,
    FieldDescriptor.TYPE_MESSAGE: LENGTH,
}


def wire_types(message: Descriptor) -> dict[int, tuple[str, int, str | None]]:
    return {
        field.number: (
            field.name,
            LENGTH if field.is_packed else WIRE_TYPES[field.type],
            field.message_type.name if field.message_type is not None else None,
        )
        for field in message.fields
    }


def test_the_twin_in_columns_is_the_public_message_field_by_field() -> None:
    public = messages_in(write_pb2.WriteRequest.DESCRIPTOR)
    twin = messages_in(columns_pb2.WriteRequest.DESCRIPTOR)
    assert {name: wire_types(message) for name, message in twin.items()} == {
        name: wire_types(message) for name, message in public.items()
    }
