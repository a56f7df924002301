"""The optimizers of other libraries, from the extra `baselines`; none is imported before it is asked for.

Where a class of a library does not take ``cls(params, **kwargs)`` and then ``step()``, or takes arguments that its
signature does not name, a subclass in ``adapters`` makes it so; its steps stay the library's.
"""

from __future__ import annotations

from waddington.optim.registry.spec import BETA2, RATES, OptimizerSpec

__all__ = ["BASELINES"]

_ADAPTERS = "waddington.optim.registry.adapters"
_UNCOPIED = "A copy made with copy.deepcopy cannot step: load the state into a new one."
_ADAM = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}

BASELINES = (
    OptimizerSpec(
        name="AdaBelief",
        source="pytorch_optimizer:AdaBelief",
        package="pytorch_optimizer",
        # Its eps is added inside the root at every step, so the variance settles at eps/(1-beta2) or more and one eps
        # for all optimizers would turn it into momentum SGD: 1e-5, which PPO uses, is a denominator of at least 0.1.
        kwargs={"eps": 1e-16, "rectify": False, "ams_bound": False},
        defaults={"lr": 1e-3, "betas": (0.9, 0.999), "weight_decay": 0.0},
        paper="Zhuang et al. 2020, NeurIPS, Algorithm 2",
        needs=_UNCOPIED,
        tunable={"lr": RATES, "beta2": BETA2},
    ),
    OptimizerSpec(
        name="AdaBound",
        source="pytorch_optimizer:AdaBound",
        package="pytorch_optimizer",
        kwargs={"ams_bound": False},
        defaults={**_ADAM, "final_lr": 0.1, "gamma": 1e-3},
        paper="Luo et al. 2019, ICLR, Algorithm 2, with bias correction and a constant rate as its authors' code",
        needs=f"Parameter groups cannot be added after it is built. {_UNCOPIED}",
        tunable={"lr": RATES, "final_lr": (1e-3, 1.0), "beta2": BETA2},
    ),
    OptimizerSpec(
        name="Lion",
        source="pytorch_optimizer:Lion",
        package="pytorch_optimizer",
        defaults={"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0.0},
        paper="Chen et al. 2023, NeurIPS, Algorithm 2",
        needs=f"Every coordinate moves by the rate: its good rates lie 3 to 10 times below Adam's. {_UNCOPIED}",
        tunable={"lr": (1e-7, 1e-2), "beta2": BETA2},
    ),
    OptimizerSpec(
        name="Grams",
        source="pytorch_optimizer:Grams",
        package="pytorch_optimizer",
        defaults={**_ADAM, "eps": 1e-6},
        paper="Cao, Li & Song 2024, arXiv:2412.17107",
        needs=_UNCOPIED,
        tunable={"lr": RATES, "beta2": BETA2},
    ),
    OptimizerSpec(
        name="AdamMini",
        source=f"{_ADAPTERS}.adam_mini:AdamMini",
        package="pytorch_optimizer",
        defaults={**_ADAM, "num_embeds": 2048, "num_heads": 32},
        paper="Zhang et al. 2025, ICLR",
        needs="Give named parameters for its blocks in transformers (embeddings, and queries and keys by head, which"
        " need num_embeds and num_heads); without names each tensor is one block. Parameters that are frozen when it is"
        f" built are left out, and groups cannot be added later. {_UNCOPIED}",
        tunable={"lr": RATES, "beta2": BETA2},
    ),
    OptimizerSpec(
        name="GaLore",
        source=f"{_ADAPTERS}.galore:GaLore",
        package="pytorch_optimizer",
        defaults={**_ADAM, "eps": 1e-6, "rank": 128, "update_proj_gap": 200, "scale": 0.25},
        paper="Zhao et al. 2024, ICML, Algorithm 2",
        needs="Projects every matrix; its authors leave embeddings and the output layer out, here in a group with"
        f" rank=None. Pays only where the rank is far below both sides of the matrices. {_UNCOPIED}",
        tunable={"lr": RATES, "scale": (0.1, 1.0), "beta2": BETA2},
    ),
    OptimizerSpec(
        name="ScheduleFreeAdamW",
        source=f"{_ADAPTERS}.schedule_free:ScheduleFreeAdamW",
        package="schedulefree",
        defaults={**_ADAM, "lr": 2.5e-3, "warmup_steps": 0},
        paper="Defazio et al. 2024, NeurIPS, Algorithm 1",
        modes=True,
        needs="Call eval() before evaluating or saving the model and train() before going on. No scheduler; good rates"
        " lie above Adam's. Its step overwrites the gradients.",
        tunable={"lr": RATES, "beta2": BETA2},
    ),
    OptimizerSpec(
        name="Adam8bit",
        source=f"{_ADAPTERS}.adam8bit:Adam8bit",
        package="torchao",
        defaults={**_ADAM, "block_size": 256},
        paper="Dettmers et al. 2022, ICLR",
        needs="Tensors of fewer than 4096 elements, or not a multiple of block_size, keep float32 state. Its step is"
        " compiled for every new shape, which takes seconds and needs a C++ compiler on CPU. Its state can be saved,"
        " and loaded once the class is imported, but not copied with copy.deepcopy.",
        tunable={"lr": RATES, "beta2": BETA2},
    ),
)
"""Every optimizer that needs the extra."""
