"""Training: how a net is fitted, watched, stopped, resumed and handed on."""

from nam_like.lightning import import_lightning

# Everything here is built on Lightning, whose own imports cost seconds if nobody takes care.
import_lightning()
