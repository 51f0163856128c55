"""Training: how a net is fitted, watched, stopped, resumed and handed on."""
