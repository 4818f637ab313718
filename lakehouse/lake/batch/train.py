"""Training as the last step of a pipeline: a logistic regression over a table of features, written as JSON.

Here: the fit, its figures, the file. Not here: features (a pipeline's SQL). A model is a function of the table's rows
up to the window: trained again it is the same to the last byte, so a backfill of features is one of models.
"""

import json
from typing import TYPE_CHECKING, Any

from lakehouse.lake.batch.files import replace, window_file
from lakehouse.lake.batch.run import StepContext

if TYPE_CHECKING:
    import numpy as np

_RIDGE = 1e-3
_STEPS = 50
_LEAST_ROWS = 20


def train(context: StepContext) -> dict[str, Any]:
    """Fit `label` by `features` (options) on every window up to this one; the figures, and where the model is.

    Too few rows, or only one answer, give no model and say so.
    """
    label, features = str(context.options["label"]), [str(name) for name in context.options["features"]]
    known = context.read(context.inputs[0]).where(f"partition_key <= '{context.window.key}'")
    # As doubles, and in one order: sums of floating-point numbers depend on it.
    columns = [f"cast(`{name}` as double) as `{name}`" for name in [*features, label]]
    table = known.selectExpr(*columns).orderBy(*features, label).toPandas()
    answers = table[label].to_numpy()
    if len(answers) < _LEAST_ROWS or answers.min() == answers.max():
        return {"rows": len(answers), "trained": False, "why": f"needs {_LEAST_ROWS} rows and both answers"}
    model = fit(table[features].to_numpy(), answers)
    about = {"pipeline": context.pipeline.name, "until": context.window.key, "label": label, "features": features}
    path = window_file(context, "models", "json")
    replace(path, json.dumps(about | model, indent=1).encode())
    figures = {name: model[name] for name in ("rows", "log_loss", "log_loss_of_the_share", "auc")}
    return {"path": str(path), "trained": True, **figures}


def fit(features: "np.ndarray[Any, Any]", answers: "np.ndarray[Any, Any]") -> dict[str, Any]:
    """Logistic regression by Newton's method, with a small ridge so that separable data have finite weights.

    Args:
        features: Rows by columns.
        answers: 0 or 1 per row, both present.

    Returns:
        Means and scales by which the columns are standardised, weights of those, the intercept; log loss on these
        rows beside that of their share of ones, and the area under the ROC curve.
    """
    import numpy as np

    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    design = np.column_stack([np.ones(len(answers)), (features - mean) / scale])
    penalty = np.diag([0.0, *([_RIDGE * len(answers)] * features.shape[1])])
    weights = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        chance = _chance(design @ weights)
        gradient = design.T @ (chance - answers) + penalty @ weights
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design + penalty
        step = np.linalg.solve(curvature, gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-10:
            break
    chance = _chance(design @ weights)
    share = np.full(len(answers), answers.mean())
    return {
        "rows": len(answers),
        "mean": mean.tolist(),
        "scale": scale.tolist(),
        "weights": weights[1:].tolist(),
        "intercept": float(weights[0]),
        "log_loss": round(_log_loss(chance, answers), 6),
        "log_loss_of_the_share": round(_log_loss(share, answers), 6),
        "auc": round(_auc(chance, answers), 6),
    }


def _chance(scores: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    import numpy as np

    found: np.ndarray[Any, Any] = 1.0 / (1.0 + np.exp(-np.clip(scores, -30, 30)))
    return found


def _log_loss(chance: "np.ndarray[Any, Any]", answers: "np.ndarray[Any, Any]") -> float:
    import numpy as np

    return float(-np.mean(answers * np.log(chance) + (1 - answers) * np.log(1 - chance)))


def _auc(chance: "np.ndarray[Any, Any]", answers: "np.ndarray[Any, Any]") -> float:
    """How often a row with 1 has the higher chance than a row with 0; equal ones count half."""
    import numpy as np

    _, place, count = np.unique(chance, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    ones = float(answers.sum())
    zeros = len(answers) - ones
    return float((ranks[answers == 1].sum() - ones * (ones + 1) / 2) / (ones * zeros))
