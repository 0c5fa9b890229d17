"""A model of transformers on this machine that reads images and writes text."""

from __future__ import annotations

import io
from pathlib import Path
from threading import Lock
from typing import Any

from ...errors import ConfigError
from ...files.hub import unreachable
from ...files.remote_code import trusted
from .errors import Failed
from .services import ServiceReply, ServiceRequest

LONGEST = 2048  # tokens of an answer


class Local:
    """Answers by greedy decoding, or at ``temperature``; one call at a time."""

    def __init__(self, model: str, device: str, longest: int = LONGEST) -> None:
        try:
            from transformers import AutoModelForImageTextToText, AutoProcessor
        except ImportError as error:
            raise ConfigError(
                "verifier 'llm-grader' with backend=local needs transformers 5 or later: pip "
                "install 'noisesearch[verifiers]'"
            ) from error
        instead = "give model=FOLDER with an image-text-to-text model and its processor"
        path = Path(model).expanduser()
        source = str(path) if path.exists() else model
        try:
            self.processor: Any = AutoProcessor.from_pretrained(
                source, trust_remote_code=trusted()
            )
            loaded: Any = AutoModelForImageTextToText.from_pretrained(
                source, dtype="auto", trust_remote_code=trusted(), use_safetensors=True
            )
        except Exception as error:  # whatever the files, the hub or the classes may raise
            if path.exists():
                said = str(error).splitlines()[0].rstrip(".")
                raise ConfigError(f"{model} cannot be loaded as the model of verifier "
                                  f"'llm-grader' ({said}); {instead}") from error  # fmt: skip
            what = f"{model!r}, the model of verifier 'llm-grader',"
            raise unreachable(what, error, instead) from error
        if getattr(self.processor, "chat_template", None) is None:
            raise ConfigError(f"{model} has no chat template, so it cannot be asked; {instead}")
        self.model = loaded.to(device).eval().requires_grad_(False)
        self.longest, self._lock = longest, Lock()

    def __call__(self, asked: ServiceRequest) -> ServiceReply:
        """The text after the prompt; Failed where the model raises."""
        import torch
        from PIL import Image

        shown: list[dict[str, Any]] = []
        for question in asked.questions:
            shown.append({"type": "text", "text": question.text})
            shown += [{"type": "image", "image": Image.open(io.BytesIO(image))}
                      for image in question.images]  # fmt: skip
        system = [{"type": "text", "text": asked.instructions}]
        chat = [{"role": "system", "content": system}, {"role": "user", "content": shown}]
        warm = {"do_sample": True, "temperature": asked.temperature} if asked.temperature else {
            "do_sample": False}  # fmt: skip
        try:
            with self._lock, torch.inference_mode():
                inputs = self.processor.apply_chat_template(
                    chat, add_generation_prompt=True, tokenize=True, return_dict=True,
                    return_tensors="pt",
                ).to(self.model.device)  # fmt: skip
                made = self.model.generate(**inputs, max_new_tokens=self.longest, **warm)
        except Exception as error:  # a model of any kind: one that cannot answer is a failure
            raise Failed(f"{type(error).__name__}: {error}"[:200], final=True) from error
        asked_for = inputs["input_ids"].shape[1]
        new = made[0, asked_for:]
        text = self.processor.batch_decode([new], skip_special_tokens=True)[0]
        return ServiceReply(unfenced(text), asked_for, len(new))

    def close(self) -> None:
        """Nothing is held but memory."""


def unfenced(text: str) -> str:
    """Without the fence of backquotes that models put around JSON when nothing stops them."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```"):
        return text[3:-3].strip().removeprefix("json")
    return text
