"""Files made to do harm: each is refused with a sentence, and none is unpickled or unpacked."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from noisesearch.errors import ConfigError, NoisesearchError
from noisesearch.evaluation import reference
from noisesearch.files import pictures
from noisesearch.files import tensors as tensor_files
from noisesearch.models.diffusers.folder import Folder
from noisesearch.models.drafts import lora
from noisesearch.objectives import sets_text
from noisesearch.setup.start import _read
from noisesearch.store import given_images
from noisesearch.store.run_store import RunStore


class Evil:
    """Whoever unpickles it leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


def a_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Evil(path.with_name("ran"))))


def a_torch_pickle(path: Path) -> None:
    import torch

    torch.save({"latents": Evil(path.with_name("ran"))}, path)


def an_array_of_objects(path: Path) -> None:
    objects = np.array([Evil(path.with_name("ran"))], dtype=object)
    if path.suffix == ".npz":
        np.savez(path, latents=objects, mu=objects, sigma=objects, features=objects)
    else:
        data = io.BytesIO()
        np.save(data, objects, allow_pickle=True)
        path.write_bytes(data.getvalue())


def a_zip_bomb(path: Path) -> None:
    """A few kilobytes that say they unpack to 64 GiB, in an entry that begins as an array does."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f4", "fortran_order": False, "shape": (2**34,)}
    )
    data = head.getvalue() + bytes(2**20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as whole:
        for name in ("latents.npy", "mu.npy", "sigma.npy", "features.npy"):
            whole.writestr(name, data)
    content = path.read_bytes()  # the directory at the end says how large each entry is
    lie, true = struct.pack("<L", 2**32 - 2), struct.pack("<L", len(data))
    path.write_bytes(content.replace(true, lie))


def an_array_with_an_archive_behind(path: Path) -> None:
    """It begins as the one file and ends as the other."""
    head, tail = io.BytesIO(), io.BytesIO()
    np.save(head, np.ones(3, np.float32))
    np.savez(tail, features=np.ones((3, 3), np.float32))
    path.write_bytes(head.getvalue() + tail.getvalue())


def an_array_that_promises_more(path: Path) -> None:
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f4", "fortran_order": False, "shape": (2**50,)}
    )
    path.write_bytes(head.getvalue() + bytes(64))


def a_head_of_exbibytes(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 2**60) + b'{"latents":{}}')


def tensors_out_of_bounds(path: Path) -> None:
    head = {"latents": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
    text = json.dumps(head).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(16))


MAKERS: Mapping[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "a pickle": (a_pickle, (".npy", ".npz", ".safetensors", ".pt", ".bin", ".latent", ".ckpt")),
    "a torch pickle": (a_torch_pickle, (".pt", ".bin", ".pth", ".safetensors", ".npz")),
    "objects": (an_array_of_objects, (".npy", ".npz")),
    "a zip bomb": (a_zip_bomb, (".npz",)),
    "two files": (an_array_with_an_archive_behind, (".npz",)),
    "a promise": (an_array_that_promises_more, (".npy",)),
    "a huge head": (a_head_of_exbibytes, (".safetensors", ".latent")),
    "out of bounds": (tensors_out_of_bounds, (".safetensors", ".latent")),
}


@pytest.mark.parametrize(
    ("what", "ending"), [(what, end) for what, (_, ends) in MAKERS.items() for end in ends]
)
def test_arrays_and_weights(tmp_path: Path, what: str, ending: str) -> None:
    """By every reader that takes such a name."""
    file = tmp_path / f"hostile{ending}"
    MAKERS[what][0](file)
    readers: list[Callable[[Path], object]] = [_read, lora.read]
    if ending == ".npz":
        readers += [sets_text.stored]
        assert reference._features(file) is None
    if ending not in (".npy", ".npz", ".latent"):
        readers += [lambda path: tensor_files.tensors(path, "give another")]
    for read in readers:
        with pytest.raises(ConfigError):
            read(file)
    assert not (tmp_path / "ran").exists(), "it was unpickled"


@pytest.mark.parametrize("what", ["a pickle", "objects", "a promise", "a zip bomb"])
def test_blobs_of_a_run(tmp_path: Path, what: str) -> None:
    folder, key = tmp_path / "run", "0" * 32
    store = RunStore.create(folder, {})
    (folder / "blobs").mkdir()
    MAKERS[what][0](folder / "blobs" / f"{key}.npy")
    with pytest.raises(NoisesearchError, match="cannot be read"):
        store.arrays.get(key)
    store.close()
    assert not (folder / "blobs" / "ran").exists()


def a_picture(path: Path, width: int, height: int, frames: str = "") -> None:
    """A PNG that says it is so large, and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", check)

    head = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    said = chunk(b"tEXt", b"noisesearch:frames\x00" + frames.encode()) if frames else b""
    body = chunk(b"IDAT", zlib.compress(bytes(1 + 3 * width) * height if width < 100 else b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + said + body
                     + chunk(b"IEND", b""))  # fmt: skip


@pytest.mark.parametrize(
    ("width", "height", "frames"),
    [(100_000, 100_000, ""), (10_000, 10_000, ""), (2**31 - 1, 2**31 - 1, ""),
     (4, 4, str(10**12)), (4, 4, "-1"), (4, 4, "many")],
)  # fmt: skip
def test_pictures(tmp_path: Path, width: int, height: int, frames: str) -> None:
    file = tmp_path / "bomb.png"
    a_picture(file, width, height, frames)
    with pytest.raises(ConfigError, match=r"bomb\.png cannot be read"):
        pictures.read(file)
    if not frames:
        with pytest.raises(ConfigError, match="cannot be read"):
            given_images.picture("image", file)


def test_weights_with_code_beside_them(tmp_path: Path) -> None:
    """A pipeline's folder whose scheduler is a file of Python in it."""
    for part in ("scheduler", "transformer"):
        (tmp_path / part).mkdir()
    (tmp_path / "scheduler" / "evil.py").write_text(
        "from pathlib import Path\nPath(__file__).with_name('ran').touch()\nclass Evil: pass\n"
    )
    (tmp_path / "model_index.json").write_text(
        json.dumps({"_class_name": "SanaPipeline", "scheduler": ["evil", "Evil"]})
    )
    with pytest.raises(ConfigError, match=r"evil\.Evil.*--trust-remote-code"):
        Folder(tmp_path, "x").pipeline("cpu", "float32")
    assert not (tmp_path / "scheduler" / "ran").exists()
