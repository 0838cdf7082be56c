"""Starting several processes from one command: followers, hostfiles, templates."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.stage_context import LocalStageContext
from tests.train.test_stage import TRAIN, prepared

from textmill.errors import UserError
from textmill.train.parallel.hostfile import Host, read_environment, read_hostfile
from textmill.train.parallel.zero import engine_config
from textmill.train.settings import TrainSection
from textmill.train.templates import write_templates


def test_a_stage_trains_on_two_processes_as_on_one(tmp_path: Path) -> None:
    done = prepared(tmp_path / "two")
    shutil.copytree(tmp_path / "two", tmp_path / "one")
    settings = TRAIN | {
        "optimizer": "adamw",
        "dtype": "fp32",
        "epochs": None,
        "steps": 12,
        "eps": 1e-4,
        "watch": [],
    }
    numbers = {}
    for name, processes in (("one", 1), ("two", 2)):
        section = TrainSection(**settings, processes=processes)
        context = LocalStageContext(tmp_path / name, done)
        numbers[name] = section.run(context).numbers
    assert not {"RANK", "WORLD_SIZE", "MASTER_PORT"} & set(os.environ)
    assert numbers["one"]["final_loss"] == pytest.approx(numbers["two"]["final_loss"], abs=1e-5)
    assert numbers["one"]["validation_loss"] == pytest.approx(numbers["two"]["validation_loss"], abs=1e-5)
    states = [
        json.loads((tmp_path / name / "model/training_summary.json").read_text()) for name in ("one", "two")
    ]
    assert states[0]["data_sha256"] == states[1]["data_sha256"]


def test_hostfiles(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("# ours\nnode1 slots=8\n\nnode2   slots = 4 # older\nnode3\n")
    assert read_hostfile(file) == [Host("node1", 8), Host("node2", 4), Host("node3", 1)]
    for wrong in ("node1 gpus=8\n", "# none\n", "node1 slots=0\n", "a slots=1\na slots=1\n"):
        file.write_text(wrong)
        with pytest.raises(UserError):
            read_hostfile(file)
    with pytest.raises(UserError, match="cannot be read"):
        read_hostfile(tmp_path / "missing")


def test_templates_are_read_by_what_reads_them(tmp_path: Path) -> None:
    hosts, variables, zero = write_templates(tmp_path)
    assert [host.slots for host in read_hostfile(hosts)] == [8, 8]
    assert read_environment(variables)["NCCL_IB_DISABLE"] == "0"
    settings = TrainSection(
        parallel="deepspeed", batch_size=64, micro_batch_size=2, clip=0.5, deepspeed={"config": str(zero)}
    ).resolved()  # type: ignore[arg-type]
    config = engine_config(settings, "bf16", 16)
    assert config["zero_optimization"]["stage"] == 2
    assert config["zero_optimization"]["overlap_comm"]
    assert (config["train_micro_batch_size_per_gpu"], config["gradient_accumulation_steps"]) == (2, 2)
    assert (config["bf16"]["enabled"], config["gradient_clipping"]) == (True, 0.5)
    with pytest.raises(UserError, match="overwrite"):
        write_templates(tmp_path)


def test_a_configuration_of_deepspeed_may_not_contradict_the_recipe(tmp_path: Path) -> None:
    own: dict[str, Any] = {"optimizer": {"type": "Adam"}}
    (tmp_path / "own.json").write_text(json.dumps(own))
    settings = TrainSection(parallel="deepspeed", deepspeed={"config": str(tmp_path / "own.json")}).resolved()  # type: ignore[arg-type]
    with pytest.raises(UserError, match="optimizer"):
        engine_config(settings, "fp32", 2)


def test_quantised_weights_are_copied_not_shared_out() -> None:
    import torch

    from textmill.train.parallel.choice import strategy_of
    from textmill.train.parallel.ddp import DataParallel
    from textmill.train.parallel.fsdp import FullySharded
    from textmill.train.parallel.world import World
    from textmill.train.trainee import LlamaTrainee

    settings = TrainSection(preset="tiny").resolved()
    trainee = LlamaTrainee(settings.model_config_for(60, 16, 0))
    cpu, two = torch.device("cpu"), World(0, 2)
    assert type(strategy_of(settings, trainee, cpu, two)) is DataParallel
    shared = settings.model_copy(update={"parallel": "fsdp"})
    assert type(strategy_of(shared, trainee, cpu, two)) is FullySharded
    trainee.model.quantised = torch.nn.Parameter(torch.zeros(4, dtype=torch.uint8), requires_grad=False)
    assert type(strategy_of(settings, trainee, cpu, two)) is DataParallel
    with pytest.raises(UserError, match="4 or 8 bits"):
        strategy_of(shared, trainee, cpu, two)
