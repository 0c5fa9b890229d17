"""Python beside weights runs for a command that says so, and for no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import VIVID, Tool, quick
from safetensors.torch import load_file, save_file

from noisesearch.errors import ConfigError
from noisesearch.files import remote_code
from noisesearch.models.diffusers.folder import Folder
from noisesearch.testing import tiny_pipeline

CODE = """
from pathlib import Path
from diffusers import SanaTransformer2DModel

Path(RAN).touch()

class Mine(SanaTransformer2DModel):
    pass
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A pipeline whose network is of a class that lies beside its weights."""
    folder = tmp_path / "repository"
    tiny_pipeline("sana", folder)
    index = json.loads((folder / "model_index.json").read_text())
    index["transformer"] = ["mine", "Mine"]
    (folder / "model_index.json").write_text(json.dumps(index))
    config = folder / "transformer" / "config.json"
    config.write_text(config.read_text().replace("SanaTransformer2DModel", "Mine"))
    code = CODE.replace("RAN", repr(str(tmp_path / "ran")))
    (folder / "transformer" / "mine.py").write_text(code)
    return folder


def test_code_beside_weights(
    tool: Tool, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run where the option says so; what the run folder keeps says nothing of it, so a resume
    wants the option again."""
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    (tmp_path / "vivid.py").write_text(VIVID)
    request = [*quick("a red circle"), "--model", repository,
               "--steps", 2, "--budget", "2candidates", "--out", "run"]  # fmt: skip
    refused, planned = tool.batch(request, [*request, "--plan"])
    for done in (refused, planned):
        assert done.status == 2 and "--trust-remote-code" in done.err, done.err
        assert "transformer/mine.py" in done.err
    assert not (tmp_path / "ran").exists() and not (tmp_path / "run").exists()
    done = tool.run(*request, "--trust-remote-code")
    assert done.status == 0, done.err
    assert (tmp_path / "ran").exists()
    (tmp_path / "ran").unlink()
    refused, there = tool.batch(["resume", "run"], ["show", "run"])
    assert refused.status == 2 and "--trust-remote-code" in refused.err
    assert there.status == 0 and not (tmp_path / "ran").exists()
    # What ran is a part of what the run was made with.
    code = repository / "transformer" / "mine.py"
    code.write_text(code.read_text() + "\n# changed\n")
    changed = tool.run("resume", "run", "--trust-remote-code")
    assert changed.status == 2 and "made with other weights" in changed.err, changed.err


@pytest.mark.parametrize("module", ["gone", "../transformer/mine"])
def test_code_that_is_not_there(tool: Tool, repository: Path, module: str) -> None:
    index = json.loads((repository / "model_index.json").read_text())
    index["transformer"] = [module, "Mine"]
    (repository / "model_index.json").write_text(json.dumps(index))
    done = tool.run(*quick("x"), "--model", repository, "--trust-remote-code")
    assert done.status == 2 and "get the pipeline's files again" in done.err, done.err
    assert not (repository.parent / "ran").exists()


def test_weights_that_are_not_whole(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """diffusers would leave what is not there at random."""
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(remote_code, "_said", {remote_code.OPTION})
    (file,) = (repository / "transformer").glob("*.safetensors")
    weights = load_file(file)
    del weights["proj_out.weight"]
    save_file(weights, file, {"format": "pt"})
    with pytest.raises(ConfigError, match=r"lacks 1 of its weights \(proj_out.weight\)"):
        Folder(repository, "x").pipeline("cpu", "float32")
