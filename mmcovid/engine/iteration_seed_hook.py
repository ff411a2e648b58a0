import random

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmcovid.registry import HOOKS


@HOOKS.register_module()
class IterationSeedHook(Hook):
    """Seed each training iteration by the seed of the run, the process and the iteration.

    What is drawn in an iteration, such as the anchors and boxes that are trained on, then does not
    depend on what was drawn before: a training that is broken off and resumed, on as many
    processes, goes on as it would have. What data-loader workers draw is not covered; the
    pipelines of our configs draw nothing.
    """

    priority = 'VERY_HIGH'

    def before_train_iter(self, runner: Runner, batch_idx: int,
                          data_batch: dict | None = None) -> None:
        """Seed Python, NumPy and PyTorch."""
        parts = np.random.SeedSequence([runner.seed, get_rank(), runner.iter])
        seed = int(parts.generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002, what MMDetection draws from
        torch.manual_seed(seed)
