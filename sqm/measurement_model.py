"""How well does a measurement model reproduce the covariances of the items?

One engine: confirmatory factor analysis by normal-theory maximum likelihood, each item on one
factor, in one group or several, with or without blanks.  The convention throughout is the
divisor n (not n - 1) and factors of variance 1, as lavaan's ``std.lv``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
from scipy import optimize, stats

from sqm.checks import Problem, Refusal

STEPS = 150  # a model that can be estimated needs about 20
SCORING = 4  # of them by Fisher scoring
ENOUGH = 1e-18  # squared length of the last step, in standard errors of one respondent
LEVELS = ("configural", "metric", "scalar")
PER_PARAMETER = 5  # respondents, below which a caution is given (Bentler and Chou 1987)


@dataclass(frozen=True, eq=False)
class Misfit:
    """How far the covariances (and means) of a model are from those observed.

    Attributes
    ----------
    respondents : int
        In all groups together.
    group_count : int
    free : int
        Parameters estimated.
    chi2, df : float, int
        Likelihood ratio against the saturated model.
    baseline_chi2, baseline_df : float, int
        The same for the model in which no two items are related.
    log_likelihood : float
    srmr : float
        Root mean square of the residual correlations (Bentler), the diagonal counted, and the
        standardised residual means where means are modelled; several groups weighted by size.
    converged : bool
        A maximum was reached, and the information matrix there is positive definite.
    """

    respondents: int
    group_count: int
    free: int
    chi2: float
    df: int
    baseline_chi2: float
    baseline_df: int
    log_likelihood: float
    srmr: float
    converged: bool

    @property
    def p_value(self) -> float:
        """Chance of so large a chi-square if the model held; NaN without degrees of freedom."""
        return float(stats.chi2.sf(self.chi2, self.df)) if self.df > 0 else np.nan

    @property
    def cfi(self) -> float:
        """Comparative fit index of Bentler (1990): 1 - excess of the model / of the baseline."""
        excess = max(self.chi2 - self.df, 0.0)
        most = max(self.baseline_chi2 - self.baseline_df, excess)
        return 1 - excess / most if most > 0 else 1.0

    @property
    def tli(self) -> float:
        """Tucker-Lewis index, which may exceed 1; NaN without degrees of freedom."""
        if self.df == 0 or self.baseline_chi2 <= self.baseline_df:
            return np.nan
        ratio = self.baseline_chi2 / self.baseline_df
        return float((ratio - self.chi2 / self.df) / (ratio - 1))

    @property
    def rmsea(self) -> float:
        """Root mean square error of approximation; NaN without degrees of freedom."""
        return self._rmsea(self.chi2 - self.df)

    def rmsea_interval(self, *, confidence: float = 0.9) -> tuple[float, float]:
        """Limits of the RMSEA from the noncentral chi-square; 90 % is the custom."""
        tail = (1 - confidence) / 2
        return (
            self._rmsea(_noncentrality(self.chi2, self.df, 1 - tail)),
            self._rmsea(_noncentrality(self.chi2, self.df, tail)),
        )

    def _rmsea(self, excess: float) -> float:
        if self.df == 0:
            return np.nan
        return float(np.sqrt(max(excess, 0) / self.respondents / self.df * self.group_count))

    @property
    def aic(self) -> float:
        """Akaike's criterion: smaller is better."""
        return 2 * self.free - 2 * self.log_likelihood

    @property
    def bic(self) -> float:
        """Schwarz's criterion: smaller is better."""
        return float(self.free * np.log(self.respondents) - 2 * self.log_likelihood)


@dataclass(frozen=True, eq=False)
class Fit(Misfit):
    """A fitted measurement model of one group; p items on m factors of variance 1.

    Attributes
    ----------
    groups : tuple of tuple of int
        The items of each factor.
    loadings, residual_variances : ndarray, shape (p,)
        In the units of the items.
    factor_correlations : ndarray, shape (m, m)
    covariance_of_estimates : ndarray, shape (2p + m(m - 1)/2,) * 2
        Of loadings, residual variances and factor correlations, these in the order of
        ``np.tril_indices(m, -1)``.  From the expected information (with blanks: the observed
        one); zeros for a residual variance that was fixed, NaN if not ``converged``.
    implied : ndarray, shape (p, p)
        Covariances that the model reproduces.
    scale : float
        What chi-square is divided by to allow for answers that are not normal; 1 unless
        `robust` has found it.
    """

    groups: tuple[tuple[int, ...], ...]
    loadings: np.ndarray
    residual_variances: np.ndarray
    factor_correlations: np.ndarray
    covariance_of_estimates: np.ndarray
    implied: np.ndarray
    scale: float = 1.0

    @property
    def standard_errors(self) -> np.ndarray:
        """Of loadings, residual variances and factor correlations, in that order."""
        return np.sqrt(np.diag(self.covariance_of_estimates))

    @cached_property
    def standardised_loadings(self) -> np.ndarray:
        """Correlation of each item with its factor, as the model has it, shape (p,)."""
        return self.loadings / np.sqrt(self.loadings**2 + self.residual_variances)

    @cached_property
    def standardised_errors(self) -> np.ndarray:
        """Standard errors of the standardised loadings by the delta method, shape (p,)."""
        p = len(self.loadings)
        total = (self.loadings**2 + self.residual_variances) ** 1.5
        by_loading, by_residual = self.residual_variances / total, -self.loadings / 2 / total
        jacobian = np.hstack([np.diag(by_loading), np.diag(by_residual)])
        covariance = self.covariance_of_estimates[: 2 * p, : 2 * p]
        return np.sqrt(np.diag(jacobian @ covariance @ jacobian.T))

    @cached_property
    def correlation_errors(self) -> np.ndarray:
        """Standard errors of the factor correlations, shape (m, m), zeros in the diagonal."""
        m = len(self.groups)
        errors = np.zeros((m, m))
        errors[np.tril_indices(m, -1)] = self.standard_errors[2 * len(self.loadings) :]
        return errors + errors.T

    @property
    def negative_residuals(self) -> tuple[int, ...]:
        """Items with a residual variance below zero (Heywood cases)."""
        return tuple(np.flatnonzero(self.residual_variances < 0).tolist())

    @property
    def correlations_possible(self) -> bool:
        """Whether the factor correlations are a correlation matrix (positive definite)."""
        return bool(np.linalg.eigvalsh(self.factor_correlations).min() > 0)

    @property
    def admissible(self) -> bool:
        """No negative variance, and factor correlations that can exist together."""
        return not self.negative_residuals and self.correlations_possible


@dataclass(frozen=True, eq=False)
class GroupFit(Misfit):
    """A measurement model fitted to several groups at once, with means.

    Attributes
    ----------
    level : str
        ``configural``, ``metric`` (loadings equal) or ``scalar`` (intercepts too).
    loadings, residual_variances, intercepts : ndarray, shape (groups, p)
    factor_covariances : ndarray, shape (groups, m, m)
        The first group's factors have variance 1; at the configural level every group's.
    factor_means, mean_errors : ndarray, shape (groups, m)
        In standard deviations of the first group's factor, against the first group's mean of 0;
        all 0 below the scalar level.
    admissible : bool
        No negative variance, and factor covariances that are positive definite, in every group.
    """

    level: str
    loadings: np.ndarray
    residual_variances: np.ndarray
    intercepts: np.ndarray
    factor_covariances: np.ndarray
    factor_means: np.ndarray
    mean_errors: np.ndarray
    admissible: bool


@dataclass(frozen=True, eq=False)
class Sample:
    """Moments of one group.

    Attributes
    ----------
    respondents : int
    means : ndarray, shape (p,)
    covariances : ndarray, shape (p, p)
        With divisor n.
    """

    respondents: int
    means: np.ndarray
    covariances: np.ndarray


def sample(values: np.ndarray) -> Sample:
    """Moments of complete rows (respondents by items), covariances with divisor n."""
    return Sample(len(values), values.mean(axis=0), np.cov(values, rowvar=False, ddof=0))


def fit(covariances: np.ndarray, *, respondents: int, groups: Sequence[Sequence[int]]) -> Fit:
    """Fit a measurement model, each item on one factor, by maximum likelihood.

    Parameters
    ----------
    covariances : ndarray, shape (p, p)
        Of the items, with divisor n (a matrix with divisor n - 1 times (n - 1)/n): the estimates
        and chi-square of a matrix c times as large are the same up to units.
    respondents : int
        The n behind the covariances.
    groups : sequence of sequences of int
        The items (rows of ``covariances``) of each factor; every item in one of them.  A factor
        of one item is that item: its residual variance is fixed at 0.

    Returns
    -------
    Fit
        ``converged`` and ``admissible`` say whether it may be used.

    Raises
    ------
    Problem
        If an item is in no group, or in two.
    Refusal
        If the covariances are not positive definite, or the model has more parameters than
        there are covariances.

    Notes
    -----
    Sigma = L P L' + T.  Minimises F = log|Sigma| + tr(S Sigma^-1) - log|S| - p [1]_ by Fisher
    scoring and BFGS, halving a step that does not descend; chi-square is n F.  The covariance of
    the estimates is the inverse of the expected information, 1/2 n tr(Sigma^-1 dSigma_j Sigma^-1
    dSigma_k).  The matrix need not have come from complete rows, but n must be honest.

    References
    ----------
    .. [1] Jöreskog, K. G. (1969). A general approach to confirmatory maximum likelihood factor
       analysis. Psychometrika 34, 183-202. doi:10.1007/BF02289343

    Examples
    --------
    Three items that correlate .5 are reproduced by loadings of sqrt(.5): no misfit.

    >>> found = fit(np.full((3, 3), 0.5) + np.eye(3) / 2, respondents=100, groups=[[0, 1, 2]])
    >>> found.loadings.round(4).tolist(), found.df, abs(round(found.chi2, 6))
    ([0.7071, 0.7071, 0.7071], 0, 0.0)
    """
    covariances = np.asarray(covariances, dtype=float)
    p = len(covariances)
    _need_groups(groups, p)
    _need_definite(covariances, respondents)
    one = Sample(int(respondents), np.zeros(p), covariances)
    model = _model([one], groups, with_means=False)
    _need_identified(p * (p + 1) // 2, model.free)
    data = _stack([one])
    free, converged = _estimate(model, data)
    variance = _inverse(_information(free, model, data)) / respondents
    baseline = respondents * float(
        np.log(np.diag(covariances)).sum() - np.linalg.slogdet(covariances)[1]
    )
    return _one_fit(free, model, [one], _saturated([one]), baseline, variance, converged)


def parameters(groups: Sequence[Sequence[int]]) -> int:
    """How many parameters `fit` estimates: loadings, residual variances, factor correlations.

    Examples
    --------
    Two factors of three items: 6 + 6 + 1; a factor of one item has no residual variance.

    >>> parameters([[0, 1, 2], [3, 4, 5]]), parameters([[0, 1, 2], [3]])
    (13, 8)
    """
    p, m = sum(map(len, groups)), len(groups)
    return 2 * p - sum(len(items) == 1 for items in groups) + m * (m - 1) // 2


def one_factor(covariances: np.ndarray, *, respondents: int) -> Fit:
    """Fit one factor behind all items; see `fit`.

    Examples
    --------
    >>> found = one_factor(np.full((4, 4), 0.49) + np.eye(4) * 0.51, respondents=200)
    >>> found.standardised_loadings.round(4).tolist()
    [0.7, 0.7, 0.7, 0.7]
    """
    return fit(covariances, respondents=respondents, groups=[range(len(covariances))])


def robust(found: Fit, values: np.ndarray) -> Fit:
    """Give a fit the standard errors and the scaled chi-square of answers that are not normal.

    Parameters
    ----------
    found : Fit
        Of `fit`, from the covariances of ``values``.
    values : ndarray, shape (n, p)
        The complete rows.

    Returns
    -------
    Fit
        The same estimates; ``covariance_of_estimates`` is the sandwich A^-1 B A^-1 with A the
        expected information and B the variance of the rows' own scores, over n - q for q
        parameters (with n it is too small in samples of a hundred); ``scale`` is that of
        Satorra and Bentler, tr(U Gamma)/df (1 without degrees of freedom) [1]_.

    References
    ----------
    .. [1] Satorra, A., Bentler, P. M. (1994). Corrections to test statistics and standard errors
       in covariance structure analysis. In von Eye & Clogg (eds), Latent Variables Analysis,
       399-419.

    Examples
    --------
    Rows of signs: the scores vary less than those of normal answers, and so do the estimates.

    >>> signs = np.random.default_rng(1).normal(size=(400, 4)) + np.arange(400)[:, None] % 2 * 3
    >>> rows = np.sign(signs - signs.mean(axis=0))
    >>> plain = one_factor(np.cov(rows, rowvar=False, ddof=0), respondents=400)
    >>> bool((robust(plain, rows).standard_errors < plain.standard_errors)[:4].all())
    True
    """
    off = values - values.mean(axis=0)
    n = len(off)
    inverse, covariances = np.linalg.inv(found.implied), off.T @ off / n
    slopes = _slopes_of(found)
    used = slopes.any(axis=(1, 2))
    weights = inverse @ slopes[used] @ inverse
    flat = weights.reshape(len(weights), -1)
    bread = _inverse(0.5 * flat @ slopes[used].reshape(len(weights), -1).T)
    scores = 0.5 * (_squares(off, weights) - flat @ covariances.ravel())
    meat = scores.T @ scores / n
    covariance = np.zeros((len(used), len(used)))
    covariance[np.ix_(used, used)] = bread @ meat @ bread / max(n - found.free, 1)
    together = inverse @ covariances
    lengths = ((off @ inverse) * off).sum(axis=1)
    spread = 0.5 * float((lengths**2).mean() - (together * together.T).sum())
    scale = (spread - float((bread * meat).sum())) / found.df if found.df else 1.0
    return replace(found, covariance_of_estimates=covariance, scale=float(scale))


def composite(found: Fit, *, factor: int = 0) -> tuple[float, float]:
    """Reliability of the sum of a factor's items (McDonald's omega), and its standard error.

    omega = (sum l)^2 / ((sum l)^2 + sum t) [1]_ with loadings l and residual variances t; the
    standard error by the delta method.

    References
    ----------
    .. [1] McDonald, R. P. (1999). Test Theory: A Unified Treatment. Erlbaum. Chapter 6.

    Examples
    --------
    Four items that correlate .49: 2.8^2 / (2.8^2 + 4 * .51) = .7935.

    >>> found = one_factor(np.full((4, 4), 0.49) + np.eye(4) * 0.51, respondents=200)
    >>> round(composite(found)[0], 4)
    0.7935
    """
    items = np.array(found.groups[factor])
    shared, rest = found.loadings[items].sum(), found.residual_variances[items].sum()
    total = shared**2 + rest
    slope = np.zeros(len(found.covariance_of_estimates))
    slope[items] = 2 * shared * rest / total**2
    slope[len(found.loadings) + items] = -(shared**2) / total**2
    return float(shared**2 / total), spread_of(found, slope)


def extracted(found: Fit, *, factor: int = 0) -> tuple[float, float]:
    """Average variance extracted by a factor from its items, and its standard error.

    AVE = sum l^2 / (sum l^2 + sum t) [1]_; the standard error by the delta method.

    References
    ----------
    .. [1] Fornell, C., Larcker, D. F. (1981). Journal of Marketing Research 18, 39-50.
       doi:10.1177/002224378101800104

    Examples
    --------
    >>> found = one_factor(np.full((4, 4), 0.49) + np.eye(4) * 0.51, respondents=200)
    >>> round(extracted(found)[0], 4)
    0.49
    """
    items = np.array(found.groups[factor])
    shared = (found.loadings[items] ** 2).sum()
    rest = found.residual_variances[items].sum()
    slope = np.zeros(len(found.covariance_of_estimates))
    slope[items] = 2 * found.loadings[items] * rest / (shared + rest) ** 2
    slope[len(found.loadings) + items] = -shared / (shared + rest) ** 2
    return float(shared / (shared + rest)), spread_of(found, slope)


def spread_of(found: Fit, slope: np.ndarray) -> float:
    """Standard error of a function of the estimates, given its derivatives by them."""
    return float(np.sqrt(slope @ found.covariance_of_estimates @ slope))


def fit_missing(values: np.ndarray, *, groups: Sequence[Sequence[int]]) -> Fit:
    """Fit a measurement model to rows with blanks, by full information maximum likelihood.

    Parameters
    ----------
    values : ndarray, shape (n, p)
        NaN where a respondent gave no answer; a row of blanks alone is left out.
    groups : sequence of sequences of int
        As in `fit`.

    Returns
    -------
    Fit
        Item means are estimated too: ``free`` counts them.  ``srmr`` is against the saturated
        means and covariances, by the EM algorithm.

    Raises
    ------
    Problem, Refusal
        As in `fit`; and a Refusal if two items were never answered together.

    Notes
    -----
    Each row contributes the normal likelihood of the answers it has [1]_: valid if an answer is
    missing for reasons that the answers given explain.  Standard errors are from the observed
    information.

    References
    ----------
    .. [1] Arbuckle, J. L. (1996). Full information estimation in the presence of incomplete
       data. In Marcoulides & Schumacker (eds), Advanced Structural Equation Modeling, 243-277.

    Examples
    --------
    Without blanks it is `fit`.

    >>> rows = np.random.default_rng(1).normal(size=(50, 4)) + np.arange(50)[:, None] / 20
    >>> whole = one_factor(np.cov(rows, rowvar=False, ddof=0), respondents=50)
    >>> bool(np.allclose(fit_missing(rows, groups=[range(4)]).loadings, whole.loadings))
    True
    """
    values = np.asarray(values, dtype=float)
    _need_groups(groups, values.shape[1])
    values = values[np.isfinite(values).any(axis=1)]
    _need_met(values)
    data = _patterns(values)
    whole = _expectation_maximisation(data)
    _need_definite(whole.covariances, whole.respondents)
    model = _model([whole], groups, with_means=True)
    _need_identified(whole.means.size * (whole.means.size + 3) // 2, model.free)
    free, converged = _estimate(model, data)
    variance = _inverse(_observed_information(free, model, data)) / whole.respondents
    saturated = _scores(whole.means[None], whole.covariances[None], data)[0]
    baseline = 2 * whole.respondents * (_independent(values, data) - saturated)
    return _one_fit(free, model, [whole], saturated, baseline, variance, converged, data)


def fit_groups(
    samples: Sequence[Sample], *, groups: Sequence[Sequence[int]], level: str = "configural"
) -> GroupFit:
    """Fit one measurement model to several groups, with means and equal parameters.

    Parameters
    ----------
    samples : sequence of Sample
        One a group; the first is the one that the others' factor means are measured against.
    groups : sequence of sequences of int
        The items of each factor, as in `fit`.
    level : str, default "configural"
        ``configural``: the same items on the same factors; ``metric``: equal loadings too;
        ``scalar``: equal intercepts too.

    Returns
    -------
    GroupFit

    Raises
    ------
    Problem, Refusal
        As in `fit`, for any of the groups.

    References
    ----------
    .. [1] Jöreskog, K. G. (1971). Simultaneous factor analysis in several populations.
       Psychometrika 36, 409-426. doi:10.1007/BF02291366

    Examples
    --------
    The second group answers half a standard deviation of the factor higher on every item.

    >>> alike = np.full((3, 3), 0.5) + np.eye(3) / 2
    >>> first, second = Sample(100, np.zeros(3), alike), Sample(100, np.full(3, 0.125**0.5), alike)
    >>> found = fit_groups([first, second], groups=[[0, 1, 2]], level="scalar")
    >>> found.factor_means.round(6).tolist()
    [[0.0], [0.5]]
    """
    if level not in LEVELS:
        raise Problem(f"There is no level {level!r}.", f"use one of {', '.join(LEVELS)}.")
    p = len(samples[0].means)
    _need_groups(groups, p)
    for each in samples:
        _need_definite(each.covariances, each.respondents)
    model = _model(samples, groups, with_means=True, level=level)
    _need_identified(len(samples) * p * (p + 3) // 2, model.free)
    data = _stack(samples)
    free, converged = _estimate(model, data)
    variance = _inverse(_information(free, model, data)) / data.respondents
    return _group_fit(free, model, samples, level, variance, converged)


# --- What is free, and what is shared -------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Model:
    """A model as a table, one row a group: loadings, residuals, factor (co)variances, means.

    ``index`` names the free parameter of each place, -1 where ``fixed`` holds; ``start`` has a
    value for each free one.
    """

    belongs: np.ndarray  # (p,) the factor of each item
    index: np.ndarray  # (groups, places)
    fixed: np.ndarray  # (groups, places)
    start: np.ndarray  # (free,)
    with_means: bool

    @property
    def free(self) -> int:
        return len(self.start)

    @cached_property
    def spread(self) -> np.ndarray:
        """Which place is which free parameter, (groups, places, free)."""
        return (self.index[:, :, None] == np.arange(self.free)).astype(float)

    def parts(self, free: np.ndarray) -> list[tuple[np.ndarray, ...]]:
        """Loadings (p, m), residuals (p,), factor covariances (m, m), intercepts, means."""
        places = np.where(self.index >= 0, free[self.index], self.fixed)
        return [self._unpack(row) for row in places]

    def _unpack(self, row: np.ndarray) -> tuple[np.ndarray, ...]:
        p, m = len(self.belongs), int(self.belongs.max()) + 1
        end, (rows, columns) = _places(p, m), _lower(m)
        table, factor = np.zeros((p, m)), np.empty((m, m))
        table[np.arange(p), self.belongs] = row[:p]
        factor[rows, columns] = factor[columns, rows] = row[end[1] : end[2]]
        return table, row[p : end[1]], factor, row[end[2] : end[3]], row[end[3] :]


def _places(p: int, m: int) -> tuple[int, int, int, int]:
    """Where the loadings, residuals, factor covariances and intercepts end in a row."""
    pairs = m * (m + 1) // 2
    return p, 2 * p, 2 * p + pairs, 3 * p + pairs


@cache
def _lower(m: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the lower triangle, found once: the fit asks at every step."""
    return np.tril_indices(m)


def _model(
    samples: Sequence[Sample],
    groups: Sequence[Sequence[int]],
    *,
    with_means: bool,
    level: str = "configural",
) -> _Model:
    p, m = len(samples[0].means), len(groups)
    belongs = np.empty(p, dtype=int)
    for factor, items in enumerate(groups):
        belongs[list(items)] = factor
    values = np.array([_first_guess(each, belongs, m) for each in samples])
    is_free = np.array(
        [_is_free(belongs, m, with_means, level, later=g > 0) for g in range(len(samples))]
    )
    index = np.full(values.shape, -1)
    index[is_free] = np.arange(is_free.sum())
    end = _places(p, m)
    shared = {"configural": [], "metric": [slice(0, p)]}
    shared["scalar"] = [*shared["metric"], slice(end[2], end[3])]
    for part in shared[level]:
        index[1:, part] = index[0, part]
    used, index[index >= 0] = np.unique(index[index >= 0], return_inverse=True)
    start = np.empty(len(used))
    start[index[::-1][index[::-1] >= 0]] = values[::-1][index[::-1] >= 0]  # the first group's last
    return _Model(belongs, index, values, start, with_means)


def _is_free(belongs: np.ndarray, m: int, with_means: bool, level: str, later: bool) -> np.ndarray:
    """Which places of one group's row are estimated; ``later`` groups have free factor scales."""
    p, size = len(belongs), np.bincount(belongs, minlength=m)
    rows, columns = np.tril_indices(m)
    scale_free = (level != "configural") and later
    mean_free = (level == "scalar") and later
    return np.concatenate(
        [
            np.ones(p, dtype=bool),
            size[belongs] > 1,
            (rows != columns) | scale_free,
            np.full(p, with_means),
            np.full(m, mean_free),
        ]
    )


def _first_guess(one: Sample, belongs: np.ndarray, m: int) -> np.ndarray:
    """Loadings from each factor's first principal component; correlations of those components."""
    sd = np.sqrt(np.diag(one.covariances))
    r = one.covariances / np.outer(sd, sd)
    weights, loadings = np.zeros((len(sd), m)), np.empty(len(sd))
    for factor in range(m):
        items = np.flatnonzero(belongs == factor)
        values, vectors = np.linalg.eigh(r[np.ix_(items, items)])
        first = vectors[:, -1] * (1 if vectors[:, -1].sum() >= 0 else -1)
        shared = max(values[-1] - 1, 0.1) / max(len(items) - 1, 1) if len(items) > 1 else 1.0
        weights[items, factor] = first
        loadings[items] = first * np.sqrt(min(shared, 0.9) * len(items)) if len(items) > 1 else 1.0
    loadings = np.clip(loadings, -0.95, 0.95) if len(set(belongs)) < len(sd) else loadings
    single = np.bincount(belongs, minlength=m)[belongs] == 1
    loadings[single] = 1.0
    scores = weights.T @ r @ weights
    scale = np.sqrt(np.diag(scores))
    factor = 0.9 * scores / np.outer(scale, scale) + 0.1 * np.eye(m)
    residuals = np.where(single, 0.0, (1 - loadings**2) * sd**2)
    return np.concatenate(
        [loadings * sd, residuals, factor[np.tril_indices(m)], one.means, np.zeros(m)]
    )


# --- The likelihood and its slopes ----------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Data:
    """Moments of the rows that have the same items answered, k patterns in all."""

    share: np.ndarray  # (k,) of all respondents
    means: np.ndarray  # (k, p), 0 where not answered
    covariances: np.ndarray  # (k, p, p), 0 where not answered
    seen: np.ndarray  # (k, p) bool
    group: np.ndarray  # (k,) int
    respondents: int


def _stack(samples: Sequence[Sample]) -> _Data:
    sizes = np.array([each.respondents for each in samples], dtype=float)
    means = np.array([each.means for each in samples])
    return _Data(
        share=sizes / sizes.sum(),
        means=means,
        covariances=np.array([each.covariances for each in samples]),
        seen=np.ones_like(means, dtype=bool),
        group=np.arange(len(samples)),
        respondents=int(sizes.sum()),
    )


def _patterns(values: np.ndarray) -> _Data:
    """Moments by which items a row has answered."""
    seen, which, sizes = np.unique(
        np.isfinite(values), axis=0, return_inverse=True, return_counts=True
    )
    order = np.argsort(which.ravel(), kind="stable")
    parts = np.split(np.nan_to_num(values)[order], np.cumsum(sizes)[:-1])
    means = np.array([part.mean(axis=0) for part in parts])
    off = [part - mean for part, mean in zip(parts, means, strict=True)]
    return _Data(
        share=sizes / len(values),
        means=means,
        covariances=np.array([each.T @ each / len(each) for each in off]),
        seen=seen,
        group=np.zeros(len(sizes), dtype=int),
        respondents=len(values),
    )


def _scores(
    means: np.ndarray, covariances: np.ndarray, data: _Data
) -> tuple[float, np.ndarray, np.ndarray]:
    """Minus the mean log-likelihood (without the constant), and its slopes.

    ``means`` (groups, p) and ``covariances`` (groups, p, p) are the model's.  A blank is an item
    of variance 1 that nothing is related to, so that all patterns are inverted at once.  The
    slopes are W (groups, p, p), half of which is that by the covariances, and v (groups, p),
    minus that by the means; infinity where a covariance matrix is not positive definite.
    """
    both = data.seen[:, :, None] & data.seen[:, None, :]
    sigma = np.where(both, covariances[data.group], np.eye(means.shape[1]))
    try:
        root = np.linalg.cholesky(sigma)
    except np.linalg.LinAlgError:
        return np.inf, np.empty(0), np.empty(0)
    inverse = np.linalg.inv(sigma) * both
    off = np.where(data.seen, data.means - means[data.group], 0.0)
    moments = data.covariances + off[:, :, None] * off[:, None, :]
    log_det = 2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    value = 0.5 * data.share @ (log_det + (inverse * moments).sum(axis=(1, 2)))
    slope = data.share[:, None, None] * (inverse - inverse @ moments @ inverse)
    pull = data.share[:, None] * (inverse @ off[:, :, None])[:, :, 0]
    by_covariance, by_mean = np.zeros_like(covariances), np.zeros_like(means)
    np.add.at(by_covariance, data.group, slope)
    np.add.at(by_mean, data.group, pull)
    return float(value), by_covariance, by_mean


def _moments(parts: list[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, np.ndarray]:
    """Means (groups, p) and covariances (groups, p, p) of the model."""
    means = [intercepts + table @ means for table, _, _, intercepts, means in parts]
    covariances = [
        table @ factor @ table.T + np.diag(residuals) for table, residuals, factor, *_ in parts
    ]
    return np.array(means), np.array(covariances)


def _derivatives(
    belongs: np.ndarray, part: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Of covariances (places, p, p) and means (places, p) by each place of one group's row."""
    table, _, factor, _, factor_means = part
    p, m = table.shape
    rows, columns = _lower(m)
    end, item = _places(p, m), np.arange(p)
    by_covariance, by_mean = np.zeros((end[3] + m, p, p)), np.zeros((end[3] + m, p))
    by_covariance[item, item] = (factor @ table.T)[belongs]
    by_covariance[:p] += by_covariance[:p].transpose(0, 2, 1)
    by_covariance[p + item, item, item] = 1
    cross = table.T[rows][:, :, None] * table.T[columns][:, None, :]
    cross = cross + cross.transpose(0, 2, 1)
    cross[rows == columns] /= 2
    by_covariance[end[1] : end[2]] = cross
    by_mean[item, item] = factor_means[belongs]
    by_mean[end[2] + item, item] = 1
    by_mean[end[3] :] = table.T
    return by_covariance, by_mean


def _value_and_slope(free: np.ndarray, model: _Model, data: _Data) -> tuple[float, np.ndarray]:
    """Minus the mean log-likelihood and its gradient by the free parameters."""
    parts = model.parts(free)
    value, weight, pull = _scores(*_moments(parts), data)
    if not np.isfinite(value):
        return np.inf, np.empty(0)
    slope = np.zeros(model.free)
    for g, part in enumerate(parts):
        by_covariance, by_mean = _derivatives(model.belongs, part)
        flat = by_covariance.reshape(len(by_covariance), -1)
        places = 0.5 * flat @ weight[g].ravel() - by_mean @ pull[g]
        slope += model.spread[g].T @ places
    return value, slope


def _information(free: np.ndarray, model: _Model, data: _Data) -> np.ndarray:
    """Expected information of one respondent, as if every answer had been given."""
    total = np.zeros((model.free, model.free))
    shares = np.bincount(data.group, weights=data.share)
    parts = model.parts(free)
    for g, (part, sigma) in enumerate(zip(parts, _moments(parts)[1], strict=True)):
        by_covariance, by_mean = _derivatives(model.belongs, part)
        inverse = np.linalg.inv(sigma)
        scaled = inverse @ by_covariance
        flat = scaled.reshape(len(scaled), -1)
        turned = scaled.transpose(0, 2, 1).reshape(len(scaled), -1)
        places = 0.5 * flat @ turned.T + by_mean @ inverse @ by_mean.T
        total += shares[g] * model.spread[g].T @ places @ model.spread[g]
    return total


def _observed_information(free: np.ndarray, model: _Model, data: _Data) -> np.ndarray:
    """Second derivatives, by central differences of the gradient."""
    steps = 1e-5 * np.maximum(np.abs(free), 0.1)
    rows = []
    for i, step in enumerate(steps):
        move = np.zeros_like(free)
        move[i] = step
        up, down = (_value_and_slope(free + way * move, model, data)[1] for way in (1, -1))
        if not len(up) or not len(down):
            return np.full((len(free), len(free)), np.nan)
        rows.append((up - down) / (2 * step))
    return (np.array(rows) + np.array(rows).T) / 2


def _estimate(model: _Model, data: _Data) -> tuple[np.ndarray, bool]:
    """Fisher scoring from the first guess, then BFGS from there; whether it came to rest.

    Fisher scoring alone is slow where a model fits badly, for the expected information is then
    not the curvature; BFGS learns the curvature on the way.
    """
    free = model.start
    value, slope = _value_and_slope(free, model, data)
    for turn in range(STEPS):
        if turn < SCORING:
            metric = _metric(_information(free, model, data))
        gain = float(slope @ metric @ slope)
        if not np.isfinite(gain):
            return free, False
        if gain < ENOUGH:
            return free, True
        there, value, new_slope, moved = _descend(free, value, slope, metric @ slope, model, data)
        if not moved:
            return free, gain < 1e-12  # as near as the arithmetic allows
        metric = _learned(metric, there - free, new_slope - slope)
        free, slope = there, new_slope
    return free, False


def _learned(metric: np.ndarray, moved: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """The inverse of the curvature after one step (BFGS); as it was where the curve bends down."""
    bend = float(moved @ turned)
    if bend <= 1e-12 * float(np.linalg.norm(moved) * np.linalg.norm(turned)):
        return metric
    across = np.eye(len(moved)) - np.outer(moved, turned) / bend
    return across @ metric @ across.T + np.outer(moved, moved) / bend


def _descend(
    free: np.ndarray,
    value: float,
    slope: np.ndarray,
    step: np.ndarray,
    model: _Model,
    data: _Data,
) -> tuple[np.ndarray, float, np.ndarray, bool]:
    """Go along the step, halved until the likelihood does not fall."""
    for part in 0.5 ** np.arange(30):
        there = free - part * step
        new, new_slope = _value_and_slope(there, model, data)
        if new <= value - 1e-4 * part * float(slope @ step) + 1e-14 * abs(value):
            return there, new, new_slope, True
    return free, value, slope, False


def _metric(information: np.ndarray) -> np.ndarray:
    """Inverse of an information matrix that may be singular, whatever the units of the items."""
    scale = np.sqrt(np.maximum(np.diag(information), 1e-300))
    values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    values = np.maximum(values, 1e-8 * values[-1])
    return (vectors / values) @ vectors.T / np.outer(scale, scale)


def _inverse(information: np.ndarray) -> np.ndarray:
    """Inverse of an information matrix; NaN if it is not positive definite."""
    nothing = np.full_like(information, np.nan)
    if not np.isfinite(information).all():
        return nothing
    scale = np.sqrt(np.abs(np.diag(information)))
    if not (scale > 0).all():
        return nothing
    even = information / np.outer(scale, scale)
    if np.linalg.eigvalsh(even)[0] < 1e-10:
        return nothing
    return np.linalg.inv(even) / np.outer(scale, scale)


def _expectation_maximisation(data: _Data) -> Sample:
    """Means and covariances of the saturated model, with blanks, by EM.

    With W and v the slopes by `_scores`, one step is mu + Sigma v and Sigma - Sigma W Sigma
    - Sigma v v' Sigma: the expected moments of the answers, given those that were made.
    """
    weight = data.share[:, None] * data.seen
    mean = (weight * data.means).sum(axis=0) / weight.sum(axis=0)
    spread = np.diagonal(data.covariances, axis1=1, axis2=2) + (data.means - mean) ** 2
    sigma = np.diag((weight * spread).sum(axis=0) / weight.sum(axis=0))
    for _ in range(2000):
        value, slope, pull = _scores(mean[None], sigma[None], data)
        if not np.isfinite(value):
            break
        shift = sigma @ pull[0]
        change = sigma @ slope[0] @ sigma + np.outer(shift, shift)
        sd = np.sqrt(np.diag(sigma))
        mean, sigma = mean + shift, sigma - change
        if max(np.abs(shift / sd).max(), np.abs(change / np.outer(sd, sd)).max()) < 1e-10:
            break
    return Sample(data.respondents, mean, sigma)


# --- Numbers out of a fit -------------------------------------------------------------------------


def _saturated(samples: Sequence[Sample]) -> float:
    """Minus the mean log-likelihood, without the constant, of the moments themselves."""
    total = sum(each.respondents for each in samples)
    return 0.5 * sum(
        each.respondents / total * (np.linalg.slogdet(each.covariances)[1] + len(each.means))
        for each in samples
    )


def _independent(values: np.ndarray, data: _Data) -> float:
    """The same for items that are unrelated, each with the mean and variance it has."""
    return _scores(
        np.nanmean(values, axis=0)[None], np.diag(np.nanvar(values, axis=0))[None], data
    )[0]


def _srmr(samples: Sequence[Sample], means: np.ndarray, covariances: np.ndarray, *, with_means):
    """Bentler's root mean square residual, groups weighted by their size."""
    total, answer = sum(each.respondents for each in samples), 0.0
    for each, mean, sigma in zip(samples, means, covariances, strict=True):
        sd = np.sqrt(np.diag(each.covariances))
        off = ((each.covariances - sigma) / np.outer(sd, sd))[np.tril_indices(len(sd))]
        off = np.concatenate([off, (each.means - mean) / sd]) if with_means else off
        answer += each.respondents / total * float(np.sqrt(np.mean(off**2)))
    return answer


def _about(
    free: np.ndarray, model: _Model, samples: Sequence[Sample], saturated: float, data: _Data
) -> dict:
    """The fields of `Misfit` but for the baseline and convergence."""
    p, n = len(model.belongs), data.respondents
    means, covariances = _moments(model.parts(free))
    value = _scores(means, covariances, data)[0]
    constant = 0.5 * np.log(2 * np.pi) * float(data.share @ data.seen.sum(axis=1))
    moments = p * (p + 3) // 2 if model.with_means else p * (p + 1) // 2
    return {
        "respondents": n,
        "group_count": len(samples),
        "free": model.free,
        "chi2": float(max(2 * n * (value - saturated), 0.0)),
        "df": len(samples) * moments - model.free,
        "log_likelihood": float(-n * (value + constant)),
        "srmr": _srmr(samples, means, covariances, with_means=model.with_means),
    }


def _one_fit(
    free: np.ndarray,
    model: _Model,
    samples: Sequence[Sample],
    saturated: float,
    baseline: float,
    variance: np.ndarray,
    converged: bool,
    data: _Data | None = None,
) -> Fit:
    table, residuals, factor, _, _ = model.parts(free)[0]
    p, m = table.shape
    wanted = np.concatenate(
        [np.ones(2 * p, dtype=bool), ~np.eye(m, dtype=bool)[np.tril_indices(m)]]
    )
    spread = model.spread[0][: len(wanted)][wanted]
    return Fit(
        **_about(free, model, samples, saturated, _stack(samples) if data is None else data),
        baseline_chi2=float(baseline),
        baseline_df=p * (p - 1) // 2,
        converged=bool(converged and np.isfinite(variance).all()),
        groups=tuple(tuple(np.flatnonzero(model.belongs == f).tolist()) for f in range(m)),
        loadings=table[np.arange(p), model.belongs],
        residual_variances=residuals,
        factor_correlations=factor,
        covariance_of_estimates=spread @ variance @ spread.T,
        implied=table @ factor @ table.T + np.diag(residuals),
    )


def _group_fit(
    free: np.ndarray,
    model: _Model,
    samples: Sequence[Sample],
    level: str,
    variance: np.ndarray,
    converged: bool,
) -> GroupFit:
    tables, residuals, factors, intercepts, means = (
        np.array(part) for part in zip(*model.parts(free), strict=True)
    )
    p, m = tables.shape[1:]
    spread = model.spread[:, _places(p, m)[3] :]  # of the factor means
    errors = np.sqrt(np.einsum("gmi,ij,gmj->gm", spread, variance, spread))
    baseline = sum(
        each.respondents
        * (np.log(np.diag(each.covariances)).sum() - np.linalg.slogdet(each.covariances)[1])
        for each in samples
    )
    possible = all(np.linalg.eigvalsh(each).min() > 0 for each in factors)
    return GroupFit(
        **_about(free, model, samples, _saturated(samples), _stack(samples)),
        baseline_chi2=float(baseline),
        baseline_df=len(samples) * p * (p - 1) // 2,
        converged=bool(converged and np.isfinite(variance).all()),
        level=level,
        loadings=tables[:, np.arange(p), model.belongs],
        residual_variances=residuals,
        intercepts=intercepts,
        factor_covariances=factors,
        factor_means=means,
        mean_errors=errors,
        admissible=bool((residuals >= 0).all() and possible),
    )


def _slopes_of(found: Fit) -> np.ndarray:
    """Derivatives of the implied covariances by loadings, residuals and factor correlations.

    Zero for the residual variance of an item that is a factor by itself, which is fixed.
    """
    p, m = len(found.loadings), len(found.groups)
    belongs = np.empty(p, dtype=int)
    for factor, items in enumerate(found.groups):
        belongs[list(items)] = factor
    table = np.zeros((p, m))
    table[np.arange(p), belongs] = found.loadings
    part = (table, found.residual_variances, found.factor_correlations, np.zeros(p), np.zeros(m))
    slopes = _derivatives(belongs, part)[0][: _places(p, m)[2]]
    slopes[p : 2 * p][np.bincount(belongs)[belongs] == 1] = 0
    rows, columns = np.tril_indices(m)
    return np.concatenate([slopes[: 2 * p], slopes[2 * p :][rows != columns]])


def _squares(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Each row's x' W x for each of the weight matrices, (n, matrices)."""
    i, j = np.tril_indices(rows.shape[1])
    both = (weights + weights.transpose(0, 2, 1))[:, i, j] * np.where(i == j, 0.5, 1.0)
    parts = [
        (part[:, i] * part[:, j]) @ both.T for part in np.array_split(rows, len(rows) // 20_000 + 1)
    ]
    return np.concatenate(parts)


def _noncentrality(chi2: float, df: int, share: float) -> float:
    """The noncentrality at which ``share`` of chi-squares lie below the one observed, or 0."""
    if df == 0 or stats.chi2.cdf(chi2, df) <= share:
        return 0.0
    return float(
        optimize.brentq(
            lambda excess: stats.ncx2.cdf(chi2, df, excess) - share, 1e-9, 10 * chi2 + 100
        )
    )


# --- What a model insists on ----------------------------------------------------------------------


def _need_groups(groups: Sequence[Sequence[int]], p: int) -> None:
    named = sorted(int(item) for items in groups for item in items)
    if named != list(range(p)) or any(len(items) == 0 for items in groups):
        raise Problem(
            f"The factors name the items {named} where there are {p}.",
            "put each item into one factor, and only one.",
        )


def _need_definite(covariances: np.ndarray, respondents: int) -> None:
    p = len(covariances)
    if covariances.shape != (p, p) or not np.allclose(covariances, covariances.T, atol=1e-8):
        raise Problem("The covariances are not a symmetric matrix.", "give one row a column.")
    if not np.isfinite(covariances).all() or (np.diag(covariances) <= 0).any():
        flat = np.flatnonzero(~(np.diag(covariances) > 0)).tolist()
        raise Refusal(f"Items without variance (places {flat}).", "leave them out.")
    sd = np.sqrt(np.diag(covariances))
    if np.linalg.eigvalsh(covariances / np.outer(sd, sd))[0] < 1e-10:
        raise Refusal(
            f"The covariances of {p} items from {respondents} respondents are not positive "
            "definite.",
            f"collect well over {p} respondents, and leave out an item that others add up to.",
        )


def _need_identified(moments: int, free: int) -> None:
    if free > moments:
        raise Refusal(
            f"The model has {free} parameters where the items give {moments} moments.",
            "give a factor that stands alone three items or more.",
        )


def _need_met(values: np.ndarray) -> None:
    given = np.isfinite(values).astype(float)
    together = given.T @ given
    if len(values) == 0 or (together < 2).any():
        raise Refusal(
            "Two items were never answered by the same respondents.",
            "leave one of them out: nothing is known of how they go together.",
        )
