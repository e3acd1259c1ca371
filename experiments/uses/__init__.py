"""The studies that the experiments on uses of autoencoders share."""
