"""Published sets as annotations that the datasets read."""

from mmcovid.data_tools.slice_lists import sample_balanced

from .corrections import (
    CorrectedScan,
    Correction,
    patient_of_scan,
    read_corrections,
    write_corrections,
)
from .dataset_card import LICENCES, NOT_STATED, PHANTOM, read_card, write_card
from .ictcf import list_ictcf_slices, read_ictcf_split
from .lesion_annotations import SplitTotals, format_totals, write_lesion_annotations
from .lesion_files import (
    LesionSlice,
    check_pairs,
    list_lesion_slices,
    pair_lesion_files,
    random_split,
    read_split,
)
from .lesion_masks import CLASS_VALUES, MERGED_CLASS_VALUES, find_instances, read_mask
from .slice_annotations import (
    SliceTotals,
    count_slices,
    format_slice_totals,
    write_slice_annotations,
)
from .slice_splits import read_slice_splits, write_author_list
from .splits import check_patients_apart, name_splits

__all__ = [
    'CLASS_VALUES',
    'CorrectedScan',
    'Correction',
    'LICENCES',
    'LesionSlice',
    'MERGED_CLASS_VALUES',
    'NOT_STATED',
    'PHANTOM',
    'SliceTotals',
    'SplitTotals',
    'check_pairs',
    'check_patients_apart',
    'count_slices',
    'find_instances',
    'format_slice_totals',
    'format_totals',
    'list_ictcf_slices',
    'list_lesion_slices',
    'name_splits',
    'pair_lesion_files',
    'patient_of_scan',
    'random_split',
    'read_card',
    'read_corrections',
    'read_ictcf_split',
    'read_mask',
    'read_slice_splits',
    'read_split',
    'sample_balanced',
    'write_author_list',
    'write_card',
    'write_corrections',
    'write_lesion_annotations',
    'write_slice_annotations',
]
