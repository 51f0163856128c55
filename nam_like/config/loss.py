"""``model.json`` → ``loss``: named, weighted terms, as they are written now or with the flat keys of old.

Canonical: ``{"terms": {"mse": {"name": "MSE", "weight": 1.0, "config": {}}}, "val_loss": "mse",
"mask_first": 0}``. Also read: one component (``{"name": "ESR"}``), and flat keys (``mse_weight``,
``mrstft_weight``, …).
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator
from typing_extensions import Self

from nam_like.config.base import Bool, Config, Float, NonNegativeFloat, NonNegativeInt, Str
from nam_like.config.component import SPELLINGS, Component, Of, component
from nam_like.config.lines import Loc, refusal
from nam_like.registry import MEASURES, did_you_mean

__all__ = ["FlatLoss", "LossConfig", "TermSiblings"]

#: the weighted sum of all terms, as `val_loss` may name it
TOTAL = "total"
#: labels that mean something else already (`train_loss`, `val_loss`, the weighted sum)
_RESERVED = ("loss", TOTAL)


class TermSiblings(Config):
    """What stands beside name and config of a loss term."""

    weight: NonNegativeFloat = Field(1.0, description="factor of the term in the sum; 0 logs it only")


_Term = Annotated[Component, Of("loss", siblings=TermSiblings)]


class FlatLoss(Config):
    """The flat keys of older configs; each becomes a term.

    Null or 0 switches a term off; only for ``mse_weight`` null means 1, since a loss has an MSE unless told
    otherwise.
    """

    legacy_keys: ClassVar[tuple[str, ...]] = ("terms",)

    mse_weight: NonNegativeFloat | None = Field(None, description="weight of the MSE, 1 unless given")
    fourier: Bool = Field(False, description="squared error of the whole spectrum in place of the MSE")
    dc_weight: NonNegativeFloat | None = Field(None, description="weight of the squared error of the means")
    pre_emph_weight: NonNegativeFloat | None = Field(None, description="weight of the pre-emphasised MSE")
    pre_emph_coef: Annotated[Float, Field(ge=0, le=1)] | None = Field(
        None, description="c of y[n] − c·y[n−1] in the pre-emphasised MSE"
    )
    mrstft_weight: NonNegativeFloat | None = Field(None, description="weight of the MRSTFT distance")
    pre_emph_mrstft_weight: NonNegativeFloat | None = Field(
        None, description="weight of the pre-emphasised MRSTFT distance"
    )
    pre_emph_mrstft_coef: Annotated[Float, Field(ge=0, le=1)] | None = Field(
        None, description="c of y[n] − c·y[n−1] in the pre-emphasised MRSTFT; null for none"
    )
    custom_losses: dict[Str, _Term] = Field(
        default_factory=dict, description="label → {name, kwargs, weight} of further terms"
    )
    val_loss: Str = Field("mse", description="what decides which checkpoint is best")
    mask_first: NonNegativeInt = Field(0, description="samples left out at the start of every segment")

    @model_validator(mode="after")
    def _coefficients_have_weights(self) -> Self:
        if self.pre_emph_weight and self.pre_emph_coef is None:
            raise refusal(
                "expected `pre_emph_coef` beside `pre_emph_weight`, but got none", ("pre_emph_weight",)
            )
        for stem in ("pre_emph", "pre_emph_mrstft"):
            coefficient, weight = f"{stem}_coef", f"{stem}_weight"
            if getattr(self, coefficient) is not None and weight not in self.model_fields_set:
                raise refusal(f"expected `{weight}` beside `{coefficient}`, but got none", (coefficient,))
        for label in self.custom_losses:
            if label in self._own_terms():
                raise refusal(
                    f"expected a label that is not taken, but got '{label}', which the other keys give too",
                    ("custom_losses", label),
                )
        return self

    def terms(self) -> dict[str, Component]:
        """The terms that the keys ask for, by label."""
        return self._own_terms() | self.custom_losses

    def _own_terms(self) -> dict[str, Component]:
        main = 1.0 if self.mse_weight is None else self.mse_weight
        found = {
            "fourier" if self.fourier else "mse": ("Fourier" if self.fourier else "MSE", main, None),
            "dc": ("DC", self.dc_weight, None),
            "pre_emph_mse": ("MSE", self.pre_emph_weight, self.pre_emph_coef),
            "mrstft": ("MRSTFT", self.mrstft_weight, None),
            "pre_emph_mrstft": ("MRSTFT", self.pre_emph_mrstft_weight, self.pre_emph_mrstft_coef),
        }
        return {
            label: _term(name, weight, {} if coefficient is None else {"pre_emphasis": coefficient})
            for label, (name, weight, coefficient) in found.items()
            if weight
        }


class LossConfig(Config):
    """The training loss: Σ weight · term, each term logged under its label."""

    legacy_keys: ClassVar[tuple[str, ...]] = tuple(
        key for key in FlatLoss.model_fields if key not in ("val_loss", "mask_first")
    )

    terms: dict[Str, _Term] = Field(description="label → {name, weight, config}")
    val_loss: Str = Field(
        "mse",
        description="what decides which checkpoint is best: mse or esr, where the task measures them, total "
        "(the sum), or the label of a term or metric; total unless given, where no mse is measured",
    )
    mask_first: NonNegativeInt = Field(
        0, description="samples left out of every loss and metric at the start of every segment"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_older_spellings(cls, value: Any) -> Any:
        """One component and flat keys become terms; their errors keep the paths of the keys as written."""
        if isinstance(value, str):
            return {"terms": {_label(value): value}}
        if not isinstance(value, dict):
            return value
        if "terms" in value:
            flat = [key for key in value if key in cls.legacy_keys]
            if flat:
                raise refusal(f"expected `terms` or flat keys, but got `terms` and `{flat[0]}`", (flat[0],))
            return value
        if any(key in value for key in SPELLINGS):
            rest = {key: item for key, item in value.items() if key not in ("val_loss", "mask_first")}
            term = Of("loss", siblings=TermSiblings).validate(rest)
            own = {key: value[key] for key in ("val_loss", "mask_first") if key in value}
            return {"terms": {_label(term.name): term}, **own}
        older = FlatLoss.model_validate(value)
        return {"terms": older.terms(), "val_loss": older.val_loss, "mask_first": older.mask_first}

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if not any(term.siblings.weight > 0 for term in self.terms.values()):
            raise refusal(
                "expected at least one loss term with a weight above 0, but got none", _terms_at(self)
            )
        for label in self.terms:
            if label in _RESERVED or label != label.strip() or not label:
                raise refusal(f"expected another label than '{label}' for a loss term", ("terms", label))
        return self

    def canonical(self) -> dict[str, Any]:
        """The loss as it is written into the run folder."""
        terms = {label: {"weight": 1.0, **term.canonical()} for label, term in self.terms.items()}
        ordered = {
            label: {"name": term["name"], "weight": term["weight"], "config": term["config"]}
            for label, term in terms.items()
        }
        return {"terms": ordered, "val_loss": self.val_loss, "mask_first": self.mask_first}

    def settled(self, measured: tuple[str, ...]) -> Self:
        """With a `val_loss` for a task that does not measure the usual one.

        Args:
            measured: what the task measures whatever its loss, as `val_loss` names it.
        """
        if "val_loss" in self.model_fields_set or self.val_loss in (*measured, *self.terms):
            return self
        return self.model_copy(update={"val_loss": TOTAL})

    def check_val_loss(self, metrics: tuple[str, ...] = (), measured: tuple[str, ...] = MEASURES) -> None:
        """Make sure that `val_loss` names something that is measured.

        Args:
            metrics: names of further metrics of the run.
            measured: what the task measures whatever its loss, as `val_loss` names it.

        Raises:
            ValidationError: it does not.
        """
        own = [label for label in self.terms if label not in measured]
        known = [*measured, TOTAL, *own, *metrics]
        if self.val_loss not in known:
            raise refusal(
                f"expected `val_loss` to be {', '.join(known[:-1])} or {known[-1]}, which this loss has, "
                f"but got '{self.val_loss}'{did_you_mean(self.val_loss, known)}",
                ("val_loss",),
            )


def _term(name: str, weight: float, config: dict[str, Any]) -> Component:
    return component("loss", {"name": name, "config": config, "weight": weight}, siblings=TermSiblings)


def _label(name: str) -> str:
    return name.replace(":", ".").rpartition(".")[2].lower()


def _terms_at(loss: LossConfig) -> Loc:
    return ("terms",) if loss.terms else ()
