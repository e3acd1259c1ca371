"""Experiments beyond the lecture: each is run by itself, `make NAME` or `python -m`.

    limit_coverage      how often limits of a signal contain it
    workflow            two tables, each from raw rows to a decision
    verdict_benchmark   what became of fits of models with known answers
    advi_benchmark      variational fits of twenty posteriors, held to the truth
    posterior_gallery   their marginals, drawn over reference draws
    anomaly_detection   images, air showers, collisions: which score finds what
    compression         images without loss in a real file, events within a bound
    generation          samples of images and events, real against real beside them
    iwae                importance-weighted bounds: log p(x) of MNIST beside the paper's

The report shows those whose results are there. `workflow_patients` and
`workflow_players` are halves of `workflow`.
"""
