from tbbridge.wire import columns_pb2 as _columns_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Entry(_message.Message):
    __slots__ = ("magic", "index", "durable_below", "writer", "seq", "opened", "runs", "change", "logs", "dropped_logs")
    MAGIC_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    DURABLE_BELOW_FIELD_NUMBER: _ClassVar[int]
    WRITER_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    LOGS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_LOGS_FIELD_NUMBER: _ClassVar[int]
    magic: int
    index: int
    durable_below: int
    writer: bytes
    seq: int
    opened: _containers.RepeatedCompositeFieldContainer[FileOpened]
    runs: _containers.RepeatedCompositeFieldContainer[_columns_pb2.RunBatch]
    change: Change
    logs: _containers.RepeatedCompositeFieldContainer[LogPlace]
    dropped_logs: _containers.RepeatedCompositeFieldContainer[LogFile]
    def __init__(self, magic: _Optional[int] = ..., index: _Optional[int] = ..., durable_below: _Optional[int] = ..., writer: _Optional[bytes] = ..., seq: _Optional[int] = ..., opened: _Optional[_Iterable[_Union[FileOpened, _Mapping]]] = ..., runs: _Optional[_Iterable[_Union[_columns_pb2.RunBatch, _Mapping]]] = ..., change: _Optional[_Union[Change, _Mapping]] = ..., logs: _Optional[_Iterable[_Union[LogPlace, _Mapping]]] = ..., dropped_logs: _Optional[_Iterable[_Union[LogFile, _Mapping]]] = ...) -> None: ...

class LogPlace(_message.Message):
    __slots__ = ("run", "generation", "offset")
    RUN_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    run: bytes
    generation: int
    offset: int
    def __init__(self, run: _Optional[bytes] = ..., generation: _Optional[int] = ..., offset: _Optional[int] = ...) -> None: ...

class LogFile(_message.Message):
    __slots__ = ("run", "generation")
    RUN_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    run: bytes
    generation: int
    def __init__(self, run: _Optional[bytes] = ..., generation: _Optional[int] = ...) -> None: ...

class Change(_message.Message):
    __slots__ = ("removed", "rewritten", "renamed", "installed")
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    REWRITTEN_FIELD_NUMBER: _ClassVar[int]
    RENAMED_FIELD_NUMBER: _ClassVar[int]
    INSTALLED_FIELD_NUMBER: _ClassVar[int]
    removed: Removed
    rewritten: Rewritten
    renamed: Renamed
    installed: Installed
    def __init__(self, removed: _Optional[_Union[Removed, _Mapping]] = ..., rewritten: _Optional[_Union[Rewritten, _Mapping]] = ..., renamed: _Optional[_Union[Renamed, _Mapping]] = ..., installed: _Optional[_Union[Installed, _Mapping]] = ...) -> None: ...

class Removed(_message.Message):
    __slots__ = ("runs",)
    RUNS_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, runs: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Rewritten(_message.Message):
    __slots__ = ("run", "tag", "staged", "file", "length")
    RUN_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    STAGED_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    run: bytes
    tag: bytes
    staged: str
    file: str
    length: int
    def __init__(self, run: _Optional[bytes] = ..., tag: _Optional[bytes] = ..., staged: _Optional[str] = ..., file: _Optional[str] = ..., length: _Optional[int] = ...) -> None: ...

class Renamed(_message.Message):
    __slots__ = ("run", "to")
    RUN_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    run: bytes
    to: bytes
    def __init__(self, run: _Optional[bytes] = ..., to: _Optional[bytes] = ...) -> None: ...

class Installed(_message.Message):
    __slots__ = ("run", "staged", "known", "then")
    RUN_FIELD_NUMBER: _ClassVar[int]
    STAGED_FIELD_NUMBER: _ClassVar[int]
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    THEN_FIELD_NUMBER: _ClassVar[int]
    run: bytes
    staged: str
    known: bool
    then: RunCheckpoint
    def __init__(self, run: _Optional[bytes] = ..., staged: _Optional[str] = ..., known: bool = ..., then: _Optional[_Union[RunCheckpoint, _Mapping]] = ...) -> None: ...

class FileOpened(_message.Message):
    __slots__ = ("run", "name", "wall_time", "first_of_run", "config_length")
    RUN_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    WALL_TIME_FIELD_NUMBER: _ClassVar[int]
    FIRST_OF_RUN_FIELD_NUMBER: _ClassVar[int]
    CONFIG_LENGTH_FIELD_NUMBER: _ClassVar[int]
    run: bytes
    name: str
    wall_time: float
    first_of_run: bool
    config_length: int
    def __init__(self, run: _Optional[bytes] = ..., name: _Optional[str] = ..., wall_time: _Optional[float] = ..., first_of_run: bool = ..., config_length: _Optional[int] = ...) -> None: ...

class SegmentHeader(_message.Message):
    __slots__ = ("number", "first_index", "previous_length", "boot")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    FIRST_INDEX_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_LENGTH_FIELD_NUMBER: _ClassVar[int]
    BOOT_FIELD_NUMBER: _ClassVar[int]
    number: int
    first_index: int
    previous_length: int
    boot: str
    def __init__(self, number: _Optional[int] = ..., first_index: _Optional[int] = ..., previous_length: _Optional[int] = ..., boot: _Optional[str] = ...) -> None: ...

class CheckpointHeader(_message.Message):
    __slots__ = ("next_segment", "next_index", "runs", "writer_chunks", "log_chunks")
    NEXT_SEGMENT_FIELD_NUMBER: _ClassVar[int]
    NEXT_INDEX_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    WRITER_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    LOG_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    next_segment: int
    next_index: int
    runs: int
    writer_chunks: int
    log_chunks: int
    def __init__(self, next_segment: _Optional[int] = ..., next_index: _Optional[int] = ..., runs: _Optional[int] = ..., writer_chunks: _Optional[int] = ..., log_chunks: _Optional[int] = ...) -> None: ...

class RunCheckpoint(_message.Message):
    __slots__ = ("run", "file", "length", "tags", "kinds", "last_steps", "config_length", "status")
    RUN_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    LAST_STEPS_FIELD_NUMBER: _ClassVar[int]
    CONFIG_LENGTH_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    run: bytes
    file: str
    length: int
    tags: _containers.RepeatedScalarFieldContainer[bytes]
    kinds: _containers.RepeatedScalarFieldContainer[int]
    last_steps: bytes
    config_length: int
    status: int
    def __init__(self, run: _Optional[bytes] = ..., file: _Optional[str] = ..., length: _Optional[int] = ..., tags: _Optional[_Iterable[bytes]] = ..., kinds: _Optional[_Iterable[int]] = ..., last_steps: _Optional[bytes] = ..., config_length: _Optional[int] = ..., status: _Optional[int] = ...) -> None: ...

class WriterMarks(_message.Message):
    __slots__ = ("writers", "seqs")
    WRITERS_FIELD_NUMBER: _ClassVar[int]
    SEQS_FIELD_NUMBER: _ClassVar[int]
    writers: _containers.RepeatedScalarFieldContainer[bytes]
    seqs: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, writers: _Optional[_Iterable[bytes]] = ..., seqs: _Optional[_Iterable[int]] = ...) -> None: ...

class LogCheckpoint(_message.Message):
    __slots__ = ("runs", "generations", "lengths", "full", "ended")
    RUNS_FIELD_NUMBER: _ClassVar[int]
    GENERATIONS_FIELD_NUMBER: _ClassVar[int]
    LENGTHS_FIELD_NUMBER: _ClassVar[int]
    FULL_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedScalarFieldContainer[bytes]
    generations: _containers.RepeatedScalarFieldContainer[int]
    lengths: _containers.RepeatedScalarFieldContainer[int]
    full: bool
    ended: bool
    def __init__(self, runs: _Optional[_Iterable[bytes]] = ..., generations: _Optional[_Iterable[int]] = ..., lengths: _Optional[_Iterable[int]] = ..., full: bool = ..., ended: bool = ...) -> None: ...
