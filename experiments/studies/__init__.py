"""What several experiments share: data sets with their meaning, and the three uses.

    image_data                           images loaded, and how models of them train
    images_and_events                    the frame of experiments on both
    anomalies, compression, generation   the lecture's three uses of autoencoders
    classes_out                          images with a class left out, in depth
    rate_distortion                      what a VAE's code loses against the best one
    cms_multijet                         columns of CMS events, and a toy signal
    verdicts                             what became of many fits
    posteriordb, flat_regression         posteriors with known moments
    advi_oracles                         models that count false stops of a fit
    diabetes, batting                    two tables with models, for whole workflows
    fit_numbers                          what a fit and its checks say, for a report

What a user would want with data of their own is in the package, not here.
"""
