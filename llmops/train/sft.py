"""Supervised fine-tuning of a LoRA adapter with TRL, resumable into the same MLflow run."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llmops.files import home, jsonl
from llmops.progress import quiet_loading, say
from llmops.recipe.schema import Lora, Recipe, Train
from llmops.records import BaseModel, DataSplit, PreparedData, TrainResult
from llmops.store import connection, runs, tags
from llmops.store.tags import RECIPE_FILE, RESUMED_AT_STEP
from llmops.train import checkpoints
from llmops.train.dataset import conversations

STATE = "train.json"


def train(recipe: Recipe, data: PreparedData, base: BaseModel, work: Path) -> TrainResult:
    """Train a LoRA adapter, or resume a training that was stopped, in one MLflow run.

    Args:
        recipe: The resolved recipe.
        data: The prepared splits.
        base: The base model on this machine.
        work: Folder for this recipe, data and base alone; holds checkpoints and the adapter.

    Returns:
        The finished training. A further call with the same folder returns it without training.

    Raises:
        DataError: An example is longer than ``train.max_length``.
        StoreError: The MLflow store refuses or does not answer.

    Example:
        from pathlib import Path

        from llmops.data import prepare
        from llmops.flavor import ensure_base
        from llmops.recipe import load_recipe
        from llmops.train import train

        recipe, work = load_recipe(Path("recipes/quickstart/recipe.yaml")), Path("work")
        data = prepare(recipe.data, work / "data", name=recipe.name, seed=recipe.seed)
        trained = train(recipe, data, ensure_base(recipe.train.base), work)
    """
    # `mlflow run` creates a run and names it here. It becomes the training run; left in the
    # environment, the comparison would be logged into it too.
    given = os.environ.pop("MLFLOW_RUN_ID", None)
    work.mkdir(parents=True, exist_ok=True)
    state = _known(_read(work / STATE))
    if "result" in state:
        return _result(state["result"], base)
    with _training_run(state.get("run_id") or given) as run_id:
        _write(work / STATE, {**state, "run_id": run_id})
        if not state.get("inputs_logged"):
            runs.mark_as_training(run_id)
            _log_inputs(recipe, data, base)
            state = {"run_id": run_id, "inputs_logged": True}
            _write(work / STATE, state)
        with connection.store_errors("training"):
            result = _fit(recipe, data, base, work, run_id)
        _write(work / STATE, {**state, "result": result})
    return _result(result, base)


def _known(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of an earlier session; nothing of it if its run is no longer in the store."""
    run_id = state.get("run_id")
    if run_id is None or runs.is_usable(run_id):
        return state
    say(f"train: run {run_id} is no longer in the store; continuing in a new run")
    return {}


@contextmanager
def _training_run(run_id: str | None) -> Iterator[str]:
    """Open an MLflow run, a new one for ``None``; yield its id, and end it with its outcome."""
    import mlflow

    with connection.store_errors("training run"):
        run = mlflow.start_run(run_id=run_id)
    status = "FAILED"
    try:
        yield str(run.info.run_id)
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        mlflow.end_run(status)


def _fit(
    recipe: Recipe, data: PreparedData, base: BaseModel, work: Path, run_id: str
) -> dict[str, Any]:
    import mlflow

    from llmops.train.callback import LoopCallback, peak_memory_bytes

    checkpoint = checkpoints.last(work / "checkpoints")
    first_step = checkpoints.step(checkpoint) if checkpoint else 0
    seconds = checkpoints.seconds(checkpoint) if checkpoint else 0.0
    if checkpoint is not None:
        say(f"train: resuming at step {first_step} of run {run_id}")
        mlflow.set_tag(RESUMED_AT_STEP, str(first_step))
    callback = LoopCallback(seconds=seconds, first_step=first_step)
    trainer = _trainer(recipe, data, base, work, callback)
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        seconds = callback.seconds
    finally:
        callback.close()
    validation_loss = float(trainer.evaluate()["eval_loss"])
    mlflow.log_metric(
        "validation/loss",
        validation_loss,
        step=trainer.state.global_step,
        dataset=_dataset(data, data.validation),
    )
    adapter = _save_adapter(trainer.model, work)
    result = {
        "run_id": run_id,
        "adapter_dir": str(adapter),
        "steps": trainer.state.global_step,
        "tokens": int(trainer.state.num_input_tokens_seen),
        "seconds": seconds,
        "validation_loss": validation_loss,
        "peak_memory": peak_memory_bytes(),
        "resumed_at": first_step,
    }
    mlflow.log_metrics(
        {"train/tokens": result["tokens"], "train/seconds": seconds}, step=result["steps"]
    )
    return result


def _trainer(recipe: Recipe, data: PreparedData, base: BaseModel, work: Path, callback: Any) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
    from trl import SFTTrainer

    config, cuda = recipe.train, torch.cuda.is_available()
    tokenizer = AutoTokenizer.from_pretrained(base.directory)
    train_set, validation_set = (
        conversations(split.path, tokenizer, config.max_length, drop=config.too_long == "drop")
        for split in (data.train, data.validation)
    )
    torch.manual_seed(recipe.seed)
    with quiet_loading():
        model = AutoModelForCausalLM.from_pretrained(
            base.directory, dtype=torch.bfloat16 if cuda else torch.float32, use_safetensors=True
        )
    trainer = SFTTrainer(
        model=model,
        args=_arguments(config, recipe.seed, work, cuda=cuda),
        train_dataset=train_set,
        eval_dataset=validation_set,
        processing_class=tokenizer,
        peft_config=_lora(config.lora),
        callbacks=[callback],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _arguments(config: Train, seed: int, work: Path, *, cuda: bool) -> Any:
    """Return the ``train`` section of a recipe as TRL's configuration."""
    from trl import SFTConfig

    return SFTConfig(
        output_dir=str(work / "checkpoints"),
        num_train_epochs=config.epochs,
        max_steps=config.max_steps or -1,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=config.warmup_fraction,
        max_length=config.max_length,
        logging_steps=1,
        save_steps=config.save_steps,
        save_total_limit=2,
        seed=seed,
        data_seed=seed,
        include_num_input_tokens_seen="non_padding",
        bf16=cuda,  # TRL turns it on everywhere; it is very slow on CPUs without native bf16
        activation_checkpointing=cuda,
        dataloader_pin_memory=cuda,
        report_to="none",  # our callback logs; MLflow's own would log the parameters again on resume
        disable_tqdm=True,
        use_cpu=not cuda,
    )


def _lora(config: Lora) -> Any:
    """Return the ``train.lora`` section of a recipe as PEFT's configuration."""
    from peft import LoraConfig

    return LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=config.target_modules,
        task_type="CAUSAL_LM",
    )


def _log_inputs(recipe: Recipe, data: PreparedData, base: BaseModel) -> None:
    """Log parameters, datasets with digests, and the files themselves, once for each run."""
    import mlflow

    mlflow.set_tag("mlflow.runName", f"{recipe.flavor.model} train")
    mlflow.set_tags({tags.RECIPE_DIGEST: recipe.digest(), tags.DATA_DIGEST: data.digest})
    mlflow.log_params(parameters(recipe.train, recipe.seed, base))
    mlflow.log_text(recipe.to_yaml(), RECIPE_FILE)
    mlflow.log_dict(asdict(data.summary), tags.DATA_SUMMARY)
    for split in data.splits:
        context = {"train": "training"}.get(split.name, split.name)
        mlflow.log_input(_dataset(data, split), context=context)
        mlflow.log_artifact(str(split.path), "data")


def _dataset(data: PreparedData, split: DataSplit) -> Any:
    """Return a split as the MLflow dataset of runs, metrics and logged models."""
    import mlflow
    import pandas as pd

    return mlflow.data.from_pandas(
        pd.DataFrame(jsonl.read(split.path)),
        source=str(split.path),
        name=f"{data.name}-{split.name}",
        digest=split.digest[:32],
    )


def parameters(config: Train, seed: int, base: BaseModel) -> dict[str, Any]:
    """Return what training depends on, as MLflow parameters of the run and the logged model."""
    return {
        "base": base.name,
        "base_digest": base.digest,
        "method": config.method,
        "lora_rank": config.lora.rank,
        "lora_alpha": config.lora.alpha,
        "lora_dropout": config.lora.dropout,
        "lora_target_modules": config.lora.target_modules,
        "epochs": config.epochs,
        "max_steps": config.max_steps,
        "batch_size": config.batch_size * config.gradient_accumulation,
        "learning_rate": config.learning_rate,
        "warmup_fraction": config.warmup_fraction,
        "max_length": config.max_length,
        "seed": seed,
    }


def _save_adapter(model: Any, work: Path) -> Path:
    """Write the adapter completely or not at all; return its directory."""
    target, temporary = work / "adapter", work / "adapter.tmp"
    for path in (target, temporary):
        shutil.rmtree(path, ignore_errors=True)
    model.save_pretrained(temporary, save_embedding_layers=False)
    temporary.rename(target)
    return target


def _result(stored: Mapping[str, Any], base: BaseModel) -> TrainResult:
    return TrainResult(**{**stored, "adapter_dir": Path(stored["adapter_dir"]), "base": base})


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def _write(path: Path, content: Mapping[str, Any]) -> None:
    home.write_whole(path, json.dumps(content, indent=2))
