"""`make bench`: what a command costs, as ratios within one run on one machine. See README.md beside this file."""
