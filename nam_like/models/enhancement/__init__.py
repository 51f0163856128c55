"""Speech enhancement: encoders and decoders, estimators, and the models that put them together."""
