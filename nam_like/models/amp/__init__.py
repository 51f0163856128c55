"""Nets for amps and pedals: one audio signal in, one out, playable in realtime."""
