from torch import Tensor, nn

from mmcovid.registry import MODELS

from .base_attention_head import BaseAttentionHead


@MODELS.register_module()
class AffinityHead(BaseAttentionHead):
    """One Shot Model with Affinity: RoIs are mixed by learned affinities, without attention.

    The RoI vectors X (β×C) are mapped into the affinity space by a matrix W
    (β×A), Wᵀ X, and back to C features by a vector w (A×1), (Wᵀ X)ᵀ w.

    Source: A. Ter-Sarkisov, "One shot model for the prediction of COVID-19
    and lesions segmentation in chest CT scans through the affinity among
    lesion mask features", Applied Soft Computing, 2021; a baseline of the
    paper's Tables I and II.

    Args:
        num_rois (int): Number of RoIs β of a slice.
        num_affinities (int): Number of affinities A, 32 to 512 in the
            publication. Defaults to 64.
        **kwargs: Arguments of :class:`BaseAttentionHead`.
    """

    def __init__(self, num_rois: int, num_affinities: int = 64, **kwargs) -> None:
        super().__init__(num_rois, **kwargs)
        self.affinity_matrix = nn.Linear(num_rois, num_affinities, bias=False)
        self.affinity_vector = nn.Linear(num_affinities, 1, bias=False)

    def pool(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Pool X (B, β, C) into the features (B, C), with weights (B, β).

        The map is linear, so that a RoI has the same part in the features of
        every slice. The weights are the sizes of these parts, scaled to sum to 1.
        """
        features = self.affinity_vector(self.affinity_matrix(x.transpose(1, 2))).squeeze(-1)
        parts = (self.affinity_vector.weight @ self.affinity_matrix.weight).abs()
        return [(features, (parts / parts.sum()).expand(len(x), -1))]
