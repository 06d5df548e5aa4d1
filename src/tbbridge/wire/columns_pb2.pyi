from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WriteRequest(_message.Message):
    __slots__ = ("writer", "seq", "runs")
    WRITER_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    writer: bytes
    seq: int
    runs: _containers.RepeatedCompositeFieldContainer[RunBatch]
    def __init__(self, writer: _Optional[bytes] = ..., seq: _Optional[int] = ..., runs: _Optional[_Iterable[_Union[RunBatch, _Mapping]]] = ...) -> None: ...

class RunBatch(_message.Message):
    __slots__ = ("run", "scalars", "summaries")
    RUN_FIELD_NUMBER: _ClassVar[int]
    SCALARS_FIELD_NUMBER: _ClassVar[int]
    SUMMARIES_FIELD_NUMBER: _ClassVar[int]
    run: bytes
    scalars: _containers.RepeatedCompositeFieldContainer[ScalarColumns]
    summaries: _containers.RepeatedCompositeFieldContainer[Summary]
    def __init__(self, run: _Optional[bytes] = ..., scalars: _Optional[_Iterable[_Union[ScalarColumns, _Mapping]]] = ..., summaries: _Optional[_Iterable[_Union[Summary, _Mapping]]] = ...) -> None: ...

class ScalarColumns(_message.Message):
    __slots__ = ("tag", "steps", "values", "wall_times")
    TAG_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    WALL_TIMES_FIELD_NUMBER: _ClassVar[int]
    tag: bytes
    steps: _containers.RepeatedScalarFieldContainer[bytes]
    values: _containers.RepeatedScalarFieldContainer[bytes]
    wall_times: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, tag: _Optional[bytes] = ..., steps: _Optional[_Iterable[bytes]] = ..., values: _Optional[_Iterable[bytes]] = ..., wall_times: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Summary(_message.Message):
    __slots__ = ("tag", "step", "wall_time", "scalar", "text", "histogram")
    TAG_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    WALL_TIME_FIELD_NUMBER: _ClassVar[int]
    SCALAR_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    HISTOGRAM_FIELD_NUMBER: _ClassVar[int]
    tag: bytes
    step: int
    wall_time: float
    scalar: float
    text: bytes
    histogram: Histogram
    def __init__(self, tag: _Optional[bytes] = ..., step: _Optional[int] = ..., wall_time: _Optional[float] = ..., scalar: _Optional[float] = ..., text: _Optional[bytes] = ..., histogram: _Optional[_Union[Histogram, _Mapping]] = ...) -> None: ...

class Histogram(_message.Message):
    __slots__ = ("values", "lefts", "rights", "counts")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    LEFTS_FIELD_NUMBER: _ClassVar[int]
    RIGHTS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[bytes]
    lefts: _containers.RepeatedScalarFieldContainer[bytes]
    rights: _containers.RepeatedScalarFieldContainer[bytes]
    counts: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, values: _Optional[_Iterable[bytes]] = ..., lefts: _Optional[_Iterable[bytes]] = ..., rights: _Optional[_Iterable[bytes]] = ..., counts: _Optional[_Iterable[bytes]] = ...) -> None: ...
