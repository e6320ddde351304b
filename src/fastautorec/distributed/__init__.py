"""Fits past one machine: sums over shards of users, added up by Dask, Ray, Spark, or anything with two verbs.

>>> from fastautorec import distributed
"""

from fastautorec.distributed._engines import Engine
from fastautorec.distributed._fit import fit
from fastautorec.distributed._joining import tree
from fastautorec.distributed._lists import evaluate, recommend
from fastautorec.distributed._plan import ClusterPlan, plan
from fastautorec.distributed._sharding import shard

__all__ = ["ClusterPlan", "Engine", "evaluate", "fit", "plan", "recommend", "shard", "tree"]
