"""The command line `python -m vijax.vae`: models, detectors and files of one's own.

    commands    train, sample, compress, decompress, detect, score, report
    files       examples out of files and folders, and into them
    report      one page of HTML about a model and data

It stands on all rooms, on `vijax.plot` too, and nothing imports it but
`vijax/vae/__main__.py`.
"""
