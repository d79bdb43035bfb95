"""Front-ends: from waveforms to features."""
