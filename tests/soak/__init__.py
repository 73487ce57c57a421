"""A long run at half load with a fault a minute: does anything grow, and is anything lost or twice?"""
