from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmcovid.registry import HOOKS


@HOOKS.register_module()
class ForgetConfigHook(Hook):
    """Takes ``meta['config']`` out of a loaded checkpoint: MMEngine runs it when it resumes.

    No version of MMEngine that mmcovid works with writes it.
    """

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Forget it before the training is resumed."""
        checkpoint.get('meta', {}).pop('config', None)
