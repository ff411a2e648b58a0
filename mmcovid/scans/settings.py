"""The rules by which scans are predicted and summed up."""

from dataclasses import dataclass

from mmcovid.results.scan import LEAST_LESION_ML
from mmcovid.scan_class import DecisionRules

#: Slices that a class can be read from: those of :func:`mmcovid.ct.find_region`, or all.
REGIONS = ('lung', 'body', 'all')


@dataclass(frozen=True)
class Settings:
    """How scans are predicted and summed up."""

    score_thr: float = 0.3  #: least score of a lesion
    #: One of :data:`mmcovid.scan_class.RULES`, or ``learned``. None: that if the model has it.
    aggregate: str | None = None
    region: str = 'lung'  #: slices that the class is read from, one of :data:`REGIONS`
    abstain_below: float | None = None  #: least score of a scan's class
    abstain_unfamiliar: bool = False  #: what is unlike the training data gets no class
    decision_rules: DecisionRules | None = None  #: prevalence and prediction sets of a scan
    least_lesion_ml: float = LEAST_LESION_ML  #: volume of the smallest 3-D lesion that is listed
    batch_size: int = 4
    dicom_seg: bool = False  #: also write DICOM segmentations
    dicom_sr: bool = False  #: also write DICOM structured reports, and the segmentations
    dicom_sc: bool = False  #: also write the key slices as DICOM secondary captures
    store: bool = False  #: send these to the archive that the scan is from
    keep_vectors: bool = False  #: also write the image vectors of the slices
    viewer: bool = True  #: also write the page of all slices, of some megabytes
    overwrite: bool = False  #: replace the folders of scans that exist
    keep_paths: bool = False  #: tell paths, not only names, of scans and weights
    resume: bool = False  #: leave those that the same model and settings made as they are

    @property
    def dicom(self) -> bool:
        """Whether any DICOM output is written."""
        return self.dicom_seg or self.dicom_sr or self.dicom_sc
