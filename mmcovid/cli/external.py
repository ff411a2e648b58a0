"""Try a model on a set from elsewhere: one folder with all that can be said of it."""

import argparse
import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmcovid.analysis.evaluation import (
    Settings,
    compute,
    load_models,
    load_validation,
    write_report,
)
from mmcovid.apis import OneShotInferencer
from mmcovid.apis.familiarity import fit_familiarity, pool_features
from mmcovid.checkpoints.guard import safe_checkpoints
from mmcovid.checkpoints.publish import load_meta
from mmcovid.checkpoints.saved_config import read_saved_config
from mmcovid.cli.arguments import (
    add_budget_arguments,
    add_cfg_options,
    command,
    make_parser,
    read_cfg_options,
)
from mmcovid.cli.engine_arguments import is_exported
from mmcovid.cli.runner import build_runner, set_weights, test_and_dump
from mmcovid.data_tools.leakage import AuditSplit, audit_splits
from mmcovid.data_tools.leakage import report as report_leakage
from mmcovid.datasets.of_config import audit_splits_of
from mmcovid.names import UNKNOWN
from mmcovid.registry import DATASETS
from mmcovid.reporting.templating import render
from mmcovid.results import Estimate, EvaluationReport
from mmcovid.scan_class import DEFAULT_RULE, RULES
from mmcovid.scans.run import tell_error
from mmcovid.statistics.bootstrap import Resamples
from mmcovid.statistics.clusters import cluster_names
from mmcovid.statistics.mahalanobis import mahalanobis_distance
from mmcovid.utils.configs import find_config
from mmcovid.utils.escape import printable
from mmcovid.utils.files import sha256, write_json, write_text
from mmcovid.utils.provenance import now, software

#: What happened to a step: done, done with a finding to look at, or not done.
DONE, LOOK, FAILED = 'done', 'look', 'failed'
_NO_TRAINING_DATA = 'give the config of the training by --config, with its data where it says'
_PACKAGES = ('torch', 'onedl-mmdetection', 'mmdet', 'numpy', 'scipy')
#: Of a config that was saved for inference, and so tells no loader.
_LOADER = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
)


@dataclass(frozen=True)
class Step:
    """What came of a step."""

    name: str
    status: str
    told: str  #: in a sentence or two
    link: str = ''  #: page or file with all of it, below the folder of the results


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser(
        'external',
        'Try a model on a set from elsewhere: look for its slices in the training data, predict '
        'it, report on the predictions with the validation set to calibrate on, measure how far '
        'it is from the training data, and estimate its prevalence. One folder comes out, with '
        'index.html to begin at. A step that fails is told there, and the others go on.',
        'work_dirs/lstm2/iter_30000.pth hospital/classes.txt --images hospital/slices '
        '--config one-shot_r18_fpn_lstm2_cncb --out work_dirs/hospital',
    )
    parser.add_argument('model', help='checkpoint, or .onnx file of mmcovid export')
    parser.add_argument(
        'data',
        help='list of slices with their classes, text or JSON, as the test set of a config; or a '
        'folder of slices whose names tell the class',
    )
    parser.add_argument(
        '--images',
        default='',
        metavar='DIR',
        help='folder that the names in the list refer to (default: that of the list)',
    )
    parser.add_argument(
        '--volumes',
        action='store_true',
        help='the list is of whole scans with their classes; slices that show the lung are taken',
    )
    parser.add_argument(
        '--config',
        metavar='CFG',
        help='config of the training, its path or base name, whose training and validation data '
        'are compared with (default: the one saved in the model, without data)',
    )
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder to write')
    parser.add_argument(
        '--prevalence', metavar='CLASS=SHARE,...', help='as of mmcovid report (default: none)'
    )
    parser.add_argument(
        '--set-coverage',
        type=float,
        default=0.9,
        metavar='SHARE',
        help='as of mmcovid report (default: %(default)s)',
    )
    parser.add_argument(
        '--aggregate',
        choices=tuple(RULES),
        default=DEFAULT_RULE,
        help='rule that reads the class of a patient from its slices (default: %(default)s)',
    )
    parser.add_argument('--rounds', type=int, default=2000, help='resamples (default: 2000)')
    add_cfg_options(parser)
    add_budget_arguments(parser)
    args = parser.parse_args(argv)
    if not Path(args.model).is_file():
        parser.error(f'there is no model {args.model}')
    if not Path(args.data).exists():
        parser.error(f'there is no set {args.data}')
    if args.cfg_options and not args.config:
        parser.error('--cfg-options needs --config')
    if is_exported(args.model) and not args.config:
        parser.error('an exported model needs --config, for the pipeline of its slices')
    if args.rounds < 1 or not 0 < args.set_coverage < 1:
        parser.error('--rounds must be at least 1, --set-coverage between 0 and 1')
    if (args.out / 'index.html').exists():
        parser.error(f'{args.out} holds the results of another test: give another folder')
    return args


def read_config(args: argparse.Namespace) -> Config:
    """The config of the training, or what the model holds of it."""
    if not args.config:
        saved = read_saved_config(load_meta(args.model), args.model)
        if saved is None:
            raise ValueError(f'{args.model}: holds no config. Give that of its training, --config')
        return saved.config
    cfg = Config.fromfile(find_config(args.config))
    cfg.merge_from_dict(read_cfg_options(args))
    return cfg


def external_set(args: argparse.Namespace, metainfo: dict | None) -> dict:
    """Options of a dataset of the slices from elsewhere."""
    is_list = Path(args.data).is_file()
    images = args.images or (str(Path(args.data).parent) if is_list else args.data)
    kind = dict(type='mmcovid.SliceDataset')
    if args.volumes:
        kind = dict(type='mmcovid.VolumeDataset', region='lung')
    return dict(
        kind,
        ann_file=args.data if is_list else '',
        data_prefix=dict(img=images),
        test_mode=True,
        **(dict(metainfo=metainfo) if metainfo else {}),
    )


class ExternalTest:
    """The steps, each of which writes below a folder and says what it found.

    Args:
        args (argparse.Namespace): Of the command.
        cfg (Config): Of :func:`read_config`.
    """

    def __init__(self, args: argparse.Namespace, cfg: Config) -> None:
        self.args, self.cfg, self.out = args, cfg, args.out
        classes = cfg.test_dataloader.dataset.get('cls') or {}
        self.external = external_set(args, classes.get('metainfo'))
        self.predictions = self.out / 'predictions.pkl'
        self.validation = self.out / 'predictions_validation.pkl'
        self.report: EvaluationReport | None = None
        for path in (self.predictions, self.validation):
            path.unlink(missing_ok=True)  # of a run that was stopped

    def run(self) -> list[Step]:
        """Do all steps, in an order in which later ones use the earlier ones' files."""
        return [
            self._try('Leakage', self.audit, 'audit/leakage.json'),
            self._try('Predictions', self.predict, self.predictions.name),
            self._try('Validation set', self.predict_validation, self.validation.name),
            self._try('Report', self.write_report, 'report/report.html'),
            self._try('Prevalence', self.tell_prevalence, 'report/report.html#prevalence'),
            self._try('Familiarity', self.measure_familiarity, 'familiarity.json'),
        ]

    def _try(self, name: str, step: Callable[[], tuple[str, str]], link: str) -> Step:
        print(f'{name} ...', flush=True)
        try:
            status, told = step()
        except Exception as error:  # whatever one step leads to, the others go on
            status, told, link = FAILED, tell_error(error), ''
        print(printable(f'{name}: {status}. {told}'))
        return Step(name, status, told, link)

    @cached_property
    def slices(self) -> list[dict]:
        """Data infos of the slices from elsewhere."""
        init_default_scope(self.cfg.get('default_scope', 'mmdet'))
        dataset = DATASETS.build(self.external)
        return [dataset.get_data_info(i) for i in range(len(dataset))]

    def audit(self) -> tuple[str, str]:
        """Look for the slices among those of training and validation."""
        self._need_data('train_dataloader')
        known = [
            split._replace(roles=frozenset(['training']))
            for split in audit_splits_of(self.cfg)
            if split.roles & {'train', 'val'}
        ]
        # an id that another hospital gave, too, is no leakage: hence a source of its own
        other = AuditSplit('external', frozenset(['external']), 'external', self.slices)
        audit = audit_splits([*known, other], show_progress=False)
        report_leakage(audit, self.out / 'audit')
        if audit.leaks:
            return LOOK, f'{len(audit.leaks)} slices are in the training or validation set, too.'
        ids = sum(overlap.kind == 'same_id' for overlap in audit.findings)
        also = f' {ids} patient ids are in both sets, which may be chance.' if ids else ''
        return (
            DONE,
            f'None of {len(self.slices)} slices is in the training or validation set.{also}',
        )

    def predict(self) -> tuple[str, str]:
        """Predict the slices from elsewhere."""
        dataset = self.cfg.test_dataloader.dataset
        self._predict(dict(dataset, seg=None, cls=self.external), self.predictions)
        return DONE, f'Of {len(self.slices)} slices.'

    def predict_validation(self) -> tuple[str, str]:
        """Predict the validation slices of the training, to calibrate and choose thresholds on."""
        self._need_data('val_dataloader')
        self._predict(dict(self.cfg.val_dataloader.dataset, seg=None), self.validation)
        return DONE, 'Temperature, thresholds and prevalence are from it.'

    def _predict(self, dataset: dict, path: Path) -> None:
        cfg = deepcopy(self.cfg)
        set_weights(cfg, self.args.model)
        cfg.launcher, cfg.work_dir = 'none', str(self.out / 'logs')
        cfg.test_dataloader = {**_LOADER, **cfg.test_dataloader, 'dataset': dataset}
        cfg.test_evaluator = dict(
            type='mmcovid.TaskEvaluator', metrics=dict(cls=dict(type='mmcovid.ImageLevelMetric'))
        )
        cfg.test_cfg = dict(type='TestLoop')
        path.parent.mkdir(parents=True, exist_ok=True)
        with safe_checkpoints():
            test_and_dump(build_runner(cfg), path)

    def write_report(self) -> tuple[str, str]:
        """Report on the predictions, calibrated if there are validation predictions."""
        if not self.predictions.is_file():
            raise ValueError('there are no predictions to report on')
        name = Path(self.args.model).stem
        models, held_out = load_models([f'{name}={self.predictions}']), None
        if self.validation.is_file():
            held_out = load_validation(models, [str(self.validation)])
            ((dump,),) = held_out.values()
            set_apart(dump.slices)
        settings = Settings(
            rounds=self.args.rounds,
            prevalence=self.args.prevalence,
            set_coverage=self.args.set_coverage,
            aggregate=self.args.aggregate,
        )
        self.report = write_report(models, self.out / 'report', settings, held_out).report
        told = _tell_accuracy(self.report)
        if held_out:
            internal = compute(held_out, Settings(rounds=self.args.rounds, gallery=0)).report
            told += f'; on the validation set {_tell_accuracy(internal)}'
        return DONE, f'By patient {told}.'

    def tell_prevalence(self) -> tuple[str, str]:
        """What the report says of the prevalence."""
        if self.report is None:
            raise ValueError('there is no report')
        if not self.report.prevalence:
            raise ValueError('there are no validation predictions to estimate it by')
        (found,) = self.report.prevalence.values()
        parts = [
            f'{named.display_name} {each.test:.3f}, by counts {_spell(each.by_counts)}, by EM '
            f'{_spell(each.by_em)}'
            for named, each in zip(self.report.classes.images, found)
        ]
        return DONE, f'Of patients, in truth and as estimated without it: {"; ".join(parts)}.'

    def measure_familiarity(self) -> tuple[str, str]:
        """How many slices are unlike the training data."""
        paths = [info['img_path'] for info in self.slices]
        inferencer = OneShotInferencer(
            self.cfg if self.args.config else None, self.args.model, show_progress=False
        )
        fitted = getattr(inferencer.model, 'feature_distance', None)
        if fitted is not None and fitted.is_fitted:
            mean, whitening, threshold = (
                getattr(fitted, key).double().cpu().numpy()
                for key in ('mean', 'whitening', 'threshold')
            )
        else:
            self._need_data('train_dataloader')
            statistics = fit_familiarity(self.args.model, self.cfg, show_progress=False).statistics
            mean, whitening, threshold = (
                statistics[f'feature_distance.{key}'].double().numpy()
                for key in ('mean', 'whitening', 'threshold')
            )
        distances = mahalanobis_distance(
            pool_features(inferencer, paths, 'slices', show_progress=False), mean, whitening
        )
        unlike = _share_of_patients(distances > threshold, self.slices, self.args.rounds)
        write_json(
            dict(
                threshold=float(threshold),
                unlike=unlike,
                median=float(np.median(distances)),
                slices={
                    info['img_id']: float(distance)
                    for info, distance in zip(self.slices, distances)
                },
            ),
            self.out / 'familiarity.json',
        )
        return (LOOK if unlike.low > 0.05 else DONE), (
            f'{_spell(unlike)} of the slices are unlike the training data: further from them than '
            'all but 5 % of the validation slices.'
        )

    def _need_data(self, loader: str) -> None:
        """Make sure that the config knows the data of the training."""
        if not self.args.config or not self.cfg.get(loader):
            raise ValueError(f'the data of the training are not known: {_NO_TRAINING_DATA}')


def set_apart(entries: Sequence[dict]) -> None:
    """Rename dumped validation slices and patients: elsewhere names may be the same by chance.

    Whether the slices themselves are the same is what the audit tells.
    """
    for entry in entries:
        for key in ('img_id', 'patient_id', 'scan_id'):
            if str(entry.get(key) or UNKNOWN) != UNKNOWN:
                entry[key] = f'validation {entry[key]}'


def _tell_accuracy(report: EvaluationReport) -> str:
    """Headlines of a report on one model, of its patients."""
    (figures,) = report.figures[report.settings.unit].values()
    return f'accuracy {_spell(figures["accuracy"])}, macro AUROC {_spell(figures["macro_auroc"])}'


def _spell(estimate: Estimate) -> str:
    return 'undefined' if math.isnan(estimate.value) else f'{estimate:.3f}'


def _share_of_patients(is_so: np.ndarray, slices: Sequence[dict], rounds: int) -> Estimate:
    """Share of slices, (n,) bool, with its interval by patient."""
    names, cluster = np.unique(cluster_names(slices)[0], return_inverse=True)
    return Resamples(len(names), rounds, seed=0).share(is_so, cluster)


def write_index(steps: Sequence[Step], args: argparse.Namespace, out: Path) -> None:
    """Write ``index.html`` and ``external.json``."""
    facts = {
        'model': Path(args.model).name,
        'SHA-256 of the model': sha256(args.model),
        'config': Path(args.config).name if args.config else 'the one saved in the model',
        'set': Path(args.data).name,
        'prevalence': args.prevalence or 'that of the set',
        'software': ', '.join(f'{name} {version}' for name, version in software(_PACKAGES).items()),
        'date': now(),
    }
    write_json(dict(steps=steps, **facts), out / 'external.json')
    page = render(
        'external.html', title=f'External test: {Path(args.data).name}', steps=steps, facts=facts
    )
    write_text(page, out / 'index.html')


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status is 1 if a step failed."""
    args = parse_args(argv)
    steps = ExternalTest(args, read_config(args)).run()
    write_index(steps, args, args.out)
    print(f'written to {args.out / "index.html"}')
    return int(any(step.status == FAILED for step in steps))
