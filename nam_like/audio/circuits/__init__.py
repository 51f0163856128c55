"""A simulated test device: guitar circuits solved accurately, as gear to capture when there is none at hand.

`docs/test-device.md` describes the circuits; :func:`nam_like.audio.circuits.device.simulate` plays them.
"""
