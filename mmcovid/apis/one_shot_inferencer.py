import copy
import logging
import math
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import mmcv
import mmengine
import numpy as np
import torch.nn as nn
from mmcv.transforms import Compose
from mmdet.apis import DetInferencer
from mmdet.registry import DATASETS, TRANSFORMS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.infer import BaseInferencer
from mmengine.logging import print_log
from mmengine.visualization import Visualizer

from mmcovid.checkpoints.guard import UnsafeCheckpointError, safe_checkpoints
from mmcovid.checkpoints.publish import load_meta
from mmcovid.checkpoints.saved_config import read_saved_config
from mmcovid.classes import Classes
from mmcovid.ct import LEVEL, WIDTH, is_ct, read_picture
from mmcovid.results import Failure, ModelInfo, SliceResult, just_below
from mmcovid.scan_class import LearnedRule
from mmcovid.statistics.class_scores import check_abstain_below, is_decided
from mmcovid.utils.ahead import ahead
from mmcovid.utils.configs import config_path
from mmcovid.utils.escape import printable
from mmcovid.utils.files import sha256, write_json
from mmcovid.utils.provenance import config_hash

from .conversion import to_slice_result
from .run_inputs import Input, RunInputs, Sized, json_path, list_inputs, name_inputs

#: What ``predictions.json`` has of a prediction; its file in ``preds`` has all.
_OF_THE_SLICE = (
    'img_path',
    'window',
    'pred_label',
    'pred_class',
    'class_scores',
    'decided',
    'feature_distance',
    'familiar',
)


class OneShotInferencer(DetInferencer):
    """Lesions and class of CT slices, from files, folders, volumes or arrays.

    It is MMDetection's inferencer, and takes the same arguments, with these additions:

    - Each prediction also has ``img_path``, ``pred_label``, ``pred_class`` (its name),
      ``class_scores`` (name to score) and ``roi_sequence`` (``bboxes`` in pixels, nearest to the
      origin first, their ``labels``, ``scores`` and ``attention``).
    - Weights that were published with ``--familiarity`` also give ``feature_distance``, how far
      the slice is from the training data, and ``familiar``, whether it is like these.
    - DICOM files, folders of DICOM series and volumes (NIfTI, NRRD, MetaImage) are inputs, too. A
      volume stands for its slices, ``scan.nrrd#000`` and so on; their predictions have the
      ``window`` (level and width, in HU) that they were seen through.
    - A file that cannot be read does not end the run: it is named in the log and under
      ``errors`` of the result.
    - With ``out_dir``, pictures (``vis/``) and one JSON per slice (``preds/``) are written, each
      whole or not at all, and ``predictions.json``, which sums the run up. Slices of different
      folders that have the same name keep their folders.
    - ``model`` may be the base name of a config of mmcovid, from any working directory.
    - ``temperature`` can be set, to calibrate the class scores, and ``abstain_below`` leaves
      slices of low scores undecided. :meth:`stream` predicts without keeping all results, and
      :meth:`predict` gives results that need no PyTorch, as whole scans take them
      (:class:`mmcovid.scans.SlicePredictor`).
    - Without weights, or where they do not tell, classes and palette are those of the config.

    To have the RoIs drawn too, set ``inferencer.visualizer.draw_attention = True``.

    Args:
        model (str | Config | dict, optional): Config, its path, or its base name in mmcovid.
            Defaults to None: the config saved in ``weights``.
        weights (str, optional): Checkpoint. Defaults to None: random weights, with a warning.
        trust_code (bool): Run the config saved in ``weights`` as a program, with all that it
            imports. Defaults to False: it is read as data, and refused if it is more.
        **kwargs: Of :class:`mmdet.apis.DetInferencer`, such as ``device`` and ``show_progress``.

    Examples:
        >>> inferencer = OneShotInferencer('one-shot_r18_fpn_lstm2_cncb', 'epoch_10.pth')
        >>> result = inferencer('slices/', batch_size=8, out_dir='out')
        >>> result['predictions'][0]['pred_class']
        'covid19'
    """

    postprocess_kwargs = DetInferencer.postprocess_kwargs | {'abstain_below'}

    def __init__(
        self,
        model: str | Config | dict | None = None,
        weights: str | None = None,
        *args,
        trust_code: bool = False,
        **kwargs,
    ) -> None:
        self._last_run, self._trust_code = RunInputs((), ()), trust_code
        super().__init__(model, weights, *args, **kwargs)

    def __call__(
        self,
        inputs: Input | Sequence[Input],
        batch_size: int = 1,
        *,
        out_dir: str = '',
        no_save_pred: bool = False,
        return_datasamples: bool = False,
        pred_score_thr: float = 0.3,
        abstain_below: float | None = None,
        **kwargs,
    ) -> dict:
        """Segment and classify slices.

        Args:
            inputs (str | Path | np.ndarray | Sequence): Image or DICOM file, volume or slice of
                one, folder of image files and volumes or of one DICOM series, array (H, W) or
                (H, W, 3) of any grey depth, or a list of these.
            batch_size (int): Slices in one pass. Defaults to 1.
            out_dir (str): Folder to write to. Defaults to '': nothing is written.
            no_save_pred (bool): Write no JSON. Defaults to False.
            return_datasamples (bool): Return :class:`DetDataSample` objects, not dicts; no JSON
                is written then. Defaults to False.
            pred_score_thr (float): Least score of the lesions that are drawn, and counted in
                ``predictions.json``; the others are in the predictions too. Defaults to 0.3.
            abstain_below (float, optional): Predictions then have ``decided``, false where the
                highest class score is lower than this; ``pred_class`` is the leading class
                either way. Defaults to None.
            **kwargs: Of :class:`mmdet.apis.DetInferencer`, such as ``return_vis``, ``show`` and
                ``no_save_vis``.

        Returns:
            dict: ``predictions``, one for each readable input, in their order; ``visualization``,
            as many pictures, if asked for; ``errors``, a dict with ``input`` and ``reason`` for
            each of the others.

        Raises:
            FileNotFoundError: If a folder holds no image nor volume.
            ValueError: If no input can be read, or ``abstain_below`` is no score.
        """
        check_abstain_below(abstain_below)
        run = self._begin(inputs)
        save_pred = bool(out_dir) and not no_save_pred and not return_datasamples
        results = super().__call__(
            run,
            batch_size,
            out_dir=out_dir,
            no_save_pred=not save_pred,
            return_datasamples=return_datasamples,
            pred_score_thr=pred_score_thr,
            abstain_below=abstain_below,
            **kwargs,
        )
        results['errors'] = self.errors
        self._tell_failures(run)
        if save_pred:
            write_json(
                dict(
                    predictions=self._sum_up(results['predictions'], run, pred_score_thr),
                    errors=results['errors'],
                    pred_score_thr=pred_score_thr,
                ),
                Path(out_dir, 'predictions.json'),
            )
        return results

    def stream(
        self, inputs: Input | Sequence[Input], batch_size: int = 1
    ) -> Iterator[DetDataSample]:
        """Predict slices one after the other; no more than a batch of them is kept.

        Args:
            inputs (str | Path | np.ndarray | Sequence): As for calling the inferencer.
            batch_size (int): Slices in one pass. Defaults to 1.

        Yields:
            DetDataSample: Prediction of each readable input, in their order. Those that cannot
            be read are in :attr:`errors` when the stream has ended.
        """
        yield from self._predict_samples(self._begin(inputs), batch_size)

    def predict(
        self, paths: Sequence[str | os.PathLike], batch_size: int = 1, score_thr: float = 0.0
    ) -> Iterator[SliceResult | Failure]:
        """Predict slices one after the other, as :class:`mmcovid.scans.SlicePredictor`.

        Args:
            paths (Sequence[str | Path]): Pictures, DICOM files, or slices of volumes.
            batch_size (int): Slices in one pass. Defaults to 1.
            score_thr (float): Least score of lesions; of others no mask is computed. Defaults to
                0, which leaves the model's own threshold.

        Yields:
            SliceResult | Failure: One for each path, in their order.
        """
        run = RunInputs((os.fspath(path) for path in paths), map(str, paths))
        place = 0
        for sample in self._predict_samples(run, batch_size, score_thr):
            while place in run.failures:  # all that come before a sample have been loaded
                yield run.failures[place]
                place += 1
            yield to_slice_result(sample)
            place += 1
        yield from (run.failures[i] for i in range(place, len(run)))

    def _predict_samples(
        self, run: RunInputs, batch_size: int, score_thr: float = 0.0
    ) -> Iterator[DetDataSample]:
        """Samples of the inputs that can be read."""
        for _, data in self.preprocess(run, batch_size):
            with self._lesions_at_least(score_thr):
                samples = self.forward(data)
            yield from samples

    @contextmanager
    def _lesions_at_least(self, score_thr: float) -> Iterator[None]:
        """Let the RoI head leave out lesions of lower scores before it computes their masks."""
        roi_head = getattr(self.model, 'roi_head', None)
        if roi_head is None:  # it only classifies
            yield
            return
        cfg = roi_head.test_cfg
        before = cfg.score_thr
        cfg.score_thr = max(before, float(just_below(score_thr)))
        try:
            yield
        finally:
            cfg.score_thr = before

    @property
    def errors(self) -> list[dict]:
        """``input`` and ``reason`` of what could not be read in the last run; none before one."""
        return [asdict(failure) for failure in self._last_run.failures.values()]

    @property
    def classes(self) -> Classes:
        """Classes of the model; without image classes if its metainfo has none."""
        return Classes.from_meta({'image_classes': (), **self.model.dataset_meta})

    @property
    def model_info(self) -> ModelInfo:
        """Names and hashes of config and weights; the weights are read for it."""
        config = getattr(self.cfg, 'filename', None)
        weights = str(self.weights) if self.weights else None
        return ModelInfo(
            Path(config or weights or 'model').stem,
            self.config_hash,
            weights,
            sha256(weights) if weights else None,
        )

    @property
    def precision(self) -> str:
        """Precision of whole scans."""
        return 'fp32'

    @property
    def temperature(self) -> float | None:
        """What image logits are divided by to become scores; None if slices are not classified.

        Raises:
            ValueError: It is set, but the model does not classify slices.
        """
        head = self._image_head
        return None if head is None else head.temperature

    @temperature.setter
    def temperature(self, value: float) -> None:
        if self._image_head is None:
            raise ValueError('this model does not classify slices: it has no temperature')
        self._image_head.temperature = value

    @property
    def distance_threshold(self) -> float | None:
        """Largest ``feature_distance`` of slices like the training data; None without statistics.

        ``mmcovid publish --familiarity`` fits them.
        """
        fitted = getattr(self.model, 'feature_distance', None)
        return float(fitted.threshold) if fitted is not None and fitted.is_fitted else None

    @property
    def scan_rule(self) -> LearnedRule | None:
        """The rule for the class of a scan that was fitted to this model; None without one.

        ``mmcovid publish --scan-class`` stores it with the weights.
        """
        return self._scan_rule

    @property
    def _image_head(self) -> nn.Module | None:
        """What gives the image logits."""
        return getattr(self.model, 'image_head', None)

    def _begin(self, inputs: Input | Sequence[Input]) -> RunInputs:
        """List the inputs of a run, and name their outputs."""
        items = self._inputs_to_list(inputs)
        self._last_run = RunInputs(items, name_inputs(items, self.num_predicted_imgs))
        self.num_predicted_imgs += sum(not isinstance(item, str) for item in items)
        return self._last_run

    def _tell_failures(self, run: RunInputs) -> None:
        """Name what could not be read in the log.

        Raises:
            ValueError: That is everything.
        """
        if not run.failures:
            return
        listed = '\n'.join(
            f'  {failure.input}: {failure.reason}' for failure in run.failures.values()
        )
        message = printable(
            f'{len(run.failures)} of {len(run)} inputs could not be read:\n{listed}'
        )
        if len(run.failures) == len(run):
            raise ValueError(message)
        print_log(message, logger='current', level=logging.WARNING)

    def _sum_up(self, predictions: Sequence[dict], run: RunInputs, score_thr: float) -> list[dict]:
        """The entries of ``predictions.json``, one for each prediction."""
        return [
            {
                **{key: prediction[key] for key in _OF_THE_SLICE if key in prediction},
                'instances': self._count_instances(prediction, score_thr),
                'json': str(json_path(name)),
            }
            for prediction, name in zip(predictions, run.names_of_readable, strict=True)
        ]

    def _count_instances(self, prediction: dict, score_thr: float) -> dict[str, int] | None:
        """Instances of each lesion class; None of a model that does not segment."""
        if 'labels' not in prediction:
            return None
        found = Counter(
            label
            for label, score in zip(prediction['labels'], prediction['scores'])
            if score >= score_thr
        )
        return {name: found[label] for label, name in enumerate(self.classes.lesion_names)}

    def preprocess(self, inputs: list, batch_size: int = 1, **kwargs) -> Iterable:
        """Load the inputs in batches; see the parent. The progress bar sees how many there are."""
        return Sized(
            super().preprocess(inputs, batch_size, **kwargs), math.ceil(len(inputs) / batch_size)
        )

    def visualize(
        self,
        inputs: list,
        preds: Sequence[DetDataSample],
        return_vis: bool = False,
        no_save_vis: bool = False,
        img_out_dir: str = '',
        **kwargs,
    ) -> list[np.ndarray] | None:
        """Draw the predictions of a batch.

        Args:
            inputs (list[str | np.ndarray]): The slices.
            preds (Sequence[DetDataSample]): Their predictions.
            return_vis (bool): Return the pictures. Defaults to False.
            no_save_vis (bool): Write no picture. Defaults to False.
            img_out_dir (str): Folder to write ``vis/<name>`` to. Defaults to '': none.
            **kwargs: Of the visualiser's ``add_datasample``: ``show``, ``wait_time``,
                ``draw_pred``, ``pred_score_thr``.

        Returns:
            list[np.ndarray], optional: RGB pictures, if there was anything to draw them for.
        """
        img_out_dir = '' if no_save_vis else img_out_dir
        if not (img_out_dir or return_vis or kwargs.get('show')):
            return None
        if self.visualizer is None:
            raise ValueError(
                'the config has no `visualizer` to draw with: add one, for example '
                "visualizer=dict(type='mmcovid.OneShotVisualizer')"
            )
        pictures = []
        for item, pred in zip(inputs, preds):
            is_file = isinstance(item, str)
            image = (
                mmcv.imfrombytes(mmengine.fileio.get(item), channel_order='rgb')
                if is_file
                else item
            )
            name = pred.out_name + (Path(item).suffix if is_file else '.png')
            out_file = str(Path(img_out_dir, 'vis', name)) if img_out_dir else None
            self.visualizer.add_datasample(
                name, image, pred, draw_gt=False, out_file=out_file, **kwargs
            )
            pictures.append(self.visualizer.get_image())
        return pictures

    def postprocess(
        self,
        preds: Sequence[DetDataSample],
        visualization: list[np.ndarray] | None = None,
        abstain_below: float | None = None,
        **kwargs,
    ) -> dict:
        """Turn the predictions of a batch into results; see the parent.

        Args:
            preds (Sequence[DetDataSample]): The predictions. If there is a threshold, they get
                ``decided``.
            visualization (list[np.ndarray], optional): Their pictures. Defaults to None.
            abstain_below (float, optional): Least class score that decides. Defaults to None.
            **kwargs: Of the parent.
        """
        for pred in preds:
            if abstain_below is not None and 'pred_score' in pred:
                decided = is_decided(pred.pred_score.cpu(), abstain_below)
                pred.set_metainfo(dict(decided=bool(decided)))
        return super().postprocess(preds, visualization, **kwargs)

    def pred2dict(self, data_sample: DetDataSample, pred_out_dir: str = '') -> dict:
        """Turn a prediction into plain lists, numbers and strings.

        Args:
            data_sample (DetDataSample): Prediction of a slice.
            pred_out_dir (str): Folder to write ``preds/<name>.json`` to. Defaults to '': none.

        Returns:
            dict: ``labels``, ``scores``, ``bboxes`` and ``masks`` (run-length encoded) of the
            lesions as in the parent, and the additions that the class lists.
        """
        image_level = dict(img_path=data_sample.get('img_path'))
        if 'window' in data_sample:
            image_level['window'] = list(data_sample.window)
        if 'pred_label' in data_sample:
            classes = self.classes.image_names
            label = int(data_sample.pred_label)
            image_level.update(
                pred_label=label,
                pred_class=classes[label] if label < len(classes) else str(label),
                class_scores=dict(zip(classes, data_sample.pred_score.tolist())),
            )
        if 'decided' in data_sample:
            image_level['decided'] = data_sample.decided
        if (threshold := self.distance_threshold) is not None:
            distance = float(data_sample.feature_distance)
            image_level.update(feature_distance=distance, familiar=distance <= threshold)
        result = {**image_level, **super().pred2dict(data_sample)}
        if 'roi_sequence' in data_sample:
            result['roi_sequence'] = {
                key: value.tolist() for key, value in data_sample.roi_sequence.items()
            }
        if pred_out_dir:
            write_json(result, Path(pred_out_dir, json_path(data_sample.out_name)), indent=None)
        return result

    def _init_model(self, cfg: Config, weights: str | None, device: str = 'cpu') -> nn.Module:
        """Build the model; a checkpoint that could run code when it is loaded is refused."""
        self.weights, self.device = weights, str(device)
        try:
            if weights and not cfg:
                self.config_hash = self._take_saved_config(cfg, weights)
            else:
                # now, as MMDetection's detectors write into their config
                self.config_hash = config_hash(cfg)
            with safe_checkpoints():
                return super()._init_model(cfg, weights, device)
        except UnsafeCheckpointError as error:
            raise UnsafeCheckpointError(f'{weights}: {error}') from error

    def _take_saved_config(self, cfg: Config, weights: str) -> str:
        """Fill an empty config with that of the weights, which the parent would run; its hash."""
        saved = read_saved_config(load_meta(weights), weights, self._trust_code)
        if saved is None:
            raise ValueError(f'{weights}: has no config in it. Give one.')
        cfg.update(saved.config.to_dict())
        return saved.sha256

    def _load_weights_to_model(
        self, model: nn.Module, checkpoint: dict | None, cfg: Config
    ) -> None:
        """Load weights; take from the config what they do not tell of the classes."""
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', message='.*use COCO classes by default')
            super()._load_weights_to_model(model, checkpoint, cfg)
        dataset = copy.deepcopy(cfg.test_dataloader.dataset)
        dataset['lazy_init'] = True
        meta = (checkpoint or {}).get('meta', {})
        saved = meta.get('dataset_meta', {})
        model.dataset_meta = {
            **DATASETS.build(dataset).metainfo,
            **{key.lower(): value for key, value in saved.items()},
            'palette': model.dataset_meta['palette'],
        }
        self._scan_rule = None
        if rule := meta.get('scan_rule'):
            names = Classes.from_meta(model.dataset_meta).image_names
            try:
                self._scan_rule = LearnedRule.from_plain(rule, names)
            except ValueError as error:
                raise ValueError(f'{self.weights}: {error}') from error

    def _init_pipeline(self, cfg: Config) -> Compose:
        """The test pipeline, files read by the config's own loader: MMDetection puts in MMCV's."""
        steps = cfg.test_dataloader.dataset.pipeline
        index = self._get_transform_idx(steps, ('LoadImageFromFile', 'LoadCTSlice'))
        loader = copy.deepcopy(steps[index])
        steps[index]['type'] = 'LoadImageFromFile'
        steps[index].pop('window', None)
        pipeline = super()._init_pipeline(cfg)
        pipeline.transforms[index].from_file = TRANSFORMS.build(loader)
        return pipeline

    def _init_collate(self, cfg: Config) -> Callable:
        """Slices as a list, which MMEngine ends with, too, after a warning that says nothing."""
        named = cfg.test_dataloader.get('collate_fn')
        return super()._init_collate(cfg) if named else pseudo_collate

    def _init_visualizer(self, cfg: Config) -> Visualizer | None:
        """Pictures are not stored by backends, which miss their folder here and warn."""
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', message='Failed to add')
            return super()._init_visualizer(cfg)

    def _load_model_from_metafile(self, model: str) -> tuple[Config, None]:
        """The config of mmcovid with this base name, and no weights."""
        return Config.fromfile(config_path(model)), None

    def _inputs_to_list(self, inputs: Input | Sequence[Input]) -> list[str | np.ndarray]:
        """Slices and arrays: folders replaced by the images in them, volumes by their slices."""
        return inputs if isinstance(inputs, RunInputs) else list_inputs(inputs)

    def _get_chunk_data(self, inputs: RunInputs, chunk_size: int) -> Iterator[list]:
        """Batches of the inputs that can be read."""
        return BaseInferencer._get_chunk_data(self, ahead(self._load(inputs)), chunk_size)

    def _load(self, run: RunInputs) -> Iterator[tuple[str | np.ndarray, dict]]:
        """Each input with what the pipeline makes of it; failures are noted and left out."""
        for i, (item, name) in enumerate(zip(run, run.names)):
            try:
                data = self.pipeline(item)
            except Exception as error:  # whatever a decoder or a transform raises
                run.failures[i] = Failure(
                    item if isinstance(item, str) else f'array {i}',
                    f'{type(error).__name__}: {error}'.strip(),
                )
                continue
            data['data_samples'].set_metainfo(dict(out_name=name))
            if isinstance(item, str) and is_ct(item):  # MMCV could not read it to draw on it
                item = read_picture(item, data['data_samples'].get('window', (LEVEL, WIDTH)))
            yield item, data
