"""Kinds of files, each read or written by one module; no data set is known here.

    open_tables      what a reader of tables gives, and errors that name the file
    root_files, hdf5_files, arrow_files    tables and arrays, by uproot, h5py, pyarrow
    text_table       text with commas
    image_folder     a folder of images; png, one image in bytes
    idx              arrays as MNIST's four files have them
    whole_files      writing: a file is there whole, or the one before it is

Users call `vijax.data.load` and `vijax.data.batches`, which choose.
"""
