"""The paper's other baselines, trained by well-kept libraries: ``pip install 'fastautorec[baselines]'``.

Importing this module loads none of them; fitting a model loads the one that it needs. A fitted model needs none.
"""

from fastautorec.baselines.bpr import BPR
from fastautorec.baselines.cdae import CDAE
from fastautorec.baselines.cml import CML
from fastautorec.baselines.vaecf import VAECF
from fastautorec.baselines.wrmf import WRMF

__all__ = ["BPR", "CDAE", "CML", "VAECF", "WRMF"]
