"""Classes never heard in training, after none or a few examples: SAVE beside what it is compared with."""
