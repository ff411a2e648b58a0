"""Words that files, dumps and reports share."""

#: In place of a patient or scan that is not known.
UNKNOWN = 'unknown'
