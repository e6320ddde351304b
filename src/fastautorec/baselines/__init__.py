"""The paper's other baselines, trained by well-kept libraries: ``pip install 'fastautorec[baselines]'``."""
