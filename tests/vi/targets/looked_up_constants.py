FACTOR = 1.0  # read by the model of test_looked_up
