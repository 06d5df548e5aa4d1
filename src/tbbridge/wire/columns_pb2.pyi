from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
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
    __slots__ = ("run", "scalars", "summaries", "purge_step", "purge_wall_time", "logs", "create", "member", "status")
    RUN_FIELD_NUMBER: _ClassVar[int]
    SCALARS_FIELD_NUMBER: _ClassVar[int]
    SUMMARIES_FIELD_NUMBER: _ClassVar[int]
    PURGE_STEP_FIELD_NUMBER: _ClassVar[int]
    PURGE_WALL_TIME_FIELD_NUMBER: _ClassVar[int]
    LOGS_FIELD_NUMBER: _ClassVar[int]
    CREATE_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    run: bytes
    scalars: _containers.RepeatedCompositeFieldContainer[ScalarColumns]
    summaries: _containers.RepeatedCompositeFieldContainer[Summary]
    purge_step: int
    purge_wall_time: float
    logs: _containers.RepeatedCompositeFieldContainer[LogRecord]
    create: bool
    member: bytes
    status: int
    def __init__(self, run: _Optional[bytes] = ..., scalars: _Optional[_Iterable[_Union[ScalarColumns, _Mapping]]] = ..., summaries: _Optional[_Iterable[_Union[Summary, _Mapping]]] = ..., purge_step: _Optional[int] = ..., purge_wall_time: _Optional[float] = ..., logs: _Optional[_Iterable[_Union[LogRecord, _Mapping]]] = ..., create: bool = ..., member: _Optional[bytes] = ..., status: _Optional[int] = ...) -> None: ...

class LogRecord(_message.Message):
    __slots__ = ("message", "level", "logger", "wall_time")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    LOGGER_FIELD_NUMBER: _ClassVar[int]
    WALL_TIME_FIELD_NUMBER: _ClassVar[int]
    message: bytes
    level: int
    logger: bytes
    wall_time: float
    def __init__(self, message: _Optional[bytes] = ..., level: _Optional[int] = ..., logger: _Optional[bytes] = ..., wall_time: _Optional[float] = ...) -> None: ...

class ScalarColumns(_message.Message):
    __slots__ = ("tag", "steps", "values", "wall_times", "display_name", "description")
    TAG_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    WALL_TIMES_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    tag: bytes
    steps: _containers.RepeatedScalarFieldContainer[bytes]
    values: _containers.RepeatedScalarFieldContainer[bytes]
    wall_times: _containers.RepeatedScalarFieldContainer[bytes]
    display_name: bytes
    description: bytes
    def __init__(self, tag: _Optional[bytes] = ..., steps: _Optional[_Iterable[bytes]] = ..., values: _Optional[_Iterable[bytes]] = ..., wall_times: _Optional[_Iterable[bytes]] = ..., display_name: _Optional[bytes] = ..., description: _Optional[bytes] = ...) -> None: ...

class Summary(_message.Message):
    __slots__ = ("tag", "step", "wall_time", "display_name", "description", "scalar", "text", "histogram", "image", "audio", "pr_curve", "mesh", "embedding", "graph_def", "run_metadata", "hparams", "custom_scalars", "tensor", "raw_value")
    TAG_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    WALL_TIME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    SCALAR_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    HISTOGRAM_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    PR_CURVE_FIELD_NUMBER: _ClassVar[int]
    MESH_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    GRAPH_DEF_FIELD_NUMBER: _ClassVar[int]
    RUN_METADATA_FIELD_NUMBER: _ClassVar[int]
    HPARAMS_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_SCALARS_FIELD_NUMBER: _ClassVar[int]
    TENSOR_FIELD_NUMBER: _ClassVar[int]
    RAW_VALUE_FIELD_NUMBER: _ClassVar[int]
    tag: bytes
    step: int
    wall_time: float
    display_name: bytes
    description: bytes
    scalar: float
    text: bytes
    histogram: Histogram
    image: Image
    audio: Audio
    pr_curve: PrCurve
    mesh: Mesh
    embedding: Embedding
    graph_def: bytes
    run_metadata: bytes
    hparams: HParams
    custom_scalars: CustomScalars
    tensor: Tensor
    raw_value: bytes
    def __init__(self, tag: _Optional[bytes] = ..., step: _Optional[int] = ..., wall_time: _Optional[float] = ..., display_name: _Optional[bytes] = ..., description: _Optional[bytes] = ..., scalar: _Optional[float] = ..., text: _Optional[bytes] = ..., histogram: _Optional[_Union[Histogram, _Mapping]] = ..., image: _Optional[_Union[Image, _Mapping]] = ..., audio: _Optional[_Union[Audio, _Mapping]] = ..., pr_curve: _Optional[_Union[PrCurve, _Mapping]] = ..., mesh: _Optional[_Union[Mesh, _Mapping]] = ..., embedding: _Optional[_Union[Embedding, _Mapping]] = ..., graph_def: _Optional[bytes] = ..., run_metadata: _Optional[bytes] = ..., hparams: _Optional[_Union[HParams, _Mapping]] = ..., custom_scalars: _Optional[_Union[CustomScalars, _Mapping]] = ..., tensor: _Optional[_Union[Tensor, _Mapping]] = ..., raw_value: _Optional[bytes] = ...) -> None: ...

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

class Image(_message.Message):
    __slots__ = ("encoded",)
    ENCODED_FIELD_NUMBER: _ClassVar[int]
    encoded: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, encoded: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Audio(_message.Message):
    __slots__ = ("wav",)
    WAV_FIELD_NUMBER: _ClassVar[int]
    wav: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, wav: _Optional[_Iterable[bytes]] = ...) -> None: ...

class PrCurve(_message.Message):
    __slots__ = ("true_positives", "false_positives", "true_negatives", "false_negatives", "precision", "recall")
    TRUE_POSITIVES_FIELD_NUMBER: _ClassVar[int]
    FALSE_POSITIVES_FIELD_NUMBER: _ClassVar[int]
    TRUE_NEGATIVES_FIELD_NUMBER: _ClassVar[int]
    FALSE_NEGATIVES_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    true_positives: _containers.RepeatedScalarFieldContainer[bytes]
    false_positives: _containers.RepeatedScalarFieldContainer[bytes]
    true_negatives: _containers.RepeatedScalarFieldContainer[bytes]
    false_negatives: _containers.RepeatedScalarFieldContainer[bytes]
    precision: _containers.RepeatedScalarFieldContainer[bytes]
    recall: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, true_positives: _Optional[_Iterable[bytes]] = ..., false_positives: _Optional[_Iterable[bytes]] = ..., true_negatives: _Optional[_Iterable[bytes]] = ..., false_negatives: _Optional[_Iterable[bytes]] = ..., precision: _Optional[_Iterable[bytes]] = ..., recall: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Mesh(_message.Message):
    __slots__ = ("samples", "vertices", "colors", "faces", "config")
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    VERTICES_FIELD_NUMBER: _ClassVar[int]
    COLORS_FIELD_NUMBER: _ClassVar[int]
    FACES_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    samples: int
    vertices: _containers.RepeatedScalarFieldContainer[bytes]
    colors: bytes
    faces: _containers.RepeatedScalarFieldContainer[bytes]
    config: bytes
    def __init__(self, samples: _Optional[int] = ..., vertices: _Optional[_Iterable[bytes]] = ..., colors: _Optional[bytes] = ..., faces: _Optional[_Iterable[bytes]] = ..., config: _Optional[bytes] = ...) -> None: ...

class Embedding(_message.Message):
    __slots__ = ("dimensions", "values", "metadata", "header", "sprite", "sprite_width", "sprite_height")
    class Row(_message.Message):
        __slots__ = ("cells",)
        CELLS_FIELD_NUMBER: _ClassVar[int]
        cells: _containers.RepeatedScalarFieldContainer[bytes]
        def __init__(self, cells: _Optional[_Iterable[bytes]] = ...) -> None: ...
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    SPRITE_FIELD_NUMBER: _ClassVar[int]
    SPRITE_WIDTH_FIELD_NUMBER: _ClassVar[int]
    SPRITE_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    dimensions: int
    values: _containers.RepeatedScalarFieldContainer[bytes]
    metadata: _containers.RepeatedCompositeFieldContainer[Embedding.Row]
    header: _containers.RepeatedScalarFieldContainer[bytes]
    sprite: bytes
    sprite_width: int
    sprite_height: int
    def __init__(self, dimensions: _Optional[int] = ..., values: _Optional[_Iterable[bytes]] = ..., metadata: _Optional[_Iterable[_Union[Embedding.Row, _Mapping]]] = ..., header: _Optional[_Iterable[bytes]] = ..., sprite: _Optional[bytes] = ..., sprite_width: _Optional[int] = ..., sprite_height: _Optional[int] = ...) -> None: ...

class HParams(_message.Message):
    __slots__ = ("values", "metrics", "group_name", "status")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[HParams.Status]
        SUCCESS: _ClassVar[HParams.Status]
        FAILURE: _ClassVar[HParams.Status]
        RUNNING: _ClassVar[HParams.Status]
    STATUS_UNSPECIFIED: HParams.Status
    SUCCESS: HParams.Status
    FAILURE: HParams.Status
    RUNNING: HParams.Status
    class Value(_message.Message):
        __slots__ = ("name", "number", "text", "flag")
        NAME_FIELD_NUMBER: _ClassVar[int]
        NUMBER_FIELD_NUMBER: _ClassVar[int]
        TEXT_FIELD_NUMBER: _ClassVar[int]
        FLAG_FIELD_NUMBER: _ClassVar[int]
        name: bytes
        number: float
        text: bytes
        flag: bool
        def __init__(self, name: _Optional[bytes] = ..., number: _Optional[float] = ..., text: _Optional[bytes] = ..., flag: bool = ...) -> None: ...
    VALUES_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    GROUP_NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[HParams.Value]
    metrics: _containers.RepeatedScalarFieldContainer[bytes]
    group_name: bytes
    status: HParams.Status
    def __init__(self, values: _Optional[_Iterable[_Union[HParams.Value, _Mapping]]] = ..., metrics: _Optional[_Iterable[bytes]] = ..., group_name: _Optional[bytes] = ..., status: _Optional[_Union[HParams.Status, str]] = ...) -> None: ...

class CustomScalars(_message.Message):
    __slots__ = ("categories",)
    class Margin(_message.Message):
        __slots__ = ("value", "lower", "upper")
        VALUE_FIELD_NUMBER: _ClassVar[int]
        LOWER_FIELD_NUMBER: _ClassVar[int]
        UPPER_FIELD_NUMBER: _ClassVar[int]
        value: bytes
        lower: bytes
        upper: bytes
        def __init__(self, value: _Optional[bytes] = ..., lower: _Optional[bytes] = ..., upper: _Optional[bytes] = ...) -> None: ...
    class Chart(_message.Message):
        __slots__ = ("title", "multiline", "margin")
        TITLE_FIELD_NUMBER: _ClassVar[int]
        MULTILINE_FIELD_NUMBER: _ClassVar[int]
        MARGIN_FIELD_NUMBER: _ClassVar[int]
        title: bytes
        multiline: _containers.RepeatedScalarFieldContainer[bytes]
        margin: _containers.RepeatedCompositeFieldContainer[CustomScalars.Margin]
        def __init__(self, title: _Optional[bytes] = ..., multiline: _Optional[_Iterable[bytes]] = ..., margin: _Optional[_Iterable[_Union[CustomScalars.Margin, _Mapping]]] = ...) -> None: ...
    class Category(_message.Message):
        __slots__ = ("title", "charts", "closed")
        TITLE_FIELD_NUMBER: _ClassVar[int]
        CHARTS_FIELD_NUMBER: _ClassVar[int]
        CLOSED_FIELD_NUMBER: _ClassVar[int]
        title: bytes
        charts: _containers.RepeatedCompositeFieldContainer[CustomScalars.Chart]
        closed: bool
        def __init__(self, title: _Optional[bytes] = ..., charts: _Optional[_Iterable[_Union[CustomScalars.Chart, _Mapping]]] = ..., closed: bool = ...) -> None: ...
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    categories: _containers.RepeatedCompositeFieldContainer[CustomScalars.Category]
    def __init__(self, categories: _Optional[_Iterable[_Union[CustomScalars.Category, _Mapping]]] = ...) -> None: ...

class Tensor(_message.Message):
    __slots__ = ("dtype", "shape", "content", "strings", "plugin_name", "plugin_content")
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    STRINGS_FIELD_NUMBER: _ClassVar[int]
    PLUGIN_NAME_FIELD_NUMBER: _ClassVar[int]
    PLUGIN_CONTENT_FIELD_NUMBER: _ClassVar[int]
    dtype: bytes
    shape: _containers.RepeatedScalarFieldContainer[int]
    content: bytes
    strings: _containers.RepeatedScalarFieldContainer[bytes]
    plugin_name: bytes
    plugin_content: bytes
    def __init__(self, dtype: _Optional[bytes] = ..., shape: _Optional[_Iterable[int]] = ..., content: _Optional[bytes] = ..., strings: _Optional[_Iterable[bytes]] = ..., plugin_name: _Optional[bytes] = ..., plugin_content: _Optional[bytes] = ...) -> None: ...
