"""Predicting: a model folder and a heap of inputs become ``submission.csv``, row by row.

Torch is imported by the task's predictor alone, and only where a prediction is made.
"""
