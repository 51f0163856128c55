"""From the YAML files of NeMo's audio models to the three JSONs; needs PyYAML (``nam_like[speech]``)."""
