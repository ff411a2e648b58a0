from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmcovid.registry import HOOKS
from mmcovid.utils.seeding import seed_generators


@HOOKS.register_module()
class IterationSeedHook(Hook):
    """Seed each training iteration by the seed of the run, the process and the iteration.

    What is drawn in an iteration, such as the anchors and boxes that are trained on, then does not
    depend on what was drawn before: a training that is broken off and resumed, on as many
    processes, goes on as it would have. The samplers of this package do the same for what the
    pipelines draw.
    """

    priority = 'VERY_HIGH'

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Seed Python, NumPy and PyTorch."""
        seed_generators(runner.seed, get_rank(), runner.iter)
