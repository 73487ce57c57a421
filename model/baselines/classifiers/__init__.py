"""Text classifiers of the literature: a linear model and small recurrent networks."""
