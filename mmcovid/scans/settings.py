"""The rules by which scans are predicted and summed up."""

from dataclasses import dataclass

from mmcovid.scan_class import DEFAULT_RULE

#: Slices that a class can be read from: those of :func:`mmcovid.ct.find_region`, or all.
REGIONS = ('lung', 'body', 'all')


@dataclass(frozen=True)
class Settings:
    """How scans are predicted and summed up."""

    score_thr: float = 0.3  #: least score of a lesion
    aggregate: str = DEFAULT_RULE  #: one of :data:`mmcovid.scan_class.RULES`
    region: str = 'lung'  #: slices that the class is read from, one of :data:`REGIONS`
    abstain_below: float | None = None  #: least score of a scan's class
    abstain_unfamiliar: bool = False  #: what is unlike the training data gets no class
    batch_size: int = 4
    dicom_seg: bool = False  #: also write DICOM segmentations
    viewer: bool = True  #: also write the page of all slices, of some megabytes
    overwrite: bool = False  #: replace the folders of scans that exist
    keep_paths: bool = False  #: tell paths, not only names, of scans and weights
    resume: bool = False  #: leave those that the same model and settings made as they are
