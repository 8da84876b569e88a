"""Fitting the estimators with scikit-learn and exporting them to arrays. Never imported while serving."""
