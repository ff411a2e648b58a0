from contextlib import contextmanager

import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from torch import nn

from mmcovid.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BF16OptimWrapper(OptimWrapper):
    """Optimiser wrapper for automatic mixed precision in bfloat16, also on a CPU.

    MMEngine's ``AmpOptimWrapper`` refuses to run without an accelerator.
    bfloat16 has the range of float32, so there is no loss scale.

    Args:
        **kwargs: Arguments of :class:`OptimWrapper`.
    """

    @contextmanager
    def optim_context(self, model: nn.Module):
        """Run the forward pass in mixed precision."""
        with super().optim_context(model), torch.autocast(get_device(), dtype=torch.bfloat16):
            yield
