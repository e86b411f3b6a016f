"""The figures that several notebooks have: samples, curves, matrices, ROC, maps, t-SNE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from dferlib.analysis import cost, explain
from dferlib.analysis.fine_layer import MOUTH_CELLS, fine_layer, grid_of
from dferlib.evidence import costs, layout, metrics, scoring, sentences, tables
from dferlib.figures import diagrams, matrices, plots, schematics
from dferlib.figures.curves import plot_curves, plot_roc, plot_time_profile
from dferlib.figures.matrix_table import confusion_table
from dferlib.figures.wording import attention_name, dataset_name, rule_name
from dferlib.notebook import examples, widgets
from dferlib.notebook.opening import Opened
from dferlib.training import predict

if TYPE_CHECKING:
    from torch import Tensor, nn


class Pictures(Opened):
    """Sections that show figures. Each shows and keeps what it draws, and returns nothing."""

    def columns(self, word: str = "frame") -> list[str]:
        """Names of the sampled frames: frame 1, frame 2, ..."""
        return [f"{word} {step + 1}" for step in range(self.loader.num_frames)]

    @property
    def where(self) -> str:
        """This run's dataset as papers print its name."""
        return dataset_name(self.settings.dataset)

    def examples(self, rows: np.ndarray | None = None) -> np.ndarray:
        """A clip of each class that may stand for it, among rows of the manifest, by default all.

        Of other people where there are, whole, with a face in every frame; see
        `notebook.examples`.
        """
        rows = np.arange(len(self.store.manifest)) if rows is None else rows
        return examples.choose_examples(self.store, self.loader, rows, self.classes)

    def surest(self, count: int = 1) -> np.ndarray:
        """The test clips, by place, that the model is surest of; flawed examples come last."""
        order = np.argsort(-self.probabilities.max(1), kind="stable")
        frames = self.clips[order].permute(0, 2, 3, 4, 1).numpy()
        flaws = examples.flaws(self.store, self.test[order], frames)
        return order[np.argsort(flaws, kind="stable")][:count]

    def samples(self, *, caption: str, word: str = "frame", step: int = 1) -> None:
        """One clip per class, of other people where there are, as the network sees it in a test."""
        rows = self.examples()
        frames = self.images(self.loader.gather(rows))[:, ::step]
        names = list(self.store.manifest["label"].iloc[rows])
        figure = plots.plot_samples(frames, names, self.columns(word)[::step])
        alt = f"One clip per class, a row each, at {frames.shape[1]} sampled frames."
        self.show(figure, alt=alt, caption=caption, name="samples")

    @property
    def history(self) -> pd.DataFrame:
        """One row per epoch of every run, with its variant."""
        found = [run.history.assign(variant=run.record["variant"]) for run in self.runs]
        return pd.concat(found, ignore_index=True)

    def curves(self) -> None:
        """Training loss and accuracies over the epochs, who learned nothing, and what it took."""
        shown = {"train_loss": "training loss", "val_war": "validation accuracy"}
        shown |= {"test_war": "test accuracy"}
        named = self.history.assign(variant=self.history["variant"].map(self.label_of))
        figure = plot_curves(named, shown)
        alt = "Training loss, validation and test accuracy over the epochs, one line per row."
        self.show(figure, alt=alt, caption="Every row of this run.", name="curves")
        asked = (self.predictions, self.classes, self.rule)
        self.say(sentences.learned_rows(self.history, *asked))
        table = costs.cost_of_runs(self.runs)
        table["variant"] = table["variant"].map(self.label_of)
        prose = ("device", "precision", "commit")
        shown = layout.lay_out(table, "What the trainings took", named="variant", prose=prose)
        display(shown.format(precision=1))

    def intervals(
        self, cells: pd.DataFrame, *, name: str, caption: str, metrics: Sequence[str] = ("WAR",)
    ) -> None:
        """Rows of a table as points with intervals beside the published ones, read in a sentence.

        `cells` are those of `Results.cells`, a panel for each metric; rows without a value are left
        out.
        """
        cells = cells.dropna(subset=["published", "ours"], how="all")
        shown = {metric: cells[cells["metric"] == metric] for metric in metrics}
        count = max(map(len, shown.values()))
        if not count:
            display(Markdown("No figure: this table has no value on this dataset."))
            return
        size = (6.2 if len(metrics) == 1 else 5.6 * len(metrics), 0.42 * count + 1.3)
        figure, axes = plt.subplots(1, len(metrics), figsize=size, squeeze=False)
        for ax, (metric, rows) in zip(axes[0], shown.items(), strict=True):
            asked = {"chance": self.chance, "metric": metric, "select": self.rule}
            plots.plot_intervals(rows, **asked, ax=ax)
        alt = (
            f"{' and '.join(metrics)} of {count} rows with intervals, published values and chance."
        )
        self.show(figure, alt=alt, caption=caption, name=name)
        self.say(tables.read_table(cells[cells["metric"].isin(metrics)]))

    def schematics(self, *names: str, scores: Sequence[float] = ()) -> None:
        """Draw schematic figures of the paper by the shapes of its model at the paper's size.

        `names` are functions of `figures.schematics`, "stcam_3" for STCAM's Figure 3; `scores` of
        clips go to those that need them.
        """
        slug = self.paper.slug
        recipe = self.paper.resolve("paper", self.settings.dataset, slug)
        shape = (3, recipe.num_frames, recipe.input_size, recipe.input_size)
        parts = getattr(schematics, slug.upper())
        shapes = cost.shape_texts(self.full_size(slug), shape, parts)
        for name in names:
            build = getattr(schematics, name)
            blocks = build(shapes, *([scores] if len(scores) else []))
            number = name.removeprefix(f"{slug}_")
            said = build.__doc__.partition(", ")[2].partition("\n")[0]
            self.show(
                diagrams.plot_schematic(blocks),
                alt=schematics.describe(blocks),
                caption=said[:1].upper() + said[1:],
                name=f"figure{number}" if number.isdigit() else f"figure_{number}",
                source="none",
            )

    # ---------------------------------------------------------------- errors

    def confusion(self, *, name: str = "confusion") -> None:
        """Confusion matrices of this run and of others of the paper, and the commonest error.

        Where the paper prints a matrix it stands beside, and the difference; a widget shows any
        row and rule.
        """
        missing = []
        for dataset in dict.fromkeys((self.settings.dataset, *self.paper.datasets)):
            found = self.evidence.get(dataset)
            if found is None or self.variant not in set(found["variant"]):
                status = f"not run: {self.command(dataset)}"
                missing.append({"dataset": dataset, "status": status})
            else:
                here = dataset == self.settings.dataset
                self._matrix(dataset, name if here else f"{name}_{dataset}")
        asked = (self.predictions, self.classes, self.variant, self.rule)
        self.say(scoring.commonest_confusion(*asked))
        if missing:
            table = pd.DataFrame(missing)
            display(layout.lay_out(table, "Not run", named="dataset", prose=("status",)))
        rows = [name for name in self.settings.variants if name in set(self.predictions["variant"])]
        choices = {"row": {self.label_of(name): name for name in rows}}
        choices["epoch"] = {rule_name(r): r for r in self.predictions["select"].unique()}
        start = {"row": self.variant, "epoch": self.rule}
        widgets.show(widgets.choose(self._one_matrix, choices, start))

    def _matrix(self, dataset: str, name: str) -> None:
        here = dataset == self.settings.dataset
        classes = self.classes if here else self.paper.classes[dataset]
        ours = scoring.confusion_of(self.evidence[dataset], classes, self.variant, self.rule)
        published = tables.published_confusion(self.paper, dataset, classes)
        where = dataset_name(dataset)
        title = f"{self.label_of(self.variant)} on {where}, {self.store.source}"
        known = not np.isnan(published).all()
        counts = _clips_of(self.evidence[dataset], classes, self.variant, self.rule)
        asked = {"title": title, "counts": counts, "select": self.rule}
        figure = matrices.plot_confusion_pair(ours, published, classes, **asked)
        beside = ": ours beside what was published" if known else ", none published"
        alt = f"Confusion matrices on {where}{beside}; rows are true classes."
        self.show(figure, alt=alt, caption=f"{where}, pooled over the test folds.", name=name)

    def _one_matrix(self, row: str, epoch: str) -> str:
        asked = (self.predictions, self.classes, row, epoch)
        title = f"{self.label_of(row)}, {rule_name(epoch)}"
        matrix, counts = scoring.confusion_of(*asked), _clips_of(*asked)
        return confusion_table(matrix, self.classes, counts, title)

    def roc_curves(self) -> pd.DataFrame:
        """ROC curves of `variant`: columns curve, fpr, tpr, auc."""
        return scoring.roc_of(self.predictions, self.classes, self.variant, self.rule)

    def roc(self, *, name: str = "roc") -> None:
        """ROC curves of each class against the rest, and which is easiest and hardest to tell."""
        found = self.roc_curves()
        figure = plot_roc(found, title=f"{self.label_of(self.variant)} on {self.where}")
        alt = "ROC curves of each class against the rest, with macro and micro averages."
        caption = "Pooled over the test folds of this run; dotted, the macro mean of the classes."
        self.show(figure, alt=alt, caption=caption, name=name)
        areas = found.groupby("curve", sort=False)["auc"].first()
        areas = areas.drop(["macro", "micro"], errors="ignore")
        if areas.empty:  # few clips may be of one class
            display(Markdown("All test clips are of one class: there is nothing to tell apart."))
            return
        easy, hard = (f"**{k}** ({areas[k]:.2f})" for k in (areas.idxmax(), areas.idxmin()))
        self.say(f"Easiest to tell from the rest: {easy}; hardest: {hard} (area under the curve).")

    # ---------------------------------------------------------------- the model, looked into

    def maps(
        self,
        maps: np.ndarray,
        clip: int,
        *,
        label: str,
        name: str,
        alt: str,
        caption: str,
        word: str = "frame",
        step: int = 1,
        value_range: tuple[float, float] | None = None,
        title: str = "",
    ) -> None:
        """Frames of a test clip, maps (T, H, W) over them, and both overlaid."""
        figure = plots.plot_maps_over_frames(
            self.images(self.clips[clip : clip + 1])[0, ::step],
            np.asarray(maps)[::step],
            self.columns(word)[::step],
            title=f"{attention_name(self.label_of(title or label))}: {self.title_of(clip)}",
            colour_label=label,
            value_range=value_range,
        )
        self.show(figure, alt=alt, caption=caption, name=name)

    def gradcam(
        self, *layers: nn.Module, word: str = "frame", among: int = 12, cells: int = MOUTH_CELLS
    ) -> None:
        """Grad-CAM of the clip that the model is surest of and whose map is not empty.

        Grad-CAM drops what speaks against the class, and of some clips nothing is left. The first
        of `layers` that shows anything is explained, by default the model's own. Where its grid has
        fewer than `cells` places along a side, as on small inputs, it cannot show a mouth: then an
        earlier layer is explained by LayerCAM, which the caption says; `cells=0` keeps to `layers`.
        """
        surest = self.surest(among)
        chosen = [
            grid_of(self.model, self.clips[:1], layer)
            for layer in layers or (self.model.cam_layer,)
        ]
        coarse, method, title, said = chosen[0].side, "gradcam", "Grad-CAM", ""
        if coarse < cells:
            chosen = [fine_layer(self.model, self.clips[:1], cells)]
            method, title = "layercam", "LayerCAM"
            said = f" in place of Grad-CAM on {coarse} x {coarse}"
        for layer in chosen:
            asked = {"layer": layer.module, "method": method}
            cams = explain.grad_cam(self.model, self.clips[surest], **asked).numpy()
            empty = cams.max((1, 2, 3)) == 0
            if not empty.all():
                break
        first = int(empty.argmin())
        self.maps(
            cams[first],
            int(surest[first]),
            label="relevance",
            name="gradcam",
            alt=f"Frames of a clip, their {title} maps, and both laid over each other.",
            caption=(
                f"{title} of `{layer.name}`, {layer.side} x {layer.side} places a frame{said}, "
                f"enlarged trilinearly. Empty maps: {empty.sum()} of the {len(empty)} surest."
            ),
            word=word,
            title=title,
        )

    def over_time(
        self,
        curves: Mapping[str, Tensor],
        *,
        label: str,
        alt: str,
        even: bool = False,
        name: str = "attention_over_time",
        axis: str = "",
    ) -> None:
        """Mean weight at each sampled frame over clips: curves (N, T, ...), one line each.

        `even` draws the line of an even share, 1 / T.
        """
        parts = []
        for name_of, values in curves.items():
            values = np.asarray(values)
            flat = values.reshape(*values.shape[:2], -1).mean(2)
            table = pd.DataFrame(flat, columns=range(1, flat.shape[1] + 1))
            parts.append(table.melt(var_name="frame").assign(curve=attention_name(name_of)))
        table = pd.concat(parts, ignore_index=True).astype({"frame": int})
        figure = plot_time_profile(table, label=label, axis=axis, even=even)
        dotted = "; the dotted line is an even share" if even else ""
        caption = f"Bands are 95 % intervals over clips{dotted}."
        self.show(figure, alt=alt, caption=caption, name=name)

    def tsne(self) -> None:
        """The features of the test clips in two dimensions, and how far classes hold together."""
        features = predict.extract_features(self.model, self.loader, self.test)
        labels = self.store.manifest["label"].iloc[self.test]
        title = f"{self.label_of(self.variant)}, fold {self.first_task().fold}"
        ax = plots.plot_embedding(predict.embed(features), labels, title=title)
        alt = "t-SNE of the test clips' features, coloured by class."
        self.show(ax.figure, alt=alt, caption="Test clips of one fold.", name="tsne")
        score = metrics.silhouette(features, self.labels[self.test])
        said = f"Silhouette of the classes in the full feature space: {score:.2f}"
        self.say(f"{said}, n = {len(self.test)}.")


def _clips_of(
    predictions: pd.DataFrame, classes: Sequence[str], variant: str, select: str
) -> list[int]:
    """Number of different clips of each true class that a row was tested on."""
    rows = metrics.choose(predictions[predictions["variant"] == variant], select)
    truth = rows.drop_duplicates("clip_id")["y_true"]
    return np.bincount(truth, minlength=len(classes)).tolist()
