"""The playgrounds: what a reader turns with sliders, one file for each lesson."""
