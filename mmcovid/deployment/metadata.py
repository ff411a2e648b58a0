"""What an exported file tells of its model, as JSON in the metadata of the file."""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

#: The entry of the file's ``metadata_props``.
KEY = 'mmcovid'
#: Grows when an entry changes its meaning or goes, or an input or output of the graph does.
SCHEMA_VERSION = 1
#: Of the operators in the file.
OPSET = 18
#: The inputs of the graph, both float32.
INPUTS = (
    'slices',  # grey values as they are stored, (1, H, W)
    'score_thr',  # lesions of this score or less are left out, (1,); of a model that segments
)
#: The outputs of a model that segments, with D places for detections. All boxes are x1, y1, x2, y2
#: in pixels of the input; places after the last detection are 0, their labels -1.
LESION_OUTPUTS = (
    'boxes',  # (D, 4)
    'labels',  # (D,), int64
    'scores',  # (D,)
    'masks',  # (D, 28, 28), 0..1, within the box
    'num_detections',  # (1,), int64
)
#: Those of a model that classifies, with K image classes.
IMAGE_OUTPUTS = (
    'logits',  # (K,)
    'class_scores',  # (K,)
)
#: Those of a model that does so by attention, with β RoIs.
ROI_OUTPUTS = (
    'roi_boxes',  # (β, 4)
    'roi_labels',  # (β,), int64
    'roi_scores',  # (β,)
    'attention',  # (β,) or (β, 2)
)
#: That of a model that knows its training data: how far the slice is from them, (1,).
DISTANCE_OUTPUT = 'feature_distance'
#: That of a model that classifies: what its class is read from, (D,); not of former versions.
VECTOR_OUTPUT = 'image_vector'


@dataclass(frozen=True)
class Metadata:
    """What an exported file tells of its model."""

    classes: dict[str, Any]  #: see :meth:`mmcovid.classes.Classes.to_meta`
    input_size: tuple[int, int]  #: height and width in pixels
    window: tuple[float, float]  #: level and width in HU, of CT slices
    temperature: float | None  #: what the logits are divided by in the graph, if it has any
    mask_threshold: float  #: least value of a pixel of a lesion; without meaning if it has none
    config: str  #: name
    config_sha256: str
    weights_sha256: str  #: of the checkpoint
    card: dict[str, Any] | None = None  #: model card, if the checkpoint has one
    precision: str = 'fp32'  #: fp32, or int8 if convolutions are quantised
    distance_threshold: float | None = None  #: largest distance of slices like the training data
    scan_rule: dict[str, Any] | None = None  #: see :meth:`mmcovid.scan_class.LearnedRule.to_plain`
    mmcovid_version: str = ''
    opset: int = OPSET
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """The entry :data:`KEY` of a file."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | None) -> 'Metadata':
        """Read and check the entry :data:`KEY` of a file.

        Raises:
            ValueError: It is missing, broken, of a newer schema, or of another opset.
        """
        if text is None:
            raise ValueError('is no model of mmcovid. Give a file that "mmcovid export" wrote.')
        try:
            told = dict(json.loads(text))
            version = int(told['schema_version'])
            if version > SCHEMA_VERSION:
                raise _NewerError
            known = {field.name for field in fields(cls)}
            metadata = cls(**{key: value for key, value in told.items() if key in known})
            height, width = metadata.input_size
            level, breadth = metadata.window
        except _NewerError:
            raise ValueError(
                f'was written by mmcovid {told.get("mmcovid_version")}, in schema {version}; this '
                f'one reads up to {SCHEMA_VERSION}. Update mmcovid, or export the model again.'
            ) from None
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f'its metadata is broken ({error}). Export it again.') from error
        if metadata.opset != OPSET:
            raise ValueError(
                f'is of opset {metadata.opset}, not {OPSET}. Export the model again, with this '
                'version of mmcovid.'
            )
        return cls(
            **{
                **vars(metadata),
                'input_size': (int(height), int(width)),
                'window': (float(level), float(breadth)),
            }
        )


class _NewerError(Exception):
    """The file is of a newer schema."""
