"""Accuracy, speed and price of our networks beside other classifiers: `python -m benchmarks.frontier --data FOLDER`."""
