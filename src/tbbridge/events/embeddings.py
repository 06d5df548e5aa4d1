"""An embedding as the files that TensorBoard's Projector reads beside a run's event file: bytes and names, no disk.

There is no event: `projector_config.pbtxt` in the run's folder lists the embeddings, and names files below that folder. Entries
are appended to it, and a reader takes any number of them, so an older one is never touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tbbridge.model import Embedding

# 9 digits give every float32 back as it was.
_NUMBER: Final = "%.9g"


@dataclass(frozen=True, slots=True)
class EmbeddingFiles:
    """`files` are (path, content), the paths below the run's folder; `config` is what projector_config.pbtxt grows by.

    Put the files there before the config names them: the Projector does not look twice.
    """

    files: tuple[tuple[str, bytes], ...]
    config: bytes


def encode_embedding(embedding: Embedding, folder: str) -> EmbeddingFiles:
    """The files of a settled embedding, all in `folder`, which no other embedding of the run may have.

    The Projector lists it as its display name (without one, its tag) and its step. Numbers are text: raw floats are only read
    as such if they happen not to be UTF-8. Raises ValueError if the step is missing.
    """
    if embedding.step is None:
        raise ValueError(f"embedding {embedding.tag!a} has no step; settle the batch before encoding it")
    name = f"{embedding.display_name or embedding.tag}:{embedding.step:05d}"
    files = [(f"{folder}/tensors.tsv", _tensors(embedding))]
    config = [f"  tensor_name: {_quoted(name)}", f"  tensor_path: {_quoted(files[0][0])}"]
    if embedding.metadata is not None:
        rows = (embedding.header, *embedding.metadata) if embedding.header is not None else embedding.metadata
        text = "".join("\t".join(row) + "\n" for row in rows)
        files.append((f"{folder}/metadata.tsv", text.encode()))
        config.append(f"  metadata_path: {_quoted(files[-1][0])}")
    if embedding.sprite is not None and embedding.sprite_size is not None:
        files.append((f"{folder}/sprite.png", embedding.sprite))
        width, height = embedding.sprite_size
        config.append(
            f"  sprite {{ image_path: {_quoted(files[-1][0])} single_image_dim: {width} single_image_dim: {height} }}"
        )
    entry = "\n".join(["embeddings {", *config, "}", ""])
    return EmbeddingFiles(tuple(files), entry.encode())


def _tensors(embedding: Embedding) -> bytes:
    rows, columns = embedding.matrix.shape
    line = "\t".join([_NUMBER] * columns) + "\n"
    return "".join([line % tuple(embedding.matrix[row].tolist()) for row in range(rows)]).encode()


def _quoted(text: str) -> str:
    """A string of protobuf's text format: what is not plain ASCII as octal bytes, of three digits each."""
    plain = (chr(byte) if 0x20 <= byte < 0x7F and byte not in b"\"'\\" else f"\\{byte:03o}" for byte in text.encode())
    return f'"{"".join(plain)}"'
