from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from torch import Tensor

from mmcovid.registry import MODEL_WRAPPERS


@MODEL_WRAPPERS.register_module()
class OneShotDistributedDataParallel(MMDistributedDataParallel):
    """Data-parallel wrapper that makes the updates of the one-shot detector.

    MMEngine's wrapper knows one update an iteration and never calls the
    model's own ``train_step``. Each update leaves out some heads, so unused
    parameters are searched for by default.

    Args:
        module (:obj:`OneShotRCNN`): The detector.
        find_unused_parameters (bool): Defaults to True.
        **kwargs: Arguments of :class:`MMDistributedDataParallel`.
    """

    def __init__(self, module, find_unused_parameters: bool = True, **kwargs) -> None:
        if next(module.parameters()).device.type == 'cpu':
            kwargs['device_ids'] = None  # the runner names a GPU in any case
        super().__init__(module, find_unused_parameters=find_unused_parameters, **kwargs)

    def train_step(self, data: dict, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """Train on one batch, by the detector's update policy."""
        data = self.module.data_preprocessor(data, training=True)
        return self.module.update(self, data, optim_wrapper)
