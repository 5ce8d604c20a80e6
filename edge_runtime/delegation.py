"""Which operators of a TFLite file XNNPACK computes, read from LiteRT.

Operators that XNNPACK does not support run in LiteRT's own kernels, which are slower and often use one thread. Each one
also splits the graph that XNNPACK could otherwise fuse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tledge.edge_runtime.load_faults import load_error

DELEGATE = "DELEGATE"
"""The name of a node that represents the operators of a delegate."""

WITHOUT_XNNPACK = "LiteRT kernels (XNNPACK cannot prepare the model)"
"""The provider of a model that is run without XNNPACK, which failed."""

SLOWER = (
    "LiteRT's accelerated kernels (XNNPACK) cannot prepare this model, so it runs on LiteRT's own, which are slower"
)


_PARTIAL = re.compile(r"(?P<kernels>.+) \((?P<some>\d+) of (?P<all>\d+) nodes\)")


@dataclass(frozen=True)
class Delegation:
    """The part of a model that XNNPACK computes.

    Attributes:
        nodes: number of operators of the model.
        partitions: number of subgraphs that XNNPACK computes: 1 if it computes the whole model.
        undelegated: the names of the operators that run in LiteRT's kernels, in the order of the graph, one per
            operator: ``("CAST",)``.
    """

    nodes: int
    partitions: int
    undelegated: tuple[str, ...]

    @property
    def provider(self) -> str:
        """What runs the model: "XNNPACK", "XNNPACK (67 of 71 nodes)" or "LiteRT kernels"."""
        taken = self.nodes - len(self.undelegated)
        if not taken:
            return "LiteRT kernels"
        return f"XNNPACK ({taken} of {self.nodes} nodes)" if self.undelegated else "XNNPACK"


def partial_delegation(provider: str) -> str:
    """Returns "XNNPACK runs 1 of 69 operators" for a provider that runs a part of the model; otherwise empty."""
    found = _PARTIAL.fullmatch(provider)
    return f"{found['kernels']} runs {found['some']} of {found['all']} operators" if found else ""


def find_undelegated(path: Path) -> Delegation:
    """Loads a TFLite file and finds the operators that XNNPACK computes: none if it cannot prepare the model.

    Raises:
        ArtifactError: LiteRT's own kernels cannot prepare it either.
    """
    try:
        return read_delegation(_allocated(path, "AUTO"))
    except (ValueError, RuntimeError):
        try:
            return read_delegation(_allocated(path, "BUILTIN_WITHOUT_DEFAULT_DELEGATES"))
        except (ValueError, RuntimeError) as error:
            raise load_error("LiteRT", path, error) from error


def _allocated(path: Path, kernels: str) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(model_path=str(path), experimental_op_resolver_type=OpResolverType[kernels])
    interpreter.allocate_tensors()
    return interpreter


def read_delegation(interpreter: Any) -> Delegation:
    """Finds the operators of an allocated interpreter that XNNPACK computes.

    LiteRT keeps the nodes of the file and appends one per partition of the delegate, with the partition's input and
    output tensors. The nodes between them belong to the delegate.
    """
    operators = interpreter._get_ops_details()
    partitions = [operator for operator in operators if operator["op_name"] == DELEGATE]
    nodes = [operator for operator in operators if operator["op_name"] != DELEGATE]
    producers = {int(tensor): node for node in nodes for tensor in node["outputs"]}
    taken = {index for partition in partitions for index in _between(partition, producers)}
    return Delegation(
        nodes=len(nodes),
        partitions=len(partitions),
        undelegated=tuple(node["op_name"] for node in nodes if node["index"] not in taken),
    )


def _between(partition: Mapping[str, Any], producers: Mapping[int, Mapping[str, Any]]) -> set[int]:
    """Returns the indices of the nodes between a partition's inputs and outputs."""
    given = {int(tensor) for tensor in partition["inputs"]}
    found: set[int] = set()
    pending: Sequence[int] = [int(tensor) for tensor in partition["outputs"]]
    while pending:
        wanted = {tensor for tensor in pending if tensor not in given and tensor in producers}
        nodes = [producers[tensor] for tensor in wanted if producers[tensor]["index"] not in found]
        found.update(node["index"] for node in nodes)
        pending = [int(tensor) for node in nodes for tensor in node["inputs"]]
    return found
