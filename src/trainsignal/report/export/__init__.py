"""The series of a run as tables for other tools. Histograms and images are not exported.

table        the rows that all formats share
csv          a text file
json         a text file, with what ran
parquet      a file by Arrow, the extra "parquet"
tensorboard  a folder of events, the extra "tensorboard"
writing      which format a path asks for, and what becomes of a file that is there

Each format is a function of a run, some of its series and a path; it never holds all rows of a run at once.
"""
